from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="channelsync",
            name="bring",
            field=models.CharField(
                choices=[("both", "Segments and lists"), ("segments", "Segments only"), ("lists", "Lists only")],
                default="both",
                help_text="Of those not here yet.",
                max_length=8,
            ),
        )
    ]
