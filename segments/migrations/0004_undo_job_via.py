from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("segments", "0003_indexes_for_sorting"),
    ]

    operations = [
        migrations.AddField(
            model_name="undojob",
            name="via",
            field=models.CharField(default="web", help_text="By which door it came, as change sets tell it.", max_length=10),
        ),
    ]
