"""manage.py restore FILE [--force]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accessaudience.backup import BackupError, database_path, restore


class Command(BaseCommand):
    """Puts the data of a backup in place."""

    help = "Restore a backup of the embedded database and the uploads. Stop the server and the workers first."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the name of the file."""
        parser.add_argument("file", metavar="FILE", type=Path, help="what `manage.py backup` wrote")
        parser.add_argument("--force", action="store_true", help="put what is there aside, if there is anything")

    def handle(self, *args: Any, file: Path, force: bool, **options: Any) -> None:
        """Restore it; a sentence on standard error and exit status 1 if that cannot be done."""
        try:
            done = restore(file, force=force)
        except BackupError as error:
            raise CommandError(f"{error} Nothing was restored.") from error
        except OSError as error:
            raise CommandError(f"Nothing was restored: {error.filename}: {error.strerror or error}.") from error
        self.stdout.write(f"Restored the backup of {done.at}: {database_path()} and {done.files:,} uploads.")
        self.stdout.write("The keys were not in it: put secret_key and encryption_keys back from where you keep them.")
