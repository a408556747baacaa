"""Uploads in an S3-compatible store: the same promises as in a folder, and nothing of them in one."""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as of_project
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from imports.forms import UploadForm
from imports.models import ImportJob
from imports.retention import remove_old_files
from jobs import runner
from jobs.models import Status
from segments.models import Segment
from tests.queued import queue_import, queue_rows
from tests.store import Bucket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

GOOD = b"Segment name,Segment ID\nVIP,v-1\nLapsed,l-2\n"
BAD = GOOD + b",n-3\n"
Uploaded = Callable[..., ImportJob]
Work = Callable[[], int]


@pytest.fixture(autouse=True)
def nothing_in_a_folder(bucket: Bucket) -> Iterator[None]:
    """Hold for every test here: no file goes into the folder of uploads, and none of what came in stays."""
    folders = of_project.UPLOADS_DIR, Path(of_project.FILE_UPLOAD_TEMP_DIR)
    before = [sorted(folder.rglob("*")) for folder in folders]
    yield
    assert [sorted(folder.rglob("*")) for folder in folders] == before


def url(job: ImportJob, name: str) -> str:
    return reverse(f"imports:{name}", args=[job.pk])


def test_upload_is_kept_under_a_name_of_its_own_with_size_and_digest(uploaded: Uploaded, bucket: Bucket) -> None:
    job = uploaded(GOOD, name="../../Kunden März.csv")
    assert job.file in bucket.names()
    stored = bucket.client.get_object(Bucket=bucket.name, Key=f"audience/{job.file}")
    with stored["Body"] as body:
        assert body.read() == GOOD
    assert (job.size, job.sha256) == (len(GOOD), hashlib.sha256(GOOD).hexdigest())
    assert stored["ContentType"] == "application/octet-stream"  # not what the sender called it
    grants = bucket.client.get_object_acl(Bucket=bucket.name, Key=f"audience/{job.file}")["Grants"]
    assert [grant["Grantee"]["Type"] for grant in grants] == ["CanonicalUser"]  # its owner's, and nobody else's


def test_a_file_is_matched_previewed_imported_and_its_errors_come_back(
    as_marketer: Client, uploaded: Uploaded, work: Work, bucket: Bucket
) -> None:
    job = uploaded(BAD)
    page = as_marketer.get(url(job, "mapping")).content.decode()
    assert "Lapsed" in page
    as_marketer.post(url(job, "start"))
    assert work() == 1
    job.refresh_from_db()
    assert (job.status, job.targets.get().created, job.targets.get().errors) == (Status.DONE, 2, 1)
    assert Segment.objects.count() == 2
    assert len(bucket.names()) == 3  # the upload, the plan and the error rows of the last attempt

    answer = as_marketer.get(url(job, "errors"))
    assert (answer.status_code, answer["X-Content-Type-Options"]) == (200, "nosniff")
    assert answer["Content-Disposition"].startswith("attachment")
    content = b"".join(answer)  # type: ignore[call-overload]  # a file's answer is iterable
    assert int(answer["Content-Length"]) == len(content)
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert [row[0] for row in rows] == ["Line", "4"]
    assert uploaded(content).rows == 1


def test_a_file_without_a_channel_is_kept_in_the_bucket_until_it_has_one(
    as_marketer: Client, upload: Callable[..., Any], bucket: Bucket
) -> None:
    kept = upload(GOOD, channel=[]).context["form"].kept
    as_marketer.post("/data/upload/", {"object_type": "segments", "channel": "email", "kept": kept})
    job = ImportJob.objects.get()
    assert job.status == Status.READY
    assert job.file in bucket.names()


def test_a_large_upload_goes_up_in_parts(uploaded: Uploaded, bucket: Bucket, settings: Any) -> None:
    settings.IMPORT_CHECK_IN_REQUEST_BYTES = 0
    content = GOOD + b"".join(b"Segment number %09d with a long name,i-%09d\n" % (n, n) for n in range(180_000))
    assert len(content) > 8 * 1024 * 1024
    job = uploaded(content)
    assert sum(method == "PUT" and job.file in path for method, path, _ in bucket.store.asked) == 2
    with default_storage.open(job.file) as file:
        assert hashlib.file_digest(file.file, "sha256").hexdigest() == job.sha256  # type: ignore[arg-type]


@pytest.mark.parametrize(("content", "imports"), [(GOOD, 1), (BAD, 2)], ids=["the same file", "another file"])
def test_two_senders_of_one_form_do_not_touch_each_others_file(
    uploaded: Uploaded, monkeypatch: pytest.MonkeyPatch, content: bytes, imports: int
) -> None:
    first = uploaded(GOOD)
    look = UploadForm._sent_before
    looks = iter([lambda token: None, look])  # the first look was before the other had sent it
    monkeypatch.setattr(UploadForm, "_sent_before", staticmethod(lambda token: next(looks)(token)))
    uploaded(content, token=str(first.pk))
    assert ImportJob.objects.count() == imports
    kept = [name for job in ImportJob.objects.all() for name in default_storage.listdir(f"imports/{job.pk}")[1]]
    assert sum(name.startswith("upload") for name in kept) == imports
    for job in ImportJob.objects.all():
        with default_storage.open(job.file) as file:
            assert hashlib.sha256(file.read()).hexdigest() == job.sha256


def test_what_is_discarded_is_gone_from_the_store(as_marketer: Client, uploaded: Uploaded, bucket: Bucket) -> None:
    job = uploaded(GOOD)
    assert len(bucket.names()) == 2  # the file and its plan
    as_marketer.post(url(job, "discard"))
    assert bucket.names() == []


def test_old_files_are_removed_and_those_of_nobody_once_they_are_old(
    uploaded: Uploaded, bucket: Bucket, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, nobodys = uploaded(GOOD), "imports/6f0a4a44-9d3f-4d3b-8c2e-1a8f6e0b9c11/upload-1"
    for name in (nobodys, "imports/of-somebody-else/file"):
        default_storage.save(name, ContentFile(b"x"))
    ImportJob.objects.update(status=Status.DONE, finished_at=timezone.now() - timedelta(days=31))
    assert remove_old_files() == 1
    assert bucket.names() == [nobodys, "imports/of-somebody-else/file"]
    job.refresh_from_db()
    assert job.file == ""
    month_ago = timezone.now() - timedelta(days=31)
    monkeypatch.setattr(default_storage._wrapped, "get_modified_time", lambda name: month_ago)
    assert remove_old_files() == 1
    assert bucket.names() == ["imports/of-somebody-else/file"]


def test_a_store_that_goes_away_changes_nothing_and_the_import_goes_on_when_it_is_back(
    work: Work, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BACK_OFF", 0)
    job = queue_import(30, "email")
    with bucket.store.away():
        assert work() == 3  # attempts
        job.refresh_from_db()
        assert (job.status, job.code) == (Status.FAILED, "internal")
        assert "The files of this job could not be reached" in job.message
        assert Segment.objects.count() == 2
    job.transition(Status.WAITING, of=(Status.FAILED,))
    ImportJob.objects.update(attempt=0)
    work()
    job.refresh_from_db()
    assert (job.status, Segment.objects.count()) == (Status.DONE, 30)


def test_a_store_that_takes_nothing_more_undoes_what_it_was_too_late_for(
    work: Work, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BACK_OFF", 0)
    job = queue_import(30, "email")
    with bucket.store.refusing("507 Insufficient Storage", "QuotaExceeded"):
        work()
        job.refresh_from_db()
        assert (job.status, job.change_set) == (Status.FAILED, None)
        assert Segment.objects.count() == 2
    assert bucket.names() == [job.file]


@pytest.mark.parametrize("how", ["away", "refusing"])
def test_an_upload_that_the_store_does_not_take_is_refused_in_a_sentence(
    upload: Callable[..., Any], bucket: Bucket, how: str
) -> None:
    store = bucket.store
    with store.away() if how == "away" else store.refusing("403 Forbidden", "AccessDenied"):
        answer = upload(GOOD)
    assert answer.status_code == 507
    assert "Nothing of the file was kept: the store of files does not answer, or takes none." in answer.content.decode()
    assert not ImportJob.objects.exists()
    assert bucket.names() == []


@pytest.mark.parametrize("page", ["mapping", "errors"])
def test_a_page_that_needs_a_file_says_that_the_store_is_away(
    as_marketer: Client, uploaded: Uploaded, bucket: Bucket, page: str
) -> None:
    job = uploaded(BAD)
    with bucket.store.away():
        answer = as_marketer.get(url(job, page))
    assert answer.status_code == 503
    assert "The files cannot be reached just now" in answer.content.decode()
    assert as_marketer.get(url(job, page)).status_code == 200


def test_a_file_that_is_gone_and_one_that_is_another_end_their_import(work: Work) -> None:
    gone = queue_import(3, "email")
    default_storage.delete(gone.file)
    work()
    gone.refresh_from_db()
    assert (gone.status, gone.code) == (Status.FAILED, "file_missing")
    changed = queue_rows([["VIP", "v-1"]], "sms", columns=2)
    default_storage.save(changed.file, ContentFile(b"name\nAnother\n"))
    work()
    changed.refresh_from_db()
    assert (changed.status, changed.code) == (Status.FAILED, "file_changed")


def test_the_command_imports_and_says_where_the_store_is_to_be_looked_at(bucket: Bucket, tmp_path: Path) -> None:
    file = tmp_path / "segments.csv"
    file.write_bytes(GOOD)
    call_command("import_segments", str(file), channel=["email"], stdout=io.StringIO())
    assert Segment.objects.count() == 2
    with bucket.store.away(), pytest.raises(CommandError, match="look at the endpoint in STORAGE_URL") as refused:
        call_command("import_segments", str(file), channel=["sms"], stdout=io.StringIO())
    assert refused.value.returncode == 1
    assert ImportJob.objects.count() == 1


def test_a_dry_run_leaves_nothing(bucket: Bucket, tmp_path: Path) -> None:
    file = tmp_path / "segments.csv"
    file.write_bytes(GOOD)
    call_command("import_segments", str(file), channel=["email"], dry_run=True, stdout=io.StringIO())
    assert bucket.names() == []
