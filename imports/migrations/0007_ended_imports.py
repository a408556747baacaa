from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('imports', '0006_upload_tries'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='importjob',
            index=models.Index(fields=['status', 'finished_at'], name='imports_ended'),
        ),
    ]
