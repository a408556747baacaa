"""When an import was dismissed from the overview."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("imports", "0004_names_of_written_files")]

    operations = [
        migrations.AddField(
            "importjob",
            "dismissed_at",
            models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When somebody had seen enough of it on the overview.",
                null=True,
            ),
        ),
    ]
