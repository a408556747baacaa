"""Uploads are kept for so many days: what a file held lives on in segments and change sets.

Goes in: the setting UPLOAD_RETENTION_DAYS. Comes out: storage without the files of older imports.
Called by the worker's schedule. Must not know: what is in the files.
"""

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import Q
from django.utils import timezone

from imports import stored
from imports.models import ImportJob
from jobs.models import ENDED, Status

log = logging.getLogger(__name__)

FOLDER = "imports"
ABANDONED = (Status.UPLOADED, Status.READY, Status.NEEDS_ANSWER)  # they wait for a person, who may never come


def remove_old_files() -> int:
    """Delete the files of imports that ended, or were left lying, too long ago; return of how many.

    The imports stay, with their counts and first error rows. One that was never started ends here,
    and says why.
    """
    before = timezone.now() - timedelta(days=settings.UPLOAD_RETENTION_DAYS)
    left_lying = Q(status__in=ABANDONED, created_at__lt=before)
    over = Q(status__in=ENDED, finished_at__lt=before)
    old = ImportJob.objects.filter(left_lying | over).exclude(file="")
    removed = 0
    for job in old.iterator():
        message = f"The file was removed after {settings.UPLOAD_RETENTION_DAYS} days. Upload it again to import it."
        if job.is_matching and not job.transition(
            Status.CANCELLED, of=(*ABANDONED, Status.FAILED), code="removed", message=message
        ):
            continue  # somebody goes on with it at this very moment
        if job.status in ENDED:
            stored.remove_all(job.pk)
            ImportJob.objects.filter(pk=job.pk).update(file="")
            removed += 1
    removed += _remove_of_nobody(before)
    _remove_broken_off(before)
    if removed:
        log.info("removed the files of %s old imports", removed)
    return removed


def _remove_of_nobody(before: datetime) -> int:
    """Delete files that no import knows: a process may die between storing one and saying so."""
    known = set(ImportJob.objects.exclude(file="").values_list("pk", flat=True))
    removed = 0
    for name in _folders():
        if name in known:
            continue
        times = [default_storage.get_modified_time(path) for path in stored.files_of(name)]
        if times and max(times) < before:  # an empty one is just being filled
            stored.remove_all(name)
            removed += 1
    return removed


def _remove_broken_off(before: datetime) -> None:
    """Delete what came in of uploads whose process died meanwhile."""
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir():
        with suppress(FileNotFoundError):  # another worker was first
            if path.stat().st_mtime < before.timestamp():
                path.unlink()


def _folders() -> list[UUID]:
    """Return the imports that have a folder in storage; others' folders are not ours to touch."""
    try:
        names = default_storage.listdir(FOLDER)[0]
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        try:
            found.append(UUID(name))
        except ValueError:
            continue
    return found
