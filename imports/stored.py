"""The files of one import in storage: `imports/<its uuid>/…`.

Goes in: a job and the name of one of its files. Comes out: bytes. Works with any storage of
Django's, whose files are written once and read: folders may be no more than how names begin, and nobody
may ask whether a name is free. Must not know: what is in them.
"""

from contextlib import suppress
from typing import IO, BinaryIO, cast
from uuid import UUID, uuid4

from django.core.files import File
from django.core.files.storage import default_storage

from imports.models import ImportJob


def name_of(job: ImportJob, name: str) -> str:
    """Return where the job's file `name` is stored: each attempt that ended well has written files of its own."""
    return f"imports/{job.pk}/{job.files}{name}"


def place_for_upload(job: UUID) -> str:
    """Return a name for an upload that nobody else stores under: of the same form, twenty may come at once."""
    return f"imports/{job}/upload-{uuid4().hex}"


def is_of_import(job: UUID, name: str) -> bool:
    """Whether the stored file `name` is the upload of the import `job`."""
    return ImportJob.objects.filter(pk=job, file=name).exists()


def open_stored(name: str) -> BinaryIO:
    """Open a stored file to read; FileNotFoundError if it is not there."""
    return cast(BinaryIO, default_storage.open(name).file)


def replace(job: ImportJob, name: str, content: IO[bytes]) -> None:
    """Store all of `content` as the job's file `name`, in place of what was there."""
    remove(job, name)
    content.seek(0)
    default_storage.save(name_of(job, name), File(content))


def remove(job: ImportJob, name: str) -> None:
    """Delete the job's file `name`, if it is there."""
    default_storage.delete(name_of(job, name))


def files_of(job: UUID) -> list[str]:
    """Return the names of all that is stored of an import."""
    folder = f"imports/{job}"
    try:
        return [f"{folder}/{name}" for name in default_storage.listdir(folder)[1]]
    except FileNotFoundError:
        return []


def remove_all(job: UUID) -> None:
    """Delete all that is stored of an import, and its folder."""
    for name in files_of(job):
        default_storage.delete(name)
    default_storage.delete(f"imports/{job}")


def remove_written(job: ImportJob, files: str) -> None:
    """Delete what an attempt has written, whose names begin with `files`; what cannot be deleted, retention will."""
    folder = f"imports/{job.pk}"
    with suppress(OSError):
        for name in default_storage.listdir(folder)[1] if files else []:
            if name.startswith(files):
                default_storage.delete(f"{folder}/{name}")
