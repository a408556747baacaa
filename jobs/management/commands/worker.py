"""manage.py worker: does the jobs that wait, in the background."""

import os
import signal
import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accessaudience.parent import end_with_supervisor
from jobs.worker import GRACE, Worker


class Command(BaseCommand):
    help = (
        "Does imports and syncs in the background, until stopped by SIGTERM or Ctrl+C. "
        "Any number of workers may run: start more on the same or on other hosts."
    )
    requires_system_checks: list[str] = []  # they load every page's code, of which a worker needs none

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        name = f"{socket.gethostname()}:{os.getpid()}"
        parser.add_argument("--name", default=name, help="what this worker is called in the log (default: host:pid)")
        parser.add_argument("--once", action="store_true", help="end after one job, or when none waits")
        parser.add_argument("--drain", action="store_true", help="end when no job waits that may start")
        parser.add_argument("--poll", type=float, default=1.0, help="seconds between two looks for work (default: 1)")
        parser.add_argument(
            "--grace",
            type=float,
            default=GRACE,
            help="seconds that a job may go on after SIGTERM; then it returns to the queue (default: 5)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Work until told to stop."""
        if settings.TASKS_BACKEND == "celery":
            told = "TASKS_BACKEND is celery. Start, instead of this: celery -A jobs.celery worker"
            raise CommandError(f"{told}, any number of them, and celery -A jobs.celery beat, one.")
        worker = Worker(options["name"], poll=options["poll"], grace=options["grace"])
        signal.signal(signal.SIGTERM, worker.stop)
        signal.signal(signal.SIGINT, worker.stop)
        end_with_supervisor()
        once = options["once"]
        took = worker.work(drain=options["drain"] or once, at_most=1 if once else None)
        if options["drain"] or once:
            self.stdout.write(f"{took} done")
