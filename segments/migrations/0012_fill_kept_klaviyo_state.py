"""What changes have kept so far says nothing of Klaviyo's state: blank, until a sync tells it again."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def fill(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    changes = apps.get_model("segments", "Change").objects.using(schema_editor.connection.alias)
    changes.filter(source__isnull=False).update(klaviyo_state="")


class Migration(migrations.Migration):
    dependencies = [("segments", "0011_kept_klaviyo_state")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
