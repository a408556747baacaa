"""Does one job, whatever its kind, and sees to it that it ends as something.

Goes in: a job that was claimed, or one to be done here and now. Comes out: the job, ended, waiting
for its next attempt, or somebody else's. Must not know: what the job does; its pipeline does.
"""

import logging
import random
import time
from collections.abc import Callable
from datetime import timedelta

from django.db import DatabaseError, InterfaceError, connection
from django.utils.module_loading import import_string

from accessaudience.databasefault import is_out_of_room
from accessaudience.roles import has_role
from jobs.lease import (
    ATTEMPTS,
    Cancelled,
    GivenBack,
    LeaseLost,
    Reaper,
    claim_this,
    finish,
    free_lanes,
    give_back,
    hold,
)
from jobs.models import DOORS_OF_PEOPLE, LIVE, Job, JobError, Status
from jobs.points import reach

log = logging.getLogger(__name__)

BACK_OFF = 5.0  # seconds, before the second attempt; twice that before the third
LOOK = 0.5  # seconds between two looks at a lane that is taken


def perform(job: Job, must_go: Callable[[], bool] | None = None, *, once: bool = False) -> None:
    """Do a claimed job. Afterwards it has ended, or waits again, or belongs to somebody else.

    `must_go`, asked at each beat, gives it back. Raises only what ends this process, having given
    the job back (or, with `once`, cancelled it), and what says that the database is gone: the
    reaper then gives it back.
    """
    with job.in_log():
        _perform(job, must_go, once=once)


def _perform(job: Job, must_go: Callable[[], bool] | None, *, once: bool) -> None:
    try:
        with hold(job, must_go):
            _work(job)
        _log_end(job, str(job.status), once)
    except Cancelled:
        log.info("%s %s was cancelled", job._meta.model_name, job.pk)
        _let_go(job)
    except LeaseLost:
        log.warning("%s %s is not ours any more; nothing of it was written", job._meta.model_name, job.pk)
        _let_go(job)
    except GivenBack:
        log.info("%s %s is given back: this process ends", job._meta.model_name, job.pk)
        _end(job, lambda: give_back(job, counted=False))
    except JobError as error:
        _log_end(job, error.code, once)
        failure = job.changes_on_failure(error)
        _end(job, lambda: finish(job, Status.FAILED, **failure))
    except Exception as error:  # the one broad except of the project: any fault of a job ends here
        log.exception("%s %s failed in attempt %s", job._meta.model_name, job.pk, job.attempt)
        failure = job.changes_on_failure(_as_job_error(error))
        _end(job, lambda: _try_again_or_fail(job, failure))
    except BaseException:
        _end(job, lambda: _cancel(job) if once else give_back(job, counted=False))
        raise
    finally:
        job.lease = None


def run_here(
    job: Job,
    goal: str,
    *,
    of: tuple[Status, ...] = (Status.UPLOADED, Status.WAITING, Status.READY),
    wait: float | None = None,
    once: bool = False,
    on_wait: Callable[[], None] | None = None,
) -> bool:
    """Do `job` in this process instead of leaving it to a worker; False if it could not be had.

    It cannot while another job has one of its channels: `wait` is for how many seconds to try,
    None for as long as it takes; `on_wait` is called once if there is waiting to do. With `once`
    no worker repeats what fails or is interrupted here; a KeyboardInterrupt then cancels the job.
    """
    reaper = Reaper()
    deadline = None if wait is None else time.monotonic() + wait
    while not claim_this(job, goal, of, attempt=ATTEMPTS if once else None):
        job.refresh_from_db()
        if job.status not in of or deadline is not None and time.monotonic() >= deadline:
            return False
        if on_wait:
            on_wait()
            on_wait = None
        reaper.look()
        time.sleep(LOOK * random.uniform(0.5, 1.5))  # noqa: S311  # not a secret: spreads those who wait
    perform(job, once=once)
    job.refresh_from_db()
    return True


def _log_end(job: Job, how: str, once: bool) -> None:
    """Log how `job` ended, but for whoever waits for it and is told anyway."""
    log.log(logging.DEBUG if once else logging.INFO, "%s %s has ended: %s", job._meta.model_name, job.pk, how)


def _work(job: Job) -> None:
    if job.via in DOORS_OF_PEOPLE and not job.user:
        raise JobError("not_allowed", "Whoever asked for this has no account any more.")
    if job.user and not has_role(job.user, job.role):
        raise JobError("not_allowed", f"{job.user} may not do this any more: it takes the role {job.role}.")
    import_string(f"{job.pipeline}.{job.goal}")(job)
    reach("job:done")
    if job.status in LIVE:
        raise RuntimeError(f"{job.pipeline}.{job.goal} returned without finish()")


def _as_job_error(error: Exception) -> JobError:
    """Return what people are told of a fault: what it was goes into the log."""
    what, do = "There was an unexpected error", "The log of the worker says more."
    if is_out_of_room(error):
        what, do = "The disk is full", "Make room on it, or ask an admin to, then start it again."
    elif isinstance(error, (DatabaseError, InterfaceError)):
        what = "The database gave an error"
    elif isinstance(error, OSError):
        what = "The files of this job could not be reached"
    message = f"{what}, so this job was given up. Nothing was changed. {do}"
    return JobError("internal", message)


def _cancel(job: Job) -> None:
    finish(job, Status.CANCELLED, code="cancelled", message="Stopped before anything was written.")


def _try_again_or_fail(job: Job, failure: dict[str, object]) -> None:
    if job.attempt >= ATTEMPTS:
        finish(job, Status.FAILED, **failure)
    else:
        give_back(job, counted=True, wait=timedelta(seconds=BACK_OFF * 2 ** (job.attempt - 1)))


def _end(job: Job, write: Callable[[], None]) -> None:
    """Write how the job ended, on a new connection: the old one may be in any state."""
    _new_connection()
    try:
        write()
    except LeaseLost:
        log.warning("%s %s was not ours any more when it ended", job._meta.model_name, job.pk)
        free_lanes(job)


def _let_go(job: Job) -> None:
    _new_connection()
    free_lanes(job)


def _new_connection() -> None:
    if not connection.in_atomic_block:  # the transaction of a test around us
        connection.close()
