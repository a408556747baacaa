"""Have the workers index the segments that there are; and make the index of trigrams, where pg_trgm can be had."""

from django.apps.registry import Apps
from django.db import DatabaseError, migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def fill(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return
    backlog = apps.get_model("segments", "SearchBacklog").objects.using(connection.alias)
    for channel in apps.get_model("channels", "Channel").objects.using(connection.alias).filter(segment_count__gt=0):
        backlog.create(channel=channel)
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            cursor.execute(
                "CREATE INDEX segments_search_trigrams ON segments_searchtext USING gin (text gin_trgm_ops)"
            )
    except DatabaseError as error:
        print(f"\n  Searching without trigrams, which is slower: {error}".rstrip(), end="")  # noqa: T201  # as migrate does


class Migration(migrations.Migration):
    dependencies = [("segments", "0005_search_index")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
