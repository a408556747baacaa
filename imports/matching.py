"""Matching columns: what a change on the mapping page does to an import.

Goes in: an import of which nothing has been started that would write, and a choice. Comes out: the
same, checked anew: at once where the file is small, else by a worker. Each step is one conditional
UPDATE, so that of many tabs and impatient clicks one wins. Must not know: requests, forms.
"""

import time
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from imports import stored
from imports.models import ImportJob
from imports.peek import Peek
from imports.reader import Limits
from jobs.models import Status
from jobs.runner import run_here
from people.models import Person

CHECK, RUN = ImportJob.Goal.CHECK, ImportJob.Goal.RUN
OPEN = (Status.UPLOADED, Status.WAITING, Status.CHECKING, Status.READY, Status.FAILED)
CHECKED = (Status.WAITING, Status.CHECKING, Status.READY)  # or about to be: its encoding is known
OURS = timedelta(seconds=10)  # so long workers leave a small file to the request that checks it
LOOK_AGAIN = 0.1  # seconds, while another request checks what this one would
NOT_STARTED = Q(status__in=(Status.UPLOADED, Status.READY)) | Q(goal=CHECK)


def limits() -> Limits:
    """Return what a file may hold at most, by the settings."""
    return Limits(settings.IMPORT_MAX_ROWS, settings.IMPORT_MAX_COLUMNS, settings.IMPORT_MAX_CELL)


def peek_at(job: ImportJob) -> Peek:
    """Return the top of the job's file; how it is read need not be found out again where a check has done so."""
    if job.status in CHECKED:
        return peek_as(job, job.encoding, job.delimiter)
    return peek_as(job, job.chosen_encoding, job.chosen_delimiter)


def peek_as(job: ImportJob, encoding: str, delimiter: str) -> Peek:
    """Return the top of the job's file, read in another way; "" is to be found out."""
    with default_storage.open(job.file) as stream:
        return Peek(stream.file, limits(), encoding, delimiter)  # type: ignore[arg-type]  # a binary file


def check_again(job: ImportJob, **changes: Any) -> None:
    """Note `changes` and check the whole file: now if it is small, else a worker does it.

    Nothing happens to an import that somebody has started meanwhile.
    """
    here = job.size <= settings.IMPORT_CHECK_IN_REQUEST_BYTES
    changes |= {"goal": CHECK, "message": "", "code": "", "not_before": timezone.now() + OURS if here else None}
    if not job.transition(Status.WAITING, of=OPEN, given=NOT_STARTED, told=not here, **changes):
        job.refresh_from_db()
    elif here:
        run_here(job, CHECK, of=(Status.WAITING,), wait=0)
        _wait_for_other(job)


def _wait_for_other(job: ImportJob) -> None:
    """Have what another request makes of the same file, if that one was first to check what both have noted."""
    give_up = time.monotonic() + OURS.total_seconds()
    job.refresh_from_db()
    while job.status == Status.CHECKING and time.monotonic() < give_up:
        time.sleep(LOOK_AGAIN)
        job.refresh_from_db()


def set_aside(job: ImportJob, **changes: Any) -> None:
    """Note `changes` and end any check: what has been chosen cannot be checked, or need not be."""
    if not job.transition(Status.UPLOADED, of=OPEN, given=NOT_STARTED, goal=CHECK, message="", code="", **changes):
        job.refresh_from_db()


def discard(job: ImportJob) -> bool:
    """Delete an import that nobody has started, and its files; False if somebody was first."""
    with transaction.atomic():
        # Moved on before it goes: a check of it loses its lease, and writes no more.
        if not job.transition(Status.CANCELLED, of=OPEN, given=NOT_STARTED):
            return False
        transaction.on_commit(partial(stored.remove_all, job.pk), robust=True)  # what stays, retention deletes
        ImportJob.objects.filter(pk=job.pk).delete()
    return True


def start(job: ImportJob, user: Person) -> bool:
    """Put a checked import into the queue, as `user`'s; False if it is not checked, or somebody was first."""
    return job.transition(Status.WAITING, of=(Status.READY,), goal=RUN, started_at=timezone.now(), user=user)
