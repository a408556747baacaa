"""Uploads and what was made of them are deleted after UPLOAD_RETENTION_DAYS."""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from imports.models import ImportJob
from imports.retention import remove_old_files
from jobs.models import Status
from jobs.worker import Worker

pytestmark = pytest.mark.django_db
Make = Callable[..., ImportJob]
LONG_AGO = timezone.now() - timedelta(days=31)
LATELY = timezone.now() - timedelta(days=29)


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A storage that holds nothing else."""
    monkeypatch.setattr(default_storage, "location", str(tmp_path), raising=False)
    monkeypatch.setattr(default_storage, "base_location", str(tmp_path), raising=False)
    return tmp_path


@pytest.fixture
def make() -> Make:
    """Make an import with an upload and an error file: `make(status=…, finished_at=…)`."""

    def import_job(**fields: object) -> ImportJob:
        job = ImportJob(file_name="segments.csv", **fields)
        job.file = default_storage.save(f"imports/{job.pk}/upload", ContentFile(b"Name\nVIP\n"))
        default_storage.save(f"imports/{job.pk}/errors.csv", ContentFile(b"Name\n"))
        job.save()
        return job

    return import_job


def stored(job: ImportJob) -> bool:
    return default_storage.exists(f"imports/{job.pk}")


@pytest.mark.parametrize("status", [Status.DONE, Status.FAILED, Status.CANCELLED])
def test_files_of_an_import_that_ended_long_ago_are_deleted(make: Make, status: Status) -> None:
    job = make(status=status, finished_at=LONG_AGO, message="As it was.")
    assert remove_old_files() == 1
    job.refresh_from_db()
    assert not stored(job)
    assert (job.file, job.status, job.message) == ("", status, "As it was.")


def test_files_of_an_import_that_ended_lately_are_kept(make: Make) -> None:
    job = make(status=Status.DONE, created_at=LONG_AGO, finished_at=LATELY)
    assert remove_old_files() == 0
    assert stored(job)


@pytest.mark.parametrize("status", [Status.UPLOADED, Status.READY])
def test_import_that_nobody_started_ends_and_says_why(make: Make, status: Status) -> None:
    job = make(status=status, created_at=LONG_AGO)
    remove_old_files()
    job.refresh_from_db()
    assert not stored(job)
    assert (job.status, job.code) == (Status.CANCELLED, "removed")
    assert "after 30 days" in job.message


def test_columns_of_a_removed_file_cannot_be_matched_any_more(make: Make) -> None:
    job = make(status=Status.FAILED, goal=ImportJob.Goal.CHECK, finished_at=LONG_AGO)
    remove_old_files()
    job.refresh_from_db()
    assert not job.is_matching
    assert job.status == Status.CANCELLED


@pytest.mark.parametrize("status", [Status.WAITING, Status.CHECKING, Status.RUNNING])
def test_import_at_work_keeps_its_file_however_old_it_is(make: Make, status: Status) -> None:
    job = make(status=status, created_at=LONG_AGO)
    assert remove_old_files() == 0
    assert stored(job)


def test_days_are_a_setting(make: Make, settings: object) -> None:
    settings.UPLOAD_RETENTION_DAYS = 7  # type: ignore[attr-defined]  # what pytest-django gives
    make(status=Status.DONE, finished_at=LATELY)
    assert remove_old_files() == 1


def test_files_that_no_import_knows_are_deleted_once_they_are_old(storage: Path) -> None:
    old, new = uuid4(), uuid4()
    for folder in (old, new, "of-somebody-else"):
        default_storage.save(f"imports/{folder}/upload", ContentFile(b"x"))
    month_ago = time.time() - 31 * 24 * 3600
    for folder in (old, "of-somebody-else"):
        os.utime(storage / "imports" / str(folder) / "upload", (month_ago, month_ago))
    assert remove_old_files() == 1
    assert {path.name for path in (storage / "imports").iterdir()} == {str(new), "of-somebody-else"}


@pytest.mark.django_db(transaction=True)
def test_worker_does_it_without_being_asked(make: Make) -> None:
    job = make(status=Status.DONE, finished_at=LONG_AGO)
    Worker("w").work(drain=True)
    assert not stored(job)


def test_import_that_somebody_goes_on_with_meanwhile_keeps_its_file(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make(status=Status.FAILED, goal=ImportJob.Goal.CHECK, finished_at=LONG_AGO)
    transition = ImportJob.transition

    def lose(found: ImportJob, *args: Any, **kwargs: Any) -> bool:
        ImportJob.objects.update(status=Status.WAITING)
        return transition(found, *args, **kwargs)

    monkeypatch.setattr(ImportJob, "transition", lose)
    assert remove_old_files() == 0
    job.refresh_from_db()
    assert stored(job)
    assert (job.status, bool(job.file)) == (Status.WAITING, True)


def test_what_came_in_of_a_broken_off_upload_is_deleted_once_it_is_old(tmp_path: Path, settings: Any) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    old, new = tmp_path / "old.upload", tmp_path / "new.upload"
    for path in (old, new):
        path.touch()
    os.utime(old, (LONG_AGO.timestamp(),) * 2)
    remove_old_files()
    assert list(tmp_path.iterdir()) == [new]
