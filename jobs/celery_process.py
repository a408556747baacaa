"""What a process of Celery does besides tasks: it says that it lives, looks after dead holders of jobs, heeds signals.

Goes in: what Celery signals of a worker and of beat. Comes out: presence, jobs given back whose holders are dead, and
for each job of this worker the answer whether it must go. Must not know: tasks, kinds of jobs.

A worker has a process that listens, and others that do the jobs. The first does all this: it is free while those work.
"""

import logging
import os
import socket
import sys
import time
from contextlib import ExitStack
from multiprocessing.sharedctypes import RawValue
from typing import Any

from celery.exceptions import WorkerLostError
from celery.signals import (
    beat_init,
    task_failure,
    worker_init,
    worker_process_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from django.conf import settings

from accessaudience import runs
from accessaudience.parent import end_with, end_with_supervisor
from jobs import messages
from jobs.lease import RUN, Reaper, give_back_of_dead
from jobs.models import BeatSeen, Status
from jobs.presence import present
from jobs.ticker import Ticker
from jobs.worker import GRACE, REAP_EVERY

log = logging.getLogger(__name__)

_stop_at = RawValue("d", 0.0)  # by the monotonic clock; shared with the processes that do the jobs
_while_it_lives = ExitStack()
_reaper = Reaper()
_dead = runs.dead()
_lost: list[str] = []  # the jobs of processes that were killed alone


def name_of_this() -> str:
    """Return the name of this process, which is that of `manage.py worker`: host:pid."""
    return f"{socket.gethostname()}:{os.getpid()}"


def must_go() -> bool:
    """Return whether this worker was told to stop and its grace is over."""
    return bool(0 < _stop_at.value <= time.monotonic())


@worker_init.connect
@beat_init.connect
def begin(**kwargs: Any) -> None:
    """Start only where messages are sent at all; end with the supervisor, if one has started this."""
    if settings.TASKS_BACKEND != "celery":
        sys.exit("TASKS_BACKEND is not celery, so nobody would send anything: start manage.py worker, or set it.")
    end_with_supervisor()


@worker_process_init.connect
def begin_process(**kwargs: Any) -> None:
    """End with the process that listens: it takes care of what is done here."""
    end_with(os.getppid())


@worker_ready.connect
def live(**kwargs: Any) -> None:
    """Say every few seconds that this worker lives, and look whether others do."""
    log.info("worker %s is here", name_of_this())
    _while_it_lives.enter_context(present(name_of_this()))
    _while_it_lives.enter_context(Ticker(_look, REAP_EVERY, name="reaper", at_once=True))


def _look() -> None:
    dead, lost = _dead[:], _lost[:]
    given_back = [*give_back_of_dead(dead), *give_back_of_dead([RUN] if lost else [], lost), *_reaper.look()]
    del _dead[: len(dead)], _lost[: len(lost)]  # not before: should the database be away, they are looked at again
    for job in given_back:
        if job.status == Status.WAITING:
            messages.send(job._meta.label_lower, job.pk)


@task_failure.connect
def note_lost(sender: Any, exception: BaseException, args: Any, **kwargs: Any) -> None:
    """Note the job of a process that was killed alone; whoever looks after dead holders gives it back."""
    if isinstance(exception, WorkerLostError) and sender.name == messages.PERFORM:
        _lost.append(args[1])


@worker_shutting_down.connect
def stop(**kwargs: Any) -> None:
    """Let the jobs go on for the grace at most. Called in the handler of a signal, which may come more than once."""
    _stop_at.value = _stop_at.value or time.monotonic() + GRACE


@worker_shutdown.connect
def end(**kwargs: Any) -> None:
    """Say nothing more."""
    _while_it_lives.close()
    log.info("worker %s has gone", name_of_this())


@beat_init.connect
def live_as_beat(**kwargs: Any) -> None:
    """Say every few seconds that this beat lives."""
    log.info("beat %s is here", name_of_this())
    _while_it_lives.enter_context(present(name_of_this(), BeatSeen))
