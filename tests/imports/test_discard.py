"""Discarding an upload that nobody has started to import: it is gone, with its files; a started one stays."""

from collections.abc import Callable

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse

from imports import stored
from imports.models import ImportJob
from jobs import lease
from jobs.models import Status
from jobs.runner import perform
from people.models import Person

pytestmark = pytest.mark.django_db(transaction=True)

GOOD = b"Segment name,Segment ID\nVIP,v-1\n"


def url(job: ImportJob, name: str = "discard") -> str:
    return reverse(f"imports:{name}", args=[job.pk])


def test_discards_the_import_and_all_that_is_stored_of_it(
    as_marketer: Client, uploaded: Callable[..., ImportJob]
) -> None:
    job = uploaded(GOOD)
    assert len(stored.files_of(job.pk)) == 2  # the file and its plan
    answer = as_marketer.post(url(job), follow=True)
    assert "“segments.csv” is discarded. Nothing of it was imported." in answer.content.decode()
    assert not ImportJob.objects.exists()
    assert not default_storage.exists(f"imports/{job.pk}")


@pytest.mark.parametrize("name", ["mapping", "list"])
def test_both_the_page_of_the_upload_and_the_list_offer_it(
    as_marketer: Client, uploaded: Callable[..., ImportJob], name: str
) -> None:
    job = uploaded(GOOD)
    page = as_marketer.get(url(job, name) if name == "mapping" else reverse("imports:list"))
    assert f'<form method="post" action="{url(job)}"' in page.content.decode()


def test_nobody_else_is_offered_it(as_viewer: Client, uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded(GOOD)
    assert url(job) not in as_viewer.get(reverse("imports:list")).content.decode()


def test_sent_twice_it_says_that_the_upload_is_gone(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded(GOOD)
    as_marketer.post(url(job))
    answer = as_marketer.post(url(job), follow=True)
    assert "This upload is no longer here." in answer.content.decode()


def test_an_import_that_was_started_stays(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded(GOOD)
    as_marketer.post(url(job, "start"))
    answer = as_marketer.post(url(job), follow=True)
    assert "It was too late to discard this upload" in answer.content.decode()
    assert ImportJob.objects.get().status == Status.WAITING
    assert default_storage.exists(job.file)


def test_a_check_under_way_stops_and_leaves_nothing(
    as_marketer: Client, marketer: Person, uploaded: Callable[..., ImportJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = uploaded(GOOD)
    job.transition(Status.WAITING, of=(Status.READY,), goal=ImportJob.Goal.CHECK)
    claimed = lease.claim("worker of the test")
    assert claimed
    assert ImportJob.objects.get().status == Status.CHECKING
    as_marketer.post(url(job))
    perform(claimed)
    assert not ImportJob.objects.exists()
