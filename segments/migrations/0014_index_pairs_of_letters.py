"""Index the pairs of letters of each text that is searched: words of two letters have no trigram."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# Its cost keeps the planner from calling it for each text instead of asking the index.
BIGRAMS = """
    CREATE OR REPLACE FUNCTION segments_bigrams(text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 5000
    AS 'SELECT ARRAY(SELECT DISTINCT substr($1 COLLATE "C", i, 2) FROM generate_series(1, length($1) - 1) i)'
"""
# Workers go on meanwhile, under the lock of a channel; a minute for a million segments. What was left of a build that
# was interrupted is dropped first.
FORGET = "DROP INDEX CONCURRENTLY IF EXISTS segments_search_bigrams"
INDEX = """
    CREATE INDEX CONCURRENTLY segments_search_bigrams ON segments_searchtext USING gin (segments_bigrams(text))
"""


def index(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for statement in (BIGRAMS, FORGET, INDEX):
            schema_editor.execute(statement)


def drop(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FORGET)
        schema_editor.execute("DROP FUNCTION segments_bigrams(text)")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("segments", "0013_source_index")]

    operations = [migrations.RunPython(index, drop)]
