"""Jobs: work that outlives the request. The row is the truth *and* the queue.

Goes in: an id of a job and what somebody wants of it. Comes out: exactly one winner of each
transition. Must not know: what a job does; the kinds of jobs are found through the app registry.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from accessaudience import logs
from accessaudience.roles import MARKETER
from jobs import messages

if TYPE_CHECKING:
    from jobs.lease import Lease


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


LIVE = (Status.CHECKING, Status.RUNNING)  # somebody has a lease on it
ENDED = (Status.DONE, Status.FAILED, Status.CANCELLED)
DOORS_OF_PEOPLE = ("web", "admin")  # whose jobs have a user, who must still be there when they start
WRITING = "writing"  # the step from which on a job cannot be cancelled, only undone


class JobError(Exception):
    """A job that cannot be done, and why: shown to people as it is, and not tried again.

    `line` is the line of the file that it is about, if it is about one.
    """

    def __init__(self, code: str, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.line = line


class Said(NamedTuple):
    """How a job ended, as its user is told: `about` stands out between the words around it.

    `tone` is that of the design's results (g, a, r; "" for none).
    """

    icon: str
    tone: str
    before: str
    about: str
    after: str


class Page(NamedTuple):
    """A page by its name and arguments. Its path is asked for by who shows it: that loads every view there is."""

    view: str
    arguments: list[str]


class Job(models.Model):
    """What every kind of job has. A kind names its `pipeline` and its `lanes()`.

    The pipeline is a module with functions `check(job)` and `run(job)`, one for each goal. They do
    the whole work, call `beat()` between batches and end with jobs.lease.finish(). jobs.runner
    alone calls them, under a lease; it finds them by name, as the pipeline imports the model.
    """

    pipeline: ClassVar[str]
    upkeep: ClassVar[str] = ""  # a function without arguments that workers call now and then
    due: ClassVar[str] = ""  # one that they call every few seconds: it puts what is due into the queue
    idle: ClassVar[str] = ""  # one that does a little, where no job waits, and says whether there was anything to do
    lanes_of: ClassVar[tuple[str, ...]] = ()  # what lanes() reads, to be asked once for many jobs
    role: ClassVar[str] = MARKETER  # that its user must still have when it starts

    class Goal(models.TextChoices):
        CHECK = "check", "Check"
        RUN = "run", "Run"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    status = models.CharField(max_length=12, choices=Status, default=Status.WAITING, db_index=True)
    goal = models.CharField(max_length=5, choices=Goal, default=Goal.RUN, help_text="What a waiting job waits for.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    via = models.CharField(max_length=10, default="web", help_text="By which door it came, as change sets tell it.")
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

    asked_in: str | None = None  # the name of the request that it is of, once that has been looked up
    lease: "Lease | None" = None  # of this process, while it holds one
    on_beat: "Callable[[int, int, str], None] | None" = None  # a progress bar in this process

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; of a new one, note in which request it was made, and tell workers if it waits for one."""
        is_new = self._state.adding
        super().save(*args, **kwargs)
        if is_new:
            Origin.note(self)
            if self.status == Status.WAITING:
                messages.announce(self._meta.label_lower, self.pk)

    def get_absolute_url(self) -> str:
        """Return the path of its page."""
        return reverse(self.page.view, args=self.page.arguments)

    @property
    def page(self) -> Page:
        """The page that tells how it stands."""
        raise NotImplementedError

    @contextmanager
    def in_log(self) -> Iterator[None]:
        """Have lines that are logged meanwhile name this job, and the request that put it into the queue."""
        if self.asked_in is None:
            self.asked_in = logs.about().get("request") or Origin.of(self)
        with logs.telling(job=str(self.pk), request=self.asked_in):
            yield

    @property
    def was_interrupted(self) -> bool:
        """Whether an attempt at it ended in the middle, and it goes on by itself, or is about to.

        By the command line a job is done once, whatever number its attempt has.
        """
        if self.via == "command":
            return False
        return self.attempt > 0 if self.status == Status.WAITING else self.status in LIVE and self.attempt > 1

    def lanes(self) -> list[str]:
        """Return what no other job may use while this one runs (not while it checks): its channels."""
        return []

    def changes_on_failure(self, error: JobError) -> dict[str, Any]:
        """Return the fields that tell of `error`; a kind may add its own."""
        return {"code": error.code, "message": error.message}

    def said(self) -> Said | None:
        """Return how it ended, or why it needs its user, in words; None if that is nothing to tell."""
        return None

    def transition(
        self,
        to: Status,
        *,
        of: tuple[Status, ...],
        given: models.Q | None = None,
        told: bool = True,
        **changes: Any,
    ) -> bool:
        """Set the status to `to`, and `changes`, if it is still one of `of`; False if somebody was first.

        `given` is what else must still hold; who does the job at once has no worker `told`. One conditional
        UPDATE: of many racing callers exactly one gets True. Whoever moves a live job on takes its lease away,
        and the worker that has it stops at its next beat. A job put into the queue starts anew, with all its
        attempts.
        """
        if to not in LIVE:
            changes.setdefault("lease_token", None)
        if to in ENDED:
            changes.setdefault("finished_at", timezone.now())
        if to == Status.WAITING:
            changes = {"attempt": 0, "not_before": None, **changes}
        changes["status"] = to
        rows = type(self)._default_manager.filter(given or models.Q(), pk=self.pk, status__in=of)
        won = rows.update(**changes)
        if won:
            for field, value in changes.items():
                setattr(self, field, value)
            if to == Status.WAITING:
                Origin.note(self)
                if told:
                    messages.announce(self._meta.label_lower, self.pk)
        return bool(won)

    def beat(self, progress: int, total: int, step: str) -> None:
        """Say how far the work is; call it between batches, as often as wanted.

        Raises what ends the work early: see jobs.lease.Stopped.
        """
        if self.on_beat:
            self.on_beat(progress, total, step)
        if self.lease:
            self.lease.beat(progress, total, step)

    def begin_writing(self) -> None:
        """Pass the point from which on the job cannot be cancelled; call it before the transaction of apply.

        Raises jobs.lease.Stopped if it was cancelled, or its lease lost, before.
        """
        if self.lease:
            self.lease.begin_writing()

    def place_in_queue(self) -> tuple[int, int]:
        """Return which of how many waiting jobs of its kind this one is, counted from 1."""
        waiting = type(self)._default_manager.filter(status=Status.WAITING)
        return waiting.filter(created_at__lte=self.created_at).count(), waiting.count()


class Origin(models.Model):
    """In which request a job was last put into the queue, for the log of the worker that does it.

    Jobs without a request (a schedule, the command line) have none.
    """

    KEPT: ClassVar = timedelta(days=30)

    job = models.UUIDField(primary_key=True)
    request = models.CharField(max_length=128)
    noted_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.job} in {self.request}"

    @classmethod
    def note(cls, job: Job) -> None:
        """Note that the request that is being answered has put `job` into the queue."""
        request = logs.about().get("request")
        if request:
            row = Origin(job=job.pk, request=request)
            Origin.objects.bulk_create(
                [row], update_conflicts=True, unique_fields=["job"], update_fields=["request", "noted_at"]
            )

    @classmethod
    def of(cls, job: Job) -> str:
        """Return the name of the request, blank if it was none."""
        return cls.objects.filter(pk=job.pk).values_list("request", flat=True).first() or ""

    @classmethod
    def forget_old(cls) -> None:
        """Forget those that no log is kept for any more."""
        old = cls.objects.filter(noted_at__lt=timezone.now() - cls.KEPT)
        if old.exists():  # or SQLite's write lock would be waited for in vain
            old.delete()


class NoticeQuerySet(models.QuerySet["Notice"]):
    """What a person is told of their jobs."""

    def of(self, user: Any) -> "NoticeQuerySet":
        """Those of `user`, newest first."""
        return self.filter(user=user).order_by("-at", "job")

    def unread(self) -> "NoticeQuerySet":
        """Those that nobody has seen yet."""
        return self.filter(seen_at=None)

    def read(self) -> int:
        """Note that these are seen; return how many were not before."""
        unread = self.unread()
        if not unread.exists():  # or SQLite's write lock would be waited for in vain
            return 0
        return unread.update(seen_at=timezone.now())


class Notice(models.Model):
    """How a job ended, told to its user until they have seen it: the bell. One a job.

    Its words are those of the moment: what is done to the same segments later does not change them.
    """

    KEPT: ClassVar = timedelta(days=30)

    job = models.UUIDField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False, related_name="notices")
    at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(null=True)
    icon = models.CharField(max_length=30)
    tone = models.CharField(max_length=1, blank=True)
    before = models.CharField(max_length=100, blank=True)
    about = models.CharField(max_length=320)
    after = models.TextField(blank=True)
    view = models.CharField(max_length=60)
    arguments = models.JSONField()

    objects = NoticeQuerySet.as_manager()

    class Meta:
        indexes = (
            models.Index(fields=("user", "-at"), name="jobs_notices_newest"),  # the bell, opened
            # Its number, on every page: of the few that are unread.
            models.Index(fields=("user",), name="jobs_notices_unread", condition=models.Q(seen_at=None)),
        )

    def __str__(self) -> str:
        return f"{self.before}{self.about}{self.after}"

    @property
    def path(self) -> str:
        """Where the page is that tells more."""
        return reverse(self.view, args=self.arguments)

    @classmethod
    def tell(cls, job: Job) -> None:
        """Tell the user of `job`, if it has one, how it ended: unread, even if they had read of it before."""
        said = job.said()
        if job.user_id and said:
            row = cls(job=job.pk, user_id=job.user_id, **said._asdict(), **job.page._asdict())
            fields = ["user", "at", "seen_at", *Said._fields, *Page._fields]
            cls.objects.bulk_create([row], update_conflicts=True, unique_fields=["job"], update_fields=fields)

    @classmethod
    def forget_old(cls) -> None:
        """Forget those that are old, read or not."""
        old = cls.objects.filter(at__lt=timezone.now() - cls.KEPT)
        if old.exists():  # as above
            old.delete()


class Lane(models.Model):
    """A thing that one running job at a time may use: a channel. Held for as long as the lease."""

    name = models.CharField(max_length=80, primary_key=True)
    token = models.UUIDField(db_index=True)

    def __str__(self) -> str:
        return self.name


class Seen(models.Model):
    """A process and when it last said that it lives."""

    name = models.CharField(max_length=200, primary_key=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class WorkerSeen(Seen):
    """A worker; pages tell whether any lives."""

    class Meta:
        verbose_name_plural = "workers seen"


class BeatSeen(Seen):
    """A beat, which tells the workers of Celery when to do what is due."""

    class Meta:
        verbose_name_plural = "beats seen"
