"""What must be done before serving, if it is not done yet: `python -m accessaudience.prepare`, and gunicorn.conf.py.

`--static` collects the static files alone: for an image, which is built without a database.

Goes in: the settings. Comes out: a database with every migration, collected static files, a first admin;
or one sentence that says what is wrong, and status 1. Must not know: any app of the project.
"""

import argparse
import hashlib
import io
import os
import sys
from pathlib import Path

import django
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import DatabaseError, InterfaceError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from accessaudience.databasefault import fault_of


def main(*, static_alone: bool = False) -> None:
    """Prepare everything, or end with the reason why not."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "accessaudience.settings")
    try:
        django.setup()
        if static_alone:
            collect_static_files()
            return
        call_command("check", databases=["default"], stdout=io.StringIO())  # it would say that all is well
        migrate()
        collect_static_files()
        call_command("first_admin")
    except (ImproperlyConfigured, CommandError, SystemCheckError) as error:
        sys.exit(str(error))
    except (DatabaseError, InterfaceError) as error:
        fault = fault_of(error)
        if fault is None:
            raise
        sys.exit(str(fault))
    finally:
        connections.close_all()  # none may be shared with what is forked or waited for later


def migrate() -> None:
    """Run the migrations that have not been run. SQLite's file, with digests of passwords, is for its owner alone."""
    if connection.vendor == "sqlite":
        _keep_to_owner(Path(connection.settings_dict["NAME"]))
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        print("Preparing the database ...", flush=True)
        call_command("migrate", interactive=False, verbosity=0)


def _keep_to_owner(file: Path) -> None:
    try:
        file.touch(mode=0o600)
        file.chmod(0o600)
    except OSError as error:
        do = "Give the user of this process this file and its folder, to read and to write; and see that there is room."
        raise CommandError(f"The database {file} cannot be written ({error.strerror}). {do}") from error


def collect_static_files() -> None:
    """Collect the static files if any is not as it was the last time; an image has them, and cannot be written to."""
    root = Path(settings.STATIC_ROOT)
    stamp = root / ".collected"
    if stamp.exists() and not os.access(root, os.W_OK):
        return
    found = fingerprint_of_static_files()
    if not stamp.exists() or stamp.read_text("ascii") != found:
        print("Collecting static files ...", flush=True)
        call_command("collectstatic", interactive=False, verbosity=0)
        stamp.write_text(found, "ascii")


def fingerprint_of_static_files() -> str:
    """Return what changes when a static file does: a digest of every path, size and time of change."""
    seen = []
    for finder in get_finders():
        for name, storage in finder.list(None):
            about = os.stat(storage.path(name))
            seen.append(f"{name} {about.st_size} {about.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(seen)).encode()).hexdigest()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m accessaudience.prepare",
        description="Migrate the database, collect the static files and make the first Admin, where that is not done.",
    )
    parser.add_argument("--static", action="store_true", help="collect the static files alone, without a database")
    main(static_alone=parser.parse_args().static)
