"""How much one person may ask for: uploads within an hour, jobs that wait. Counted for all processes together."""

from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accessaudience.errors import TooMuch
from channels.models import Channel
from imports import quota
from imports.models import ImportJob, UploadTry
from jobs.models import Status
from people.models import Person
from segments import changes
from segments.bulk import acting
from segments.models import BulkJob

GOOD = b"Segment name,Segment ID\nVIP,v-1\n"

pytestmark = pytest.mark.django_db


def test_one_upload_too_many_in_an_hour_is_refused_with_what_to_do(
    upload: Callable[..., Any], uploaded: Callable[..., ImportJob], settings: Any
) -> None:
    settings.UPLOADS_AN_HOUR = 2
    for number in range(2):
        uploaded(GOOD + f"Other,o-{number}\n".encode())
    kept = set(default_storage.listdir("imports")[0])
    answer = upload(GOOD)
    assert answer.status_code == 429
    text = answer.content.decode()
    assert "Too much at once" in text
    assert "You have uploaded 2 files within an hour, as many as one person may. Try again in 60 minutes." in text
    assert "Nothing was changed." in text
    assert 3500 < int(answer["Retry-After"]) <= 3601
    assert ImportJob.objects.count() == 2
    assert set(default_storage.listdir("imports")[0]) == kept


def test_refused_and_discarded_files_count_too(upload: Callable[..., Any], settings: Any) -> None:
    settings.UPLOADS_AN_HOUR = 1
    assert upload(b"%PDF-1.7").status_code == 422
    assert upload(GOOD).status_code == 429


def test_an_hour_later_there_is_room_again(uploaded: Callable[..., ImportJob], settings: Any, marketer: Person) -> None:
    settings.UPLOADS_AN_HOUR = 1
    UploadTry.objects.create(user=marketer, at=timezone.now() - timedelta(hours=1, seconds=1))
    uploaded(GOOD)
    assert UploadTry.objects.count() == 1  # what counts no more is gone


def test_uploads_of_others_do_not_count(upload: Callable[..., Any], as_admin: Client, settings: Any) -> None:
    settings.UPLOADS_AN_HOUR = 1
    assert upload(b"").status_code == 422
    file = SimpleUploadedFile("a.csv", GOOD)
    assert as_admin.post(reverse("imports:upload"), {"channel": "email", "object_type": "segments", "file": file})


def test_the_page_itself_is_not_counted(as_marketer: Client, settings: Any) -> None:
    settings.UPLOADS_AN_HOUR = 1
    for _ in range(3):
        assert as_marketer.get(reverse("imports:upload")).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_many_uploads_at_once_just_as_many_as_there_is_room_for_are_taken(marketer: Person, settings: Any) -> None:
    settings.UPLOADS_AN_HOUR = 5
    refused = []

    def send() -> None:
        try:
            quota.take(marketer)
        except TooMuch as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [Thread(target=send) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (UploadTry.objects.count(), len(refused)) == (5, 7)


def test_who_has_too_many_jobs_waiting_starts_no_other(
    upload: Callable[..., Any], as_marketer: Client, uploaded: Callable[..., ImportJob], marketer: Person, settings: Any
) -> None:
    ready = uploaded(GOOD)
    settings.WAITING_JOBS = 2
    email = Channel.objects.get(slug="email")
    ImportJob.objects.create(user=marketer, file_name="a.csv")
    BulkJob.objects.create(user=marketer, channel=email, action=BulkJob.Action.DELETE, chosen={})
    for answer in (upload(GOOD + b"b,b\n"), as_marketer.post(reverse("imports:start", args=[ready.pk]))):
        assert answer.status_code == 429
        assert "2 jobs of yours are waiting, as many as one person may have." in answer.content.decode()
    with pytest.raises(TooMuch):
        acting.begin(BulkJob.Action.DELETE, email, {}, [], changes.By(marketer))
    assert ImportJob.objects.get(pk=ready.pk).status == Status.READY
    ImportJob.objects.filter(status=Status.WAITING).update(status=Status.DONE)
    assert as_marketer.post(reverse("imports:start", args=[ready.pk])).status_code == 302


def test_jobs_of_nobody_in_particular_have_no_limit(settings: Any) -> None:
    settings.WAITING_JOBS = 1
    email = Channel.objects.get(slug="email")
    for _ in range(3):
        acting.begin(BulkJob.Action.DELETE, email, {}, [], changes.By())
