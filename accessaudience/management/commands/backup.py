"""manage.py backup FILE"""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accessaudience.backup import BackupError, back_up, keys_to_keep
from accessaudience.bucketurl import bucket_in_use


class Command(BaseCommand):
    """Backs the embedded database and the uploads up, while everything goes on."""

    help = "Write the embedded database and the uploads to one file. The keys are not in it; keep them apart."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the name of the file."""
        parser.add_argument("file", metavar="FILE", type=Path, help="where to write it, for example audience.tar.gz")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        """Write it; a sentence on standard error and exit status 1 if that cannot be done."""
        try:
            done = back_up(file)
        except BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{file} could not be written: {error.strerror or error}.") from error
        keys = [str(path) for path in keys_to_keep()]
        if options["json"]:
            self.stdout.write(json.dumps({"file": str(file), "at": done.at, "uploads": done.files, "keys": keys}))
            return
        self.stdout.write(
            f"Backed up the database ({done.size / 2**20:,.1f} MiB) and {done.files:,} uploads to {file}."
        )
        if bucket := bucket_in_use():
            self.stdout.write(f"Uploads in {bucket} are not in it: back that up by means of the store.")
        where = " and ".join(keys) if keys else "SECRET_KEY and ENCRYPTION_KEYS of the environment"
        self.stdout.write(
            f"The keys are not in it. Keep {where} in another place: without them nobody stays "
            "signed in, and stored Klaviyo keys cannot be read."
        )
