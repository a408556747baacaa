"""Whether any worker lives, or a beat: what they say of themselves, and what pages make of it.

Goes in: the name of one. Comes out: a row that says when it was last seen. Must not know: jobs.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from jobs.models import Seen, WorkerSeen
from jobs.ticker import Ticker

EVERY = 10.0  # seconds
MISSING_AFTER = timedelta(seconds=60)
FORGOTTEN_AFTER = timedelta(days=7)  # a name contains a process id: rows would pile up


def present(name: str, kind: type[Seen] = WorkerSeen) -> Ticker:
    """Return the thread that says every few seconds that `name` lives, and forgets those not seen for days."""
    started_at = timezone.now()
    rows = kind._default_manager

    def say() -> None:
        rows.update_or_create(name=name, defaults={"started_at": started_at, "seen_at": timezone.now()})
        rows.filter(seen_at__lt=timezone.now() - FORGOTTEN_AFTER).delete()

    return Ticker(say, EVERY, name=f"presence of {name}", at_once=True)


def last_seen(kind: type[Seen] = WorkerSeen) -> datetime | None:
    """Return when one was last seen; None if none was for days."""
    newest = kind._default_manager.order_by("-seen_at").first()
    return newest.seen_at if newest else None


def is_missing(kind: type[Seen]) -> bool:
    """Return whether none has been seen for a minute."""
    seen = last_seen(kind)
    return seen is None or seen < timezone.now() - MISSING_AFTER


def worker_missing() -> bool:
    """Return whether no worker has been seen for a minute: jobs that wait are then not begun."""
    return is_missing(WorkerSeen)


def worker_command(folder: str = "") -> str:
    """Return what starts a worker, as TASKS_BACKEND has it; with the `folder` of its programs as it is typed."""
    if settings.TASKS_BACKEND == "celery":
        return f"{folder}celery --app jobs.celery worker"
    return f"{folder}python manage.py worker" if folder else "manage.py worker"
