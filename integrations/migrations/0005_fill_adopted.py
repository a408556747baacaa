"""Count what earlier syncs have linked, as far as they remember it by name."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Count


def fill(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    alias = schema_editor.connection.alias
    lines = apps.get_model("integrations", "SyncLine").objects.using(alias).filter(outcome="updated", reason="adopted")
    jobs = apps.get_model("integrations", "SyncJob").objects.using(alias)
    for job, adopted in lines.order_by().values_list("job").annotate(Count("pk")):
        jobs.filter(pk=job).update(adopted=adopted)


class Migration(migrations.Migration):
    dependencies = [("integrations", "0004_adopted")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
