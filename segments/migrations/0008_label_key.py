from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('segments', '0007_bulk_job'),
    ]

    operations = [
        migrations.AddField(
            model_name='changeset',
            name='label_key',
            field=models.TextField(default='', editable=False),
        ),
    ]
