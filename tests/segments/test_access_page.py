"""The tab Access of Activity: for Admins, with filters, pages and an export."""

import csv
import io

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from people.audit import Kind, record
from people.models import AccessEvent, Person
from segments.access import ICONS, KINDS, PAGE

pytestmark = pytest.mark.django_db
URL = "/activity/access/"


def shown(client: Client, **query: str) -> list[str]:
    page = client.get(URL, query).context["page"]
    return [str(event) for event, _ in page.events]


def rows(client: Client, query: str = "") -> list[list[str]]:
    data = b"".join(client.get(f"{URL}export/{query}").streaming_content)  # type: ignore[attr-defined]
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_every_kind_is_in_one_filter_and_has_an_icon() -> None:
    filtered = [kind for _, kinds in KINDS.values() for kind in kinds]
    assert sorted(filtered) == sorted(Kind) == sorted(ICONS)


def test_the_newest_is_first(as_admin: Client, viewer: Person) -> None:
    record(Kind.SIGN_IN, None, person=viewer)
    record(Kind.SIGN_OUT, None, person=viewer)
    assert shown(as_admin) == ["Viewer Person Signed out", "Viewer Person Signed in"]


def test_only_admins_see_the_tab(as_admin: Client, as_marketer: Client) -> None:
    assert URL in as_admin.get("/activity/").content.decode()
    assert URL not in as_marketer.get("/activity/").content.decode()


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"q": "viewer@"}, 2),  # the address of who did it, and what it is about
        ({"q": "VIEWER person"}, 1),
        ({"kind": "failures"}, 1),
        ({"kind": "failures", "q": "viewer@example.com"}, 1),
        ({"kind": "exports"}, 0),
        ({"kind": "made-up", "older": "x"}, 2),
    ],
)
def test_search_and_kind_narrow(as_admin: Client, viewer: Person, query: dict[str, str], count: int) -> None:
    record(Kind.SIGN_IN, None, person=viewer)
    record(Kind.FAILED, None, viewer.email)
    assert len(shown(as_admin, **query)) == count


def test_what_matches_nothing_says_how_to_see_all(as_admin: Client) -> None:
    record(Kind.SIGN_IN, None)
    assert "show all" in as_admin.get(URL, {"q": "nothing like it"}).content.decode()


def test_older_ones_are_on_the_next_page_and_none_is_missing(as_admin: Client) -> None:
    for number in range(PAGE * 2 + 1):
        record(Kind.EXPORT, None, f"number {number}")
    found, older = [], ""
    while True:
        page = as_admin.get(URL, {"older": older}).context["page"]
        found += [event.about for event, _ in page.events]
        if not page.older_than:
            break
        older = page.older_than
    assert found == [f"number {number}" for number in reversed(range(PAGE * 2 + 1))]


def test_the_number_of_queries_does_not_depend_on_how_many_there_are(as_admin: Client, viewer: Person) -> None:
    record(Kind.SIGN_IN, None, person=viewer)
    as_admin.get(URL)
    with CaptureQueriesContext(connection) as few:
        as_admin.get(URL)
    for _ in range(30):
        record(Kind.SIGN_IN, None, person=viewer)
    with CaptureQueriesContext(connection) as many:
        as_admin.get(URL)
    assert len(many) == len(few) <= 8


def test_htmx_gets_the_list_alone(as_admin: Client) -> None:
    html = as_admin.get(URL, headers={"hx-request": "true"}).content.decode()
    assert '<div id="access">' in html
    assert "<html" not in html


def test_the_export_follows_what_is_filtered_by(as_admin: Client) -> None:
    record(Kind.SIGN_IN, None)
    record(Kind.FAILED, None, "nobody@example.com")
    html = as_admin.get(URL, {"kind": "failures"}, headers={"hx-request": "true"}).content.decode()
    assert '/activity/access/export/?kind=failures" id="export" hx-swap-oob="true"' in html
    assert [row[3] for row in rows(as_admin, "?kind=failures")] == ["What", "Failed to sign in"]


def test_text_from_outside_is_shown_as_text(as_admin: Client) -> None:
    record(Kind.FAILED, None, "<script>alert(1)</script>@example.com")
    assert "<script>alert" not in as_admin.get(URL).content.decode()


def test_the_export_is_safe_in_a_spreadsheet_and_recorded_itself(as_admin: Client, viewer: Person) -> None:
    record(Kind.FAILED, None, "=1+1@example.com")
    record(Kind.SIGN_IN, None, person=viewer)
    head, own, sign_in, failure = rows(as_admin)
    assert head[:5] == ["When", "Who", "Email", "What", "About"]
    assert own[1:5] == ["Admin Person", "admin@example.com", "Exported", "The record of access"]
    assert sign_in[1:5] == ["Viewer Person", "viewer@example.com", "Signed in", ""]
    assert failure[4] == "'=1+1@example.com"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/activity/export/", "Admin Person Exported Activity"),
        ("/channels/email/segments/export/", "Admin Person Exported Segments of Email"),
    ],
)
def test_every_export_is_recorded(as_admin: Client, path: str, words: str) -> None:
    as_admin.get(path)
    assert str(AccessEvent.objects.get()) == words
