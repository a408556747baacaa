from django.db import migrations

FIRST = (("Email", "email", "mail", 10), ("SMS", "sms", "message-2", 20), ("Meta", "meta", "brand-meta", 30))


def make_channels(apps, schema_editor):
    channel = apps.get_model("channels", "Channel")
    for name, slug, icon, position in FIRST:
        channel.objects.get_or_create(slug=slug, defaults={"name": name, "icon": icon, "position": position})


class Migration(migrations.Migration):
    dependencies = [("channels", "0001_initial")]
    operations = [migrations.RunPython(make_channels, migrations.RunPython.noop)]
