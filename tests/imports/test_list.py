"""The list of imports: what it shows, how it is searched, and that it stays quick."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from channels.models import Channel
from imports.models import ImportJob
from jobs.models import Status
from people.models import Person
from segments.models import ChangeSet

pytestmark = pytest.mark.django_db

LIST = "/data/imports/"


@pytest.fixture
def job(marketer: Person) -> Callable[..., ImportJob]:
    """Make an import into a channel with counts: `job("a.csv", "sms", created=3)`."""

    def make(name: str, slug: str = "email", status: Status = Status.DONE, **counts: int) -> ImportJob:
        change_set = ChangeSet.objects.create(kind=ChangeSet.Kind.IMPORT) if counts.get("created") else None
        made = ImportJob.objects.create(file_name=name, user=marketer, status=status, change_set=change_set)
        made.targets.create(channel=Channel.objects.get(slug=slug), **counts)
        return made

    return make


def names(answer: Any) -> list[str]:
    return [job.file_name for job in answer.context["page"]]


def test_imports_are_listed_newest_first(as_viewer: Client, job: Callable[..., ImportJob]) -> None:
    for name in ("a.csv", "b.csv"):
        job(name)
    assert names(as_viewer.get(LIST)) == ["b.csv", "a.csv"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"created": 3, "updated": 2}, ("Done", "3 created, 2 updated")),
        ({"created": 1_131, "errors": 6}, ("6 errors", "1,131 created")),
        ({"unchanged": 4}, ("Done", "No changes")),
        ({"status": Status.FAILED}, ("Failed",)),
        ({"status": Status.CANCELLED}, ("Cancelled",)),
        ({"status": Status.RUNNING}, ("Running",)),
        ({"status": Status.CHECKING}, ("Checking",)),
        ({"status": Status.WAITING}, ("Waiting",)),
        ({"status": Status.READY}, ("Ready to import",)),
        ({"status": Status.UPLOADED}, ("Columns not matched yet",)),
    ],
)
def test_each_import_says_how_it_stands(
    as_viewer: Client, job: Callable[..., ImportJob], fields: dict[str, Any], words: tuple[str, ...]
) -> None:
    job("a.csv", **fields)
    text = as_viewer.get(LIST).content.decode()
    for word in words:
        assert word in text


def test_undone_import_is_marked_and_cannot_be_undone_again(as_marketer: Client, job: Callable[..., ImportJob]) -> None:
    made = job("a.csv", created=3)
    assert "Undo…" in as_marketer.get(LIST).content.decode()
    undo = ChangeSet.objects.create(kind=ChangeSet.Kind.UNDO, undoes=made.change_set)
    text = as_marketer.get(LIST).content.decode()
    assert "Undone" in text
    assert "Undo…" not in text
    assert names(as_marketer.get(LIST, {"result": "undone"})) == ["a.csv"]
    undo = ChangeSet.objects.create(kind=ChangeSet.Kind.UNDO, undoes=undo)
    assert "Undo…" in as_marketer.get(LIST).content.decode()
    ChangeSet.objects.create(kind=ChangeSet.Kind.UNDO, undoes=undo)
    assert names(as_marketer.get(LIST, {"result": "undone"})) == ["a.csv"]  # the undo holds again


def test_viewer_is_offered_no_undo_and_no_upload(as_viewer: Client, job: Callable[..., ImportJob]) -> None:
    job("a.csv", created=3)
    text = as_viewer.get(LIST).content.decode()
    assert "Undo…" not in text
    assert "Upload a CSV" not in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "LOYAL"}, ["loyalty.csv"]),
        ({"channel": "sms"}, ["sms.csv"]),
        ({"result": "failed"}, ["broken.csv"]),
        ({"result": "errors"}, ["sms.csv"]),
        ({"result": "ready"}, ["spring.csv"]),
        ({"result": "done", "channel": "email"}, ["loyalty.csv"]),
        ({"q": "nothing like it"}, []),
        ({"channel": "fax", "result": "odd"}, ["spring.csv", "broken.csv", "sms.csv", "loyalty.csv"]),
    ],
)
def test_list_is_searched_and_filtered(
    as_viewer: Client, job: Callable[..., ImportJob], query: dict[str, str], found: list[str]
) -> None:
    job("loyalty.csv", created=1)
    job("sms.csv", "sms", created=1, errors=2)
    job("broken.csv", "meta", Status.FAILED)
    job("spring.csv", "meta", Status.READY)
    answer = as_viewer.get(LIST, query)
    assert names(answer) == found
    if not found:
        assert "No import matches" in answer.content.decode()


def test_htmx_gets_the_table_alone(as_viewer: Client, job: Callable[..., ImportJob]) -> None:
    job("a.csv")
    answer = as_viewer.get(LIST, headers={"HX-Request": "true"})
    assert answer.content.decode().lstrip().startswith('<div id="imports-table">')
    assert "HX-Request" in answer["Vary"]


def test_long_list_has_pages_that_keep_the_filter(as_viewer: Client, marketer: Person) -> None:
    now = timezone.now()
    ImportJob.objects.bulk_create(
        ImportJob(file_name=f"file {n}.csv", user=marketer, status=Status.DONE, created_at=now) for n in range(120)
    )
    answer = as_viewer.get(LIST, {"page": "2", "q": "file"})
    assert len(names(answer)) == 50
    text = answer.content.decode()
    assert "51–100 of 120 imports" in text
    assert 'href="?q=file&amp;page=3"' in text


def test_empty_list_says_so(as_marketer: Client) -> None:
    assert "No imports yet" in as_marketer.get(LIST).content.decode()


def test_stranger_is_sent_to_sign_in(client: Client) -> None:
    assert client.get(LIST)["Location"].startswith("/accounts/login/")


def test_list_is_read_only(as_marketer: Client) -> None:
    assert as_marketer.post(LIST).status_code == 405


def test_list_takes_the_same_queries_for_any_number_of_imports(
    as_viewer: Client, job: Callable[..., ImportJob], django_assert_max_num_queries: Any
) -> None:
    job("first.csv", created=1)
    as_viewer.get(LIST)
    with django_assert_max_num_queries(8):
        as_viewer.get(LIST)
    for number in range(30):
        job(f"{number}.csv", created=1)
    with django_assert_max_num_queries(8):
        as_viewer.get(LIST)
