"""manage.py doctor [--klaviyo] [--json]"""

import json
import os
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accessaudience.doctor import OK, WARNING, WRONG, examine

ORDER = (OK, WARNING, WRONG)


class Command(BaseCommand):
    """Looks at every part of a set-up and says what is wrong with it."""

    help = (
        "Look at the settings, the storage, the mail server, the database, the queue, the worker, the keys, the search "
        "and Klaviyo, and say what is wrong and what to do. Exit status: 0 nothing is wrong, but there may be "
        "warnings; 1 something is."
    )
    requires_system_checks = []  # it says itself what is wrong

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to look at besides, and how to say it."""
        parser.add_argument("--klaviyo", action="store_true", help="ask Klaviyo even if no account is connected")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look, and say what was found."""
        found = []
        for finding in examine(klaviyo=options["klaviyo"]):
            found.append(finding)
            if not options["json"]:
                self._say(f"{finding.state:8} {finding.check}: {finding.message}")
                if finding.do:
                    self._say(f"{'':8} {finding.do}")
        worst = max((finding.state for finding in found), key=ORDER.index)
        if options["json"]:
            self._say(json.dumps({"status": worst, "checks": [asdict(finding) for finding in found]}))
        if worst == WRONG:
            sys.exit(1)

    def _say(self, line: str) -> None:
        """Write a line at once. Who has read enough, as `head` has, is told no more; the status is what it would be."""
        try:
            self.stdout.write(line)
            self.stdout.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tries again at the end
            if not isinstance(error, BrokenPipeError):
                raise CommandError(f"What was found could not be written: {error.strerror}.") from error
