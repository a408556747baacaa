"""Fold the labels of the change sets that there are, in Python: databases fold in ways of their own."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from segments.values import fold

BATCH = 1_000


def fill(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    sets = apps.get_model("segments", "ChangeSet").objects.using(schema_editor.connection.alias)
    last = 0
    while found := list(sets.filter(pk__gt=last).order_by("pk").only("label")[:BATCH]):
        for each in found:
            each.label_key = fold(each.label)
        sets.bulk_update(found, ["label_key"])
        last = found[-1].pk


class Migration(migrations.Migration):
    dependencies = [("segments", "0008_label_key")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
