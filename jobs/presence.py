"""Whether any worker lives: what workers say of themselves, and what pages make of it.

Goes in: a worker's name. Comes out: a row that says when it was last seen. Must not know: jobs.
"""

from datetime import datetime, timedelta

from django.utils import timezone

from jobs.models import WorkerSeen
from jobs.ticker import Ticker

EVERY = 10.0  # seconds
MISSING_AFTER = timedelta(seconds=60)
FORGOTTEN_AFTER = timedelta(days=7)  # a name contains a process id: rows would pile up


def present(worker: str) -> Ticker:
    """Return the thread that says every few seconds that `worker` lives, and forgets those not seen for days."""
    started_at = timezone.now()

    def say() -> None:
        WorkerSeen.objects.update_or_create(name=worker, defaults={"started_at": started_at, "seen_at": timezone.now()})
        WorkerSeen.objects.filter(seen_at__lt=timezone.now() - FORGOTTEN_AFTER).delete()

    return Ticker(say, EVERY, name=f"presence of {worker}", at_once=True)


def last_seen() -> datetime | None:
    """Return when a worker was last seen; None if none was for days."""
    newest = WorkerSeen.objects.order_by("-seen_at").first()
    return newest.seen_at if newest else None


def worker_missing() -> bool:
    """Return whether no worker has been seen for a minute: jobs that wait are then not begun."""
    seen = last_seen()
    return seen is None or seen < timezone.now() - MISSING_AFTER
