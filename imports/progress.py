"""How an import is getting on, in the numbers and words of its page.

Goes in: an import. Comes out: percent, speed, time left, its place in the queue, and whether
anybody is there to do it. Must not know: requests.
"""

from datetime import datetime, timedelta
from functools import cached_property

from django.utils import timezone

from imports.models import ImportJob
from jobs import presence
from jobs.models import LIVE, WRITING, Status

PATIENCE = timedelta(minutes=1)  # so long a job may wait before the page asks whether there is a worker
SETTLED = timedelta(seconds=3)  # earlier than that a speed says nothing


class Progress:
    """What the page of an import shows beside its counts."""

    def __init__(self, job: ImportJob) -> None:
        self.job = job
        self.now = timezone.now()

    @property
    def is_live(self) -> bool:
        """Whether it goes on by itself, so that the page asks again."""
        return self.job.status == Status.WAITING or self.job.status in LIVE

    @property
    def is_writing(self) -> bool:
        """Whether it is past the point from which on it can only be undone."""
        return self.job.status == Status.RUNNING and self.job.step == WRITING

    @property
    def writing(self) -> int:
        """How many segments it writes: those that the check found to be created or updated, else all rows."""
        totals = self.job.totals
        return totals["created"] + totals["updated"] or self.job.total or self.job.rows

    @property
    def percent(self) -> int:
        """How much of it is done."""
        return min(100, 100 * self.job.progress // self.job.total) if self.job.total else 0

    @property
    def elapsed(self) -> str:
        """How long it has been at it, or took, in words."""
        if not self.job.started_at:
            return ""
        return in_words((self.job.finished_at or self.now) - self.job.started_at)

    @property
    def speed(self) -> int:
        """Rows in a second, 0 while that cannot be said yet."""
        passed = self.now - self.job.started_at if self.job.started_at else timedelta(0)
        return round(self.job.progress / passed.total_seconds()) if passed >= SETTLED else 0

    @property
    def left(self) -> str:
        """How long it will take from here, in words; "" while that cannot be said yet."""
        if not self.speed or not self.job.total:
            return ""
        return in_words(timedelta(seconds=(self.job.total - self.job.progress) / self.speed))

    @property
    def waited(self) -> str:
        """How long it has been waiting, in words."""
        return in_words(self.now - self.waiting_since)

    @cached_property
    def worker_missing(self) -> bool:
        """Whether it waits for a worker, and none has been seen for a while."""
        waits = self.job.status == Status.WAITING and self.now - self.waiting_since >= PATIENCE
        return waits and presence.worker_missing()

    @property
    def waiting_since(self) -> datetime:
        """Since when it waits: somebody has started it, or it was uploaded then."""
        return self.job.started_at or self.job.created_at

    @cached_property
    def worker_seen(self) -> datetime | None:
        """When a worker was last seen."""
        return presence.last_seen()

    @cached_property
    def place(self) -> tuple[int, int]:
        """Which of how many waiting imports it is."""
        return self.job.place_in_queue()


def in_words(duration: timedelta) -> str:
    """Return a length of time as people say it: 10 seconds, 3 minutes, 2 hours."""
    seconds = max(1, round(duration.total_seconds()))
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{seconds // size} {unit}{'s' if seconds >= 2 * size else ''}"
    return f"{seconds} second{'s' if seconds > 1 else ''}"
