"""Jobs: work that outlives the request. The row is the truth *and* the queue.

Goes in: an id of a job and what somebody wants of it. Comes out: exactly one winner of each
transition. Must not know: what a job does; the kinds of jobs are found through the app registry.
"""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone


class Status(models.TextChoices):
    """Where a job stands. The last four are its ends, though `needs_answer` may go on."""

    UPLOADED = "uploaded", "Columns not matched yet"
    WAITING = "waiting", "Waiting"
    CHECKING = "checking", "Checking"
    READY = "ready", "Ready to import"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    NEEDS_ANSWER = "needs_answer", "Needs an answer"


LIVE = (Status.CHECKING, Status.RUNNING)  # a worker has a lease on it
ENDED = (Status.DONE, Status.FAILED, Status.CANCELLED)


class Job(models.Model):
    """What every kind of job has. A kind defines `check()`, `run()` and `lanes()`."""

    class Goal(models.TextChoices):
        CHECK = "check", "Check"
        RUN = "run", "Run"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    status = models.CharField(max_length=12, choices=Status, default=Status.WAITING, db_index=True)
    goal = models.CharField(max_length=5, choices=Goal, default=Goal.RUN, help_text="What a waiting job waits for.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    progress = models.PositiveBigIntegerField(default=0, help_text="Of `total`, in units of the kind.")
    total = models.PositiveBigIntegerField(default=0)
    step = models.CharField(max_length=20, blank=True, help_text="What it is doing: reading, matching, writing.")
    attempt = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(null=True, blank=True, help_text="Not to be claimed earlier (back-off).")
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    message = models.TextField(blank=True, help_text="What happened and what to do, in plain words.")
    code = models.CharField(max_length=40, blank=True, help_text="The kind of `message`, for programs.")

    class Meta:
        abstract = True

    def transition(self, to: Status, *, of: tuple[Status, ...], **changes: Any) -> bool:
        """Set the status to `to`, and `changes`, if it is still one of `of`; False if somebody was first.

        One conditional UPDATE: of many racing callers exactly one gets True.
        """
        changes["status"] = to
        won = type(self)._default_manager.filter(pk=self.pk, status__in=of).update(**changes)
        if won:
            for field, value in changes.items():
                setattr(self, field, value)
        return bool(won)


class Lane(models.Model):
    """A thing that one running job at a time may use: a channel. Held for as long as the lease."""

    name = models.CharField(max_length=80, primary_key=True)
    token = models.UUIDField(db_index=True)

    def __str__(self) -> str:
        return self.name


class WorkerSeen(models.Model):
    """A worker process and when it last said that it lives; pages tell whether any does."""

    name = models.CharField(max_length=200, primary_key=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "workers seen"

    def __str__(self) -> str:
        return self.name
