from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("imports", "0003_job_via"),
    ]

    operations = [
        migrations.AddField(
            model_name="importjob",
            name="files",
            field=models.CharField(blank=True, editable=False, help_text="How the names of its plan and error files begin.", max_length=40),
        ),
    ]
