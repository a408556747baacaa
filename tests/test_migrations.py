"""Migrations are run while the version before still serves: what that version uses stays for one release more."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.migrations import operations as ops
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

TAKEN_AWAY = (ops.RemoveField, ops.RenameField, ops.RenameModel, ops.DeleteModel, ops.AlterModelTable)
# Each with why nobody stumbles over it: for example that the released version before uses it no longer.
UNRELEASED = "There was no release before it."
KNOWN = {
    "people.0003_accounts: Add field sign_outs to person": UNRELEASED,
    "people.0006_time_zone: Add field time_zone to person": UNRELEASED,
    "segments.0004_undo_job_via: Add field via to undojob": UNRELEASED,
    "segments.0008_label_key: Add field label_key to changeset": UNRELEASED,
    "imports.0002_job_relations: Add field job to importchannel": UNRELEASED,
    "imports.0002_job_relations: Add field job to importrowerror": UNRELEASED,
    "imports.0003_job_via: Add field via to importjob": UNRELEASED,
    "imports.0004_names_of_written_files: Add field files to importjob": UNRELEASED,
    "integrations.0002_what_to_bring: Add field bring to channelsync": UNRELEASED,
}


def _all(operations: Iterable[Operation]) -> Iterator[Operation]:
    for operation in operations:
        if isinstance(operation, ops.SeparateDatabaseAndState):
            yield from _all(operation.database_operations)
        else:
            yield operation


def _must_be_given(field: models.Field) -> bool:  # type: ignore[type-arg]  # of any type
    """Whether a row that says nothing of the field is refused: Django leaves no default in the database."""
    return not (field.null or field.has_db_default() or field.many_to_many or field.primary_key)


def breaking() -> list[str]:
    """Return each step of a migration that a version without it would stumble over."""
    ours = {config.label for config in apps.get_app_configs() if Path(config.path).parent == settings.BASE_DIR}
    found = []
    for (app, name), migration in MigrationLoader(None).disk_migrations.items():
        new: set[str] = set()  # models that this migration makes itself: nobody uses them yet
        for operation in _all(migration.operations if app in ours else ()):
            if isinstance(operation, ops.CreateModel):
                new.add(operation.name_lower)
            model = getattr(operation, "model_name", "").lower()
            added = isinstance(operation, ops.AddField) and _must_be_given(operation.field)
            if model not in new and (added or isinstance(operation, TAKEN_AWAY)):
                found.append(f"{app}.{name}: {operation.describe()}")
    return found


def test_no_migration_takes_away_what_the_version_before_uses() -> None:
    assert sorted(breaking()) == sorted(KNOWN)
