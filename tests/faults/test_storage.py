"""The uploads cannot be read: nothing changes, and the page says why."""

import shutil

import pytest

from jobs.lease import ATTEMPTS
from tests.faults.conftest import Installation

pytestmark = [pytest.mark.fault, pytest.mark.once]


def test_upload_that_is_gone_ends_its_import_and_the_page_says_so(installation: Installation) -> None:
    job = installation.queue()
    before = installation.catalogue()
    shutil.rmtree(installation.data / "uploads")
    assert installation.work_once() == 0
    assert (installation.job().status, installation.job().code) == ("failed", "file_missing")
    assert installation.catalogue() == before
    installation.assert_sound()
    assert "The uploaded file is no longer there." in installation.ask(f"/data/imports/{job}/")


def test_upload_that_is_not_the_one_that_was_stored_is_refused(installation: Installation) -> None:
    job = installation.queue()
    before = installation.catalogue()
    (upload,) = (installation.data / "uploads").rglob("upload*")
    upload.write_bytes(upload.read_bytes().replace(b"Segment 7,", b"Segment X,"))
    assert installation.work_once() == 0
    assert (installation.job().status, installation.job().code) == ("failed", "file_changed")
    assert installation.catalogue() == before
    assert "not the one that was uploaded" in installation.ask(f"/data/imports/{job}/")


def test_storage_that_does_not_answer_is_tried_again_and_done_when_it_does(installation: Installation) -> None:
    installation.queue()
    before = installation.catalogue()
    uploads = installation.data / "uploads"
    away = uploads.rename(installation.data / "away")
    uploads.write_text("no folder any more")
    assert installation.work_once() == 0
    assert (installation.job().status, installation.job().attempt) == ("waiting", 1)
    assert installation.catalogue() == before
    installation.assert_sound()
    uploads.unlink()
    away.rename(uploads)
    assert installation.work_once() == 0
    installation.assert_imported()


def test_storage_that_never_answers_ends_the_import_after_three_attempts(installation: Installation) -> None:
    job = installation.queue()
    before = installation.catalogue()
    uploads = installation.data / "uploads"
    uploads.rename(installation.data / "away")
    uploads.write_text("no folder any more")
    for _ in range(ATTEMPTS):
        assert installation.work_once() == 0
    assert installation.job().status == "failed"
    assert installation.catalogue() == before
    assert "Nothing was changed." in installation.ask(f"/data/imports/{job}/")
