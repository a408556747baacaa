"""Uploading a file: what is kept, what is refused, and that one form is one import."""

import errno
import gzip
import hashlib
import io
import os
import threading
import urllib.error
import zipfile
from collections.abc import Callable
from typing import Any
from urllib.request import HTTPRedirectHandler, Request, build_opener
from uuid import UUID, uuid4

import pytest
from django.conf import settings as of_project
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django.live_server_helper import LiveServer

from imports import uploads
from imports.forms import UploadForm
from imports.models import ImportJob
from imports.uploads import shown_name
from jobs.models import Status
from people.models import Person

pytestmark = pytest.mark.django_db

UPLOAD = "/data/upload/"
GOOD = b"Segment name,Segment ID\nVIP,v-1\n"


def zipped(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in names:
            file.writestr(name, "<x/>")
    return content.getvalue()


def stored() -> set[str]:
    """The imports that have a folder in storage."""
    return set(default_storage.listdir("imports")[0]) if default_storage.exists("imports") else set()


def test_page_shows_limits_of_the_settings(as_marketer: Client, settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 5 * 2**20
    settings.IMPORT_MAX_ROWS = 12_345
    assert "CSV, up to 5 MiB and 12,345 rows" in as_marketer.get(UPLOAD).content.decode()


def test_channel_of_the_address_is_ticked(as_marketer: Client) -> None:
    form = as_marketer.get(UPLOAD, {"channel": "sms"}).context["form"]
    assert form.chosen == ["sms"]


def test_each_form_has_a_token_of_its_own(as_marketer: Client) -> None:
    first, second = (as_marketer.get(UPLOAD).context["form"]["token"].value() for _ in range(2))
    assert UUID(first) != UUID(second)


def test_file_is_kept_under_a_name_of_our_own_with_size_and_digest(uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded(GOOD, name="../../etc/Kunden März.csv")
    assert job.file.startswith(f"imports/{job.pk}/upload-")
    with default_storage.open(job.file) as file:
        assert file.read() == GOOD
    assert (job.size, job.sha256) == (len(GOOD), hashlib.sha256(GOOD).hexdigest())
    assert job.file_name == "Kunden März.csv"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("segments.csv", "segments.csv"),
        ("C:\\Users\\Maya\\segments.csv", "segments.csv"),
        ("../../../etc/passwd", "passwd"),
        ("a\x00b\x1b[31m\u202ecsv.csv", "ab[31mcsv.csv"),
        ("  two   words .csv ", "two words .csv"),
        ("", "upload.csv"),
        ("/", "upload.csv"),
        ("x" * 300 + ".csv", "x" * 251 + ".csv"),
        ("y" * 300, "y" * 255),
    ],
)
def test_name_of_a_file_is_text_to_show(name: str, text: str) -> None:
    assert shown_name(name) == text


def test_good_file_is_matched_and_checked_at_once(uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded(GOOD, channel=["email", "sms"])
    assert job.status == Status.READY
    assert job.mapping["name"] == {"column": 1}
    assert [(t.channel.slug, t.created) for t in job.targets.all()] == [("email", 1), ("sms", 1)]


def test_our_own_sample_file_has_no_errors(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    sample = as_marketer.get(reverse("imports:sample"))
    assert sample["Content-Disposition"] == 'attachment; filename="segments-sample.csv"'
    job = uploaded(sample.content)
    assert job.totals == {"created": 3, "updated": 0, "unchanged": 0, "skipped": 0, "errors": 0}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "Excel workbook"),
        (zipped("segments.csv"), "zip archive"),
        (gzip.compress(GOOD, mtime=0), "gzip file"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF document"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "PNG image"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "JPEG image"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
    ],
)
def test_other_kinds_of_files_are_refused_by_name_and_not_kept(
    upload: Callable[..., Any], content: bytes, what: str
) -> None:
    before = stored()
    answer = upload(content, name="segments_final.csv")
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "“segments_final.csv” is not a CSV file" in text
    assert f"This is a{'n' if what[0] == 'E' else ''} {what}." in text
    assert "Nothing was stored." in text
    assert not ImportJob.objects.exists()
    assert stored() == before


def test_a_zip_archive_that_is_named_like_a_workbook_is_told_as_what_it_is(upload: Callable[..., Any]) -> None:
    text = upload(zipped("segments.csv"), name="segments.xlsx").content.decode()
    assert "Its name says Excel workbook, but what is in it is another zip archive, or damaged." in text


def test_type_that_the_browser_names_does_not_matter(as_marketer: Client) -> None:
    file = io.BytesIO(GOOD)
    file.name = "segments.xlsx"
    data = {"object_type": "segments", "channel": "email", "file": file}
    assert as_marketer.post(UPLOAD, data).status_code == 302


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty. Export it again, then upload that file."),
        (b"\n \n\n", "There is nothing in the file."),
        (b"Segment name,Link\n", "The file has column names and no rows below them."),
    ],
)
def test_file_without_rows_is_refused_and_not_kept(upload: Callable[..., Any], content: bytes, message: str) -> None:
    before = stored()
    answer = upload(content)
    assert answer.status_code == 422
    assert message in answer.content.decode()
    assert stored() == before


def test_list_of_people_is_asked_about_before_anything_is_kept(upload: Callable[..., Any]) -> None:
    before = stored()
    answer = upload("34_people_not_segments.csv")
    assert answer.status_code == 422
    assert "This looks like a list of people, not of segments" in answer.content.decode()
    assert not ImportJob.objects.exists()
    assert stored() == before


def test_file_that_looks_like_people_is_taken_when_somebody_says_that_it_is_segments(
    uploaded: Callable[..., ImportJob],
) -> None:
    job = uploaded("34_people_not_segments.csv", people_confirmed="on")
    assert job.people_confirmed
    assert job.status == Status.UPLOADED
    assert not job.mapping["name"]


def test_file_beyond_the_limit_is_answered_in_our_look_and_not_kept(upload: Callable[..., Any], settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 100_000
    before = stored()
    answer = upload(GOOD + b"A,b\n" * 50_000)
    assert answer.status_code == 413
    assert "This file is too large" in answer.content.decode()
    assert not ImportJob.objects.exists()
    assert stored() == before


def test_file_of_just_the_limit_is_taken(uploaded: Callable[..., ImportJob], settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = len(GOOD)
    assert uploaded(GOOD).size == len(GOOD)


def test_file_of_another_field_is_dropped(as_marketer: Client) -> None:
    data = {"object_type": "segments", "channel": "email", "avatar": io.BytesIO(GOOD), "file": io.BytesIO(GOOD)}
    answer = as_marketer.post(UPLOAD, data)
    assert list(answer.wsgi_request.FILES) == ["file"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"channel": []}, "Choose at least one channel."),
        ({"channel": ["fax"]}, "There is no channel “fax” any more."),
        ({"file": ""}, "Choose a CSV file."),
    ],
)
def test_what_is_missing_is_said_and_what_was_chosen_stays(
    upload: Callable[..., Any], data: dict[str, Any], message: str
) -> None:
    answer = upload(GOOD, **data)
    assert answer.status_code == 422
    assert message in answer.content.decode()


def test_form_of_another_site_is_refused(marketer: Person) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(marketer)
    answer = client.post(UPLOAD, {"object_type": "segments", "channel": "email", "file": io.BytesIO(GOOD)})
    assert answer.status_code == 403
    assert not ImportJob.objects.exists()


def test_viewer_cannot_upload(as_viewer: Client) -> None:
    assert as_viewer.post(UPLOAD, {"file": io.BytesIO(GOOD)}).status_code == 403


def test_stranger_is_sent_to_sign_in(client: Client) -> None:
    assert client.post(UPLOAD, {"file": io.BytesIO(GOOD)})["Location"].startswith("/accounts/login/")


def test_same_form_sent_again_leads_to_the_same_import(uploaded: Callable[..., ImportJob]) -> None:
    token = uuid4()
    first, second = (uploaded(GOOD, token=token) for _ in range(2))
    assert first == second
    assert first.pk == token
    assert ImportJob.objects.count() == 1


@pytest.mark.parametrize("other", [{"content": GOOD + b"New,n-1\n"}, {"channel": "sms"}], ids=["file", "channel"])
def test_same_form_sent_again_with_something_else_is_another_import(
    uploaded: Callable[..., ImportJob], other: dict[str, Any]
) -> None:
    token = uuid4()
    first, second = uploaded(GOOD, token=token), uploaded(**{"content": GOOD, "token": token, **other})
    assert first.pk == token
    assert second.pk != token
    with default_storage.open(second.file) as file:
        assert file.read() == other.get("content", GOOD)


def test_form_of_somebody_else_is_another_import(
    uploaded: Callable[..., ImportJob], as_admin: Client, admin_person: Person
) -> None:
    first = uploaded(GOOD, token=uuid4())
    file = SimpleUploadedFile("segments.csv", GOOD)
    as_admin.post(UPLOAD, {"object_type": "segments", "channel": "email", "token": first.pk, "file": file})
    assert ImportJob.objects.exclude(pk=first.pk).get().user == admin_person


def test_browser_does_not_keep_the_form(as_marketer: Client) -> None:
    assert "no-store" in as_marketer.get(UPLOAD)["Cache-Control"]


@pytest.mark.parametrize("fails", ["new_file", "write", "seek"])
def test_a_full_disk_while_a_file_comes_in_says_what_to_do(
    upload: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if fails == "new_file":
        monkeypatch.setattr("django.core.files.uploadhandler.TemporaryUploadedFile", full)
    else:
        monkeypatch.setattr(TemporaryUploadedFile, fails, full, raising=False)
    answer = upload(GOOD)
    assert answer.status_code == 507
    text = answer.content.decode()
    assert "The file could not be stored" in text
    assert "Try again later, or ask an admin to make room." in text
    assert "Choose a CSV file." not in text
    assert not ImportJob.objects.exists()
    assert list(of_project.FILE_UPLOAD_TEMP_DIR.iterdir()) == []


def test_an_upload_is_stored_outside_any_transaction(
    uploaded: Callable[..., ImportJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    within, keep = [], uploads.keep

    def note(*args: Any) -> uploads.Kept:
        within.append(connection.in_atomic_block)
        return keep(*args)

    monkeypatch.setattr(uploads, "keep", note)
    uploaded(GOOD)
    assert within == [False]


def test_another_file_at_the_same_moment_under_the_same_token_is_another_import(
    uploaded: Callable[..., ImportJob], upload: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = uploaded(GOOD)
    look = UploadForm._sent_before
    looks = iter([lambda token: None, look])  # the first look was before the other had sent it
    monkeypatch.setattr(UploadForm, "_sent_before", staticmethod(lambda token: next(looks)(token)))
    answer = upload(GOOD + b"Lapsed,l-2\n", token=str(first.pk))
    assert answer.status_code == 302
    other = ImportJob.objects.exclude(pk=first.pk).get()
    assert (first.rows, other.rows) == (1, 2)
    assert default_storage.exists(first.file)
    assert other.file.startswith(f"imports/{other.pk}/upload-")


def test_storing_an_upload_only_renames_it(uploaded: Callable[..., ImportJob], monkeypatch: pytest.MonkeyPatch) -> None:
    received, keep = [], uploads.keep

    def note(job: UUID, upload: Any) -> uploads.Kept:
        received.append(os.stat(upload.temporary_file_path()).st_ino)
        return keep(job, upload)

    monkeypatch.setattr(uploads, "keep", note)
    kept = uploaded(GOOD).file
    assert [os.stat(default_storage.path(kept)).st_ino] == received


def test_twenty_forms_at_once_are_one_import(live_server: LiveServer, marketer: Person) -> None:
    client = Client()
    client.force_login(marketer)
    page = client.get(UPLOAD)
    token = str(page.context["form"]["token"].value())
    fields = {
        "csrfmiddlewaretoken": str(page.context["csrf_token"]),
        "token": token,
        "object_type": "segments",
        "channel": "sms",
    }
    cookies = "; ".join(
        f"{name}={client.cookies[name].value}" for name in ("csrftoken", of_project.SESSION_COOKIE_NAME)
    )
    body = multipart(fields, GOOD)
    headers = {"Content-Type": "multipart/form-data; boundary=here", "Cookie": cookies, "Referer": live_server.url}
    request = Request(live_server.url + UPLOAD, body, headers)  # noqa: S310  # of the test server
    answers: list[str] = []
    ready = threading.Barrier(20)

    def send() -> None:
        ready.wait()
        try:
            build_opener(NoRedirect).open(request, timeout=60)
        except urllib.error.HTTPError as answer:
            answers.append(f"{answer.code} {answer.headers['Location']}")

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [f"302 /data/imports/{token}/mapping/"] * 20
    job = ImportJob.objects.get()
    kept = [name for name in default_storage.listdir(f"imports/{token}")[1] if name.startswith("upload")]
    assert [f"imports/{token}/{name}" for name in kept] == [job.file]  # of whoever was first to say so
    assert job.targets.get().created == 1


class NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        """Give the redirect to the test."""


def multipart(fields: dict[str, str], content: bytes) -> bytes:
    parts = [f'--here\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()]
    file = b'--here\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + content
    return b"".join([*parts, file, b"\r\n--here--\r\n"])


def test_page_takes_the_same_queries_for_any_number_of_imports(
    as_marketer: Client, marketer: Person, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        ImportJob.objects.create(file_name=f"{number}.csv", user=marketer, status=Status.DONE)
    with django_assert_max_num_queries(8):
        as_marketer.get(UPLOAD)
