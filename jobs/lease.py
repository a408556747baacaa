"""Leases: one holder of a job at a time, whoever is killed when.

Goes in: jobs that wait, and a name to claim them by. Comes out: a job that nobody else has, for as
long as its heartbeat moves; and one last write that happens only if it was still ours. Must not
know: what a job does.

A holder moves `heartbeat_at` once a second, from a thread of its own. A reaper gives back a job
whose heartbeat did not *change* for LEASE seconds of the reaper's own monotonic clock: no two clocks
are compared, so neither a jump of a clock nor two hosts that disagree end a lease. Taking a lease
away wrongly is harmless: finish() changes no row then, and everything is rolled back.

Who writes a job's row and its lanes writes the row first, so that no two wait for each other.

Nothing but finish() writes the job's row inside the transaction of apply. On SQLite that
transaction keeps everybody else from writing, heartbeats too; a reaper cannot misjudge it, as it
looks again under the write lock, which it gets only when apply is over.

A supervisor that has seen its worker die need not wait for that: a token says which run of the worker made it, and
the next run gives back what the dead one had.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from accessaudience import runs
from jobs.models import ENDED, LIVE, WRITING, Job, Lane, Notice, Status
from jobs.points import reach
from jobs.ticker import Ticker

log = logging.getLogger(__name__)

BEAT = 1.0  # seconds between two heartbeats
LEASE = 30.0  # seconds without one after which a job is given back
ATTEMPTS = 3
MAX_BACK_OFF = timedelta(minutes=10)
CANCELLABLE = (Status.UPLOADED, Status.WAITING, Status.CHECKING, Status.READY, Status.RUNNING, Status.NEEDS_ANSWER)
INTERRUPTED = "interrupted"
# What its user is told of. Not that it was cancelled: somebody did that, who saw it happen.
TOLD = (Status.DONE, Status.FAILED, Status.READY, Status.NEEDS_ANSWER)
RUN = runs.this()


class Stopped(Exception):  # noqa: N818  # a turn of events, not a fault
    """The work on a job is to end now; nothing of it may stay."""


class LeaseLost(Stopped):
    """Somebody else has the job, or will: it was taken for dead, or put to another use."""


class Cancelled(Stopped):
    """Somebody cancelled the job."""


class GivenBack(Stopped):
    """This worker has to go; the job returns to the queue."""


class Lease:
    """What the process that has a job knows of it. See hold()."""

    def __init__(self, job: Job, token: uuid.UUID) -> None:
        self.token = token
        self._row = type(job)._default_manager.filter(pk=job.pk, lease_token=token)
        self._status = type(job)._default_manager.filter(pk=job.pk).values_list("status", flat=True)
        self._position: dict[str, Any] = {"progress": job.progress, "total": job.total, "step": job.step}
        self._over: Stopped | None = None
        self._writing_row = threading.Lock()
        self.must_go: Callable[[], bool] = lambda: False

    def beat(self, progress: int, total: int, step: str) -> None:
        """Note how far the work is, for the next heartbeat; raise Stopped if it is to end."""
        self._position = {"progress": progress, "total": total, "step": step}
        if self.must_go():
            raise GivenBack
        self._raise_if_over()

    def begin_writing(self) -> None:
        """Write the step WRITING, after which request_cancel() refuses; raise Stopped if it came first."""
        with self._writing_row:
            self._position["step"] = WRITING
            self._write()
        self._raise_if_over()

    def tick(self) -> None:
        """Move the heartbeat: called by the thread."""
        with self._writing_row:
            self._write()

    def _write(self) -> None:
        if not self._row.update(heartbeat_at=timezone.now(), **self._position):
            self._over = Cancelled() if self._status.first() == Status.CANCELLED else LeaseLost()

    def _raise_if_over(self) -> None:
        if self._over:
            raise self._over


def kinds() -> list[type[Job]]:
    """Return the models that are kinds of jobs."""
    return [model for model in apps.get_models() if issubclass(model, Job)]


# Claiming


def claim(worker: str, only: Job | None = None) -> Job | None:
    """Return the job that waits longest and may start now, held by the caller alone; None if none does.

    With `only` it is that job or none.
    """
    for job, lanes in startable():
        if only in (None, job) and _take(job, Q(status=Status.WAITING, goal=job.goal), lanes):
            with job.in_log():
                log.info("%s claimed %s %s to %s", worker, job._meta.model_name, job.pk, job.goal)
            return job
    return None


def startable() -> Iterator[tuple[Job, list[str]]]:
    """Yield the jobs that may start now, oldest first, and the lanes that each needs.

    A job that only waits for a lane keeps younger ones out of it.
    """
    taken = _lanes_taken()
    for job in _waiting():
        lanes = _lanes_needed(job, job.goal)
        if taken.isdisjoint(lanes):
            yield job, lanes
        taken.update(lanes)


def claim_this(job: Job, goal: str, of: tuple[Status, ...], attempt: int | None = None) -> bool:
    """Claim `job` itself, if it is one of `of` and its lanes are free; `attempt` is the one it counts as."""
    lanes = _lanes_needed(job, goal)
    changes: dict[str, Any] = {"goal": goal} if attempt is None else {"goal": goal, "attempt": attempt}
    return _lanes_taken().isdisjoint(lanes) and _take(job, Q(status__in=of), lanes, **changes)


def _waiting() -> list[Job]:
    """Return the jobs that may be claimed, oldest first.

    A `not_before` further away than any back-off was set by a clock that has been put right since.
    """
    now = timezone.now()
    due = Q(not_before=None) | Q(not_before__lte=now) | Q(not_before__gt=now + MAX_BACK_OFF)
    waiting = [
        kind._default_manager.filter(due, status=Status.WAITING).prefetch_related(*kind.lanes_of) for kind in kinds()
    ]
    jobs = [job for some in waiting for job in some]
    return sorted(jobs, key=lambda job: (job.created_at, job.pk))


def _lanes_needed(job: Job, goal: str) -> list[str]:
    return sorted(job.lanes()) if goal == Job.Goal.RUN else []  # sorted: two claimers cannot deadlock


def _lanes_taken() -> set[str]:
    return set(Lane.objects.values_list("name", flat=True))


def _take(job: Job, still: Q, lanes: Iterable[str], **changes: Any) -> bool:
    """Take `job` if it is `still` so, and `lanes`, both or neither: of many callers one gets True."""
    token = uuid.UUID(int=runs.token(RUN))
    now = timezone.now()
    changes = {
        "status": Status.RUNNING if changes.get("goal", job.goal) == Job.Goal.RUN else Status.CHECKING,
        "attempt": F("attempt") + 1,
        "lease_token": token,
        "heartbeat_at": now,
        "started_at": now,
        "finished_at": None,
        "not_before": None,
        "progress": 0,
        "total": 0,
        "step": "",
        "message": "",
        "code": "",
        **changes,
    }
    try:
        with transaction.atomic():
            if not type(job)._default_manager.filter(still, pk=job.pk).update(**changes):
                return False
            for lane in lanes:
                Lane.objects.create(name=lane, token=token)
    except IntegrityError:  # somebody was first in a lane
        return False
    job.refresh_from_db()
    job.lease = Lease(job, token)
    return True


# Holding


@contextmanager
def hold(job: Job, must_go: Callable[[], bool] | None = None) -> Iterator[None]:
    """Keep the lease of a claimed job alive while the body runs; its beats raise Stopped when it is over.

    `must_go` is asked at each beat; once it says True, the job is given back.
    """
    lease = _lease_of(job)
    if must_go:
        lease.must_go = must_go
    with Ticker(lease.tick, BEAT, name=f"heartbeat of {job.pk}"):
        yield


def finish(job: Job, status: Status, **changes: Any) -> None:
    """End the lease with `status` and `changes`, at the end of the transaction that it belongs to.

    Raises LeaseLost if the lease was not ours any more, so that the transaction is rolled back.
    """
    lease = _lease_of(job)
    now = timezone.now()
    changes = {"step": "", "lease_token": None, "heartbeat_at": None, "status": status, **changes}
    if status in ENDED:
        changes.setdefault("finished_at", now)
    if status == Status.READY:
        changes.setdefault("attempt", 0)  # the next goal has its own
    with transaction.atomic(savepoint=False):
        if not lease._row.update(**changes):
            raise LeaseLost
        Lane.objects.filter(token=lease.token).delete()
        if status in TOLD:
            Notice.tell(_as_it_will_be(job, changes))
    for field, value in changes.items():
        setattr(job, field, value)
    reach("job:finished")


def _as_it_will_be(job: Job, changes: dict[str, Any]) -> Job:
    ended = copy(job)
    for field, value in changes.items():
        setattr(ended, field, value)
    return ended


def give_back(job: Job, *, counted: bool, wait: timedelta = timedelta(0)) -> None:
    """Return a job that we hold to the queue, there to stay for `wait`; raise LeaseLost if it is not ours.

    `counted` says whether this attempt is one of its three.
    """
    attempt = job.attempt if counted else job.attempt - 1
    not_before = timezone.now() + wait if wait else None
    finish(job, Status.WAITING, attempt=attempt, not_before=not_before, progress=0, total=0)


def free_lanes(job: Job) -> None:
    """Leave the lanes of a job that we held and lost."""
    Lane.objects.filter(token=_lease_of(job).token).delete()


def _lease_of(job: Job) -> Lease:
    if job.lease is None:
        raise LeaseLost("This process never had a lease on the job.")
    return job.lease


# From outside


def request_cancel(job: Job, message: str = "Cancelled before anything was written.") -> bool:
    """Cancel `job` if nothing of it has been written yet; False if it is too late.

    Whoever works on it notices at its next beat, within about a second.
    """
    changes = {
        "status": Status.CANCELLED,
        "lease_token": None,
        "finished_at": timezone.now(),
        "step": "",
        "message": message,
        "code": "cancelled",
    }
    rows = type(job)._default_manager.filter(pk=job.pk, status__in=CANCELLABLE)
    won = rows.exclude(status=Status.RUNNING, step=WRITING).update(**changes)
    job.refresh_from_db()
    return bool(won)


class Reaper:
    """Gives back the jobs whose holders are dead. Keep one, and let it look every few seconds."""

    def __init__(self, after: float = LEASE) -> None:
        self._after = after
        self._seen: dict[tuple[Any, uuid.UUID | None, datetime | None], float] = {}

    def look(self) -> list[Job]:
        """Look once at every live job; return those given back or, after three attempts, failed."""
        lanes = list(Lane.objects.all())  # before the jobs: a lane is taken together with its job
        jobs = [job for kind in kinds() for job in kind._default_manager.filter(status__in=LIVE)]
        now = time.monotonic()
        self._seen = {key: self._seen.get(key, now) for key in map(_life_sign, jobs)}
        stale = [job for job in jobs if now - self._seen[_life_sign(job)] >= self._after]
        live = {job.lease_token for job in jobs}
        for lane in lanes:
            if lane.token not in live:
                Lane.objects.filter(pk=lane.pk, token=lane.token).delete()
        return [job for job in stale if _reap(job)]


def give_back_of_dead(dead: Iterable[int], only: Container[str] | None = None) -> list[Job]:
    """Give back at once what runs had that are known to have ended; return those jobs, as Reaper.look() does.

    With `only` no more than the jobs of these primary keys: the process that did them has ended, not its run.
    """
    theirs = Q()
    for first, last in runs.tokens(dead):
        theirs |= Q(lease_token__range=(uuid.UUID(int=first), uuid.UUID(int=last)))
    jobs = [job for kind in kinds() for job in kind._default_manager.filter(theirs, status__in=LIVE)] if theirs else []
    return [job for job in jobs if (only is None or str(job.pk) in only) and _reap(job)]


def _life_sign(job: Job) -> tuple[Any, uuid.UUID | None, datetime | None]:
    return job.pk, job.lease_token, job.heartbeat_at


def _reap(job: Job) -> bool:
    """Give `job` back, or fail it after three attempts, if its heartbeat is still where we saw it."""
    changes: dict[str, Any] = {"status": Status.WAITING}
    if job.attempt >= ATTEMPTS:
        message = "It was interrupted in the middle, and nothing was changed. "
        message += "Start it again; if that does not help, the worker's log says more."
        changes = {"status": Status.FAILED, "finished_at": timezone.now(), "code": INTERRUPTED, "message": message}
    rows = type(job)._default_manager.filter(
        pk=job.pk, status__in=LIVE, lease_token=job.lease_token, heartbeat_at=job.heartbeat_at
    )
    with transaction.atomic():
        won = rows.update(lease_token=None, heartbeat_at=None, step="", progress=0, total=0, **changes)
        if won and job.lease_token:
            Lane.objects.filter(token=job.lease_token).delete()
        if won and changes["status"] == Status.FAILED:
            Notice.tell(_as_it_will_be(job, changes))
    if won:
        with job.in_log():
            log.warning("%s %s has lost its worker in attempt %s", job._meta.model_name, job.pk, job.attempt)
        job.refresh_from_db()
    return bool(won)
