from django.db import migrations, models


def note_the_command_line(apps, schema_editor):
    """Until now an import without a user was one of the command line."""
    apps.get_model("imports", "ImportJob").objects.filter(user=None).update(via="command")


class Migration(migrations.Migration):

    dependencies = [
        ("imports", "0002_job_relations"),
    ]

    operations = [
        migrations.AddField(
            model_name="importjob",
            name="via",
            field=models.CharField(default="web", help_text="By which door it came, as change sets tell it.", max_length=10),
        ),
        migrations.RunPython(note_the_command_line, migrations.RunPython.noop),
    ]
