from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0002_what_to_bring")]

    operations = [
        migrations.AddField(
            model_name="klaviyoaccount",
            name="refused_at",
            field=models.DateTimeField(
                editable=False, help_text="When Klaviyo last did not accept the key.", null=True
            ),
        )
    ]
