import django.db.models.deletion
from django.conf import settings
from django.core.management import call_command
from django.db import migrations, models


def make_shared_cache(apps, schema_editor):
    """The table of the cache that processes share; it stays empty where REDIS_URL is set."""
    call_command("createcachetable", "shared_cache", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = [("people", "0002_roles")]
    operations = [
        migrations.AddField(
            "person",
            "sign_outs",
            models.PositiveIntegerField(default=0, editable=False, help_text="How often all sessions were ended."),
        ),
        migrations.AddField("person", "invited_at", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.AddField(
            "person",
            "invited_by",
            models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunPython(make_shared_cache, migrations.RunPython.noop),
    ]
