"""The tasks of TASKS_BACKEND=celery: one does a job, the others are the chores that beat sends.

Goes in: messages, which may be lost, late, or come twice. Comes out: jobs that ended, as jobs.worker leaves them.
Must not know: kinds of jobs. Each task leaves no database connection behind: to each job its own.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError, connections
from redis import RedisError

from jobs import chores, messages, runner
from jobs.celery import app
from jobs.celery_process import must_go, name_of_this
from jobs.lease import claim, kinds, startable
from jobs.models import Job, Status

log = logging.getLogger(__name__)


@contextmanager
def _on_connections_of_its_own() -> Iterator[None]:
    """Close what the body opened. A database that is gone costs this message: it is sent again."""
    try:
        yield
    except (DatabaseError, InterfaceError, RedisError) as error:
        log.warning("the database, or Redis, did not answer: %s", error)
    finally:
        connections.close_all()


@app.task(name=messages.PERFORM)
def perform(kind: str, pk: str) -> None:
    """Do the job, if it waits and it is its turn; then tell of those that it kept waiting."""
    with _on_connections_of_its_own():
        job = _waiting(kind, pk)
        lanes = set(job.lanes()) if job else set()
        job = job and claim(name_of_this(), only=job)
        if job:
            runner.perform(job, must_go)
            connections.close_all()
            for other, needs in startable():
                if other == job or not lanes.isdisjoint(needs):
                    messages.send(other._meta.label_lower, other.pk)


def _waiting(kind: str, pk: str) -> Job | None:
    """Return the job that a message is about, if it waits; nothing comes of what a newer version may have sent."""
    model = next((each for each in kinds() if each._meta.label_lower == kind), None)
    return model._default_manager.filter(pk=pk, status=Status.WAITING).first() if model else None


@app.task(name="jobs.send_again")
def send_again() -> None:
    """Send what waits without a message: that was lost, or not sent; the lane was taken, or the job had to back off.

    That there are too few messages is all that can be seen. One too many does no harm.
    """
    with _on_connections_of_its_own():
        waiting = [job for job, _ in startable()]
        if waiting and messages.unread() < len(waiting):
            for job in waiting:
                messages.send(job._meta.label_lower, job.pk)


@app.task(name="jobs.due")
def due() -> None:
    """Put into the queue what is due."""
    with _on_connections_of_its_own():
        chores.due()


@app.task(name="jobs.use_idle_time")
def use_idle_time() -> None:
    """Do what can wait, for as long as no job does."""
    with _on_connections_of_its_own():
        while not must_go() and next(startable(), None) is None and chores.use_idle_time():
            pass


@app.task(name="jobs.keep_up")
def keep_up() -> None:
    """Do the upkeep."""
    with _on_connections_of_its_own():
        chores.keep_up()
