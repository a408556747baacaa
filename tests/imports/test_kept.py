"""A good file that came with a form in which something else was missing is kept for its sender."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accessaudience.objectstore import FileStoreError
from imports.forms import UploadForm
from imports.models import ImportJob
from imports.retention import remove_old_files
from tests.imports.test_upload import GOOD, UPLOAD, stored

pytestmark = pytest.mark.django_db(transaction=True)

Again = Callable[..., Any]


@pytest.fixture
def held(upload: Callable[..., Any]) -> str:
    """The reference that the form brings back, once a file has come without a channel."""
    reference = upload(GOOD, name="VIP.csv", channel=[]).context["form"].kept
    assert reference
    return str(reference)


@pytest.fixture
def again(as_marketer: Client, held: str) -> Again:
    """Send the form again, without a file: `again(channel="sms", client=…)`."""

    def send(client: Client = as_marketer, **data: Any) -> Any:
        return client.post(UPLOAD, {"object_type": "segments", "channel": "email", "kept": held, **data})

    return send


@pytest.mark.parametrize("missing", [{"channel": []}, {"channel": ["fax"]}, {"object_type": ""}])
def test_file_is_kept_whatever_else_is_missing(upload: Callable[..., Any], missing: dict[str, Any]) -> None:
    answer = upload(GOOD, name="VIP.csv", **missing)
    assert answer.status_code == 422
    assert "“VIP.csv” is kept. You need not choose it again." in answer.content.decode()
    assert not ImportJob.objects.exists()


@pytest.mark.parametrize("sample", ["34_people_not_segments.csv", "18_header_only.csv"])
def test_file_that_is_refused_is_not_kept(upload: Callable[..., Any], sample: str) -> None:
    before = stored()
    assert not upload(sample, channel=[]).context["form"].kept
    assert stored() == before


def test_kept_file_is_imported_without_being_chosen_again(again: Again) -> None:
    assert again().status_code == 302
    job = ImportJob.objects.get()
    assert (job.file_name, job.size, job.targets.get().created) == ("VIP.csv", len(GOOD), 1)
    assert default_storage.listdir(f"imports/{job.pk}")[1].count(job.file.rpartition("/")[2]) == 1


def test_file_is_stored_once_however_often_the_form_lacks_something(again: Again, held: str) -> None:
    before = stored()
    assert again(channel=[]).context["form"].kept.split(":")[0] == held.split(":")[0]
    assert stored() == before


def test_another_file_takes_the_place_of_the_kept_one(again: Again) -> None:
    again(file=SimpleUploadedFile("other.csv", GOOD + b"Lapsed,l-2\n"))
    assert (ImportJob.objects.get().file_name, ImportJob.objects.get().rows) == ("other.csv", 2)


def test_kept_file_is_its_senders_alone(again: Again, as_admin: Client, held: str) -> None:
    for answer in (again(as_admin), again(kept=held[:-1]), again(kept="x")):
        assert answer.status_code == 422
        assert "Choose a CSV file." in answer.content.decode()
    assert not ImportJob.objects.exists()


def test_kept_file_that_is_abandoned_is_removed_and_asked_for_again(again: Again, settings: Any) -> None:
    settings.UPLOAD_RETENTION_DAYS = 0
    assert remove_old_files() > 0
    settings.UPLOAD_RETENTION_DAYS = 30
    assert "Choose a CSV file." in again().content.decode()


def test_reference_is_good_for_no_longer_than_the_file_is_kept(again: Again, settings: Any) -> None:
    settings.UPLOAD_RETENTION_DAYS = 0
    assert "Choose a CSV file." in again().content.decode()


def test_kept_file_sent_twice_is_one_import(again: Again) -> None:
    assert again()["Location"] == again()["Location"]
    assert ImportJob.objects.count() == 1


def test_kept_file_sent_again_for_other_channels_is_another_import_with_a_file_of_its_own(again: Again) -> None:
    again()
    again(channel="sms")
    files = set(ImportJob.objects.values_list("file", flat=True))
    assert len(files) == 2
    assert all(default_storage.exists(file) for file in files)


def test_kept_file_that_cannot_be_read_just_now_is_still_kept(
    again: Again, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **options: Any) -> None:
        raise FileStoreError("The store does not answer.", "Try again.")

    with monkeypatch.context() as patch:
        patch.setattr(default_storage, "open", away)
        answer = again()
    assert answer.status_code == 507
    assert f'name="kept" value="{held}"' in answer.content.decode()
    assert "Your file is kept. You need not choose it again." in answer.content.decode()
    assert again().status_code == 302


@pytest.mark.parametrize("channel", ["email", "sms"])
def test_kept_file_stays_with_the_first_of_two_that_are_sent_at_once(
    again: Again, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    again()
    first = ImportJob.objects.get()
    look = UploadForm._sent_before
    looks = iter([lambda token: None, look])  # the first look was before the other had sent it
    monkeypatch.setattr(UploadForm, "_sent_before", staticmethod(lambda token: next(looks)(token)))
    assert again(channel=channel).status_code == 302
    assert ImportJob.objects.count() == (1 if channel == "email" else 2)
    assert default_storage.exists(first.file)
