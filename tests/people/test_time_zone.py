"""Times as the reader's clock shows them, and what else is kept of how one likes the pages."""

from datetime import UTC, datetime

import pytest
from django.test import Client, override_settings
from django.utils import timezone
from pytest_django.asserts import assertContains

from channels.models import Channel
from people import zones
from people.models import AccessEvent, Person
from segments import changes
from segments.models import ChangeSet, Segment
from segments.values import SegmentValues

pytestmark = pytest.mark.django_db

URL = "/accounts/time-zone/"
LATE = datetime(2025, 1, 31, 23, 30, tzinfo=UTC)


@pytest.fixture
def late(db: None) -> Segment:
    """A segment that was added when it was 31 January in London and 1 February in Berlin."""
    segment = changes.add(Channel.objects.get(slug="email"), SegmentValues("VIP"), changes.By())
    ChangeSet.objects.update(at=LATE)
    return segment


def test_times_are_shown_where_the_reader_is(as_marketer: Client, as_viewer: Client, late: Segment) -> None:
    assert as_marketer.post(URL, {"time_zone": "Europe/Berlin"})["Location"] == "/accounts/"
    assertContains(as_marketer.get(late.get_absolute_url()), "1 Feb 2025, 00:30")
    assertContains(as_viewer.get(late.get_absolute_url()), "31 Jan 2025, 23:30")


@override_settings(TIME_ZONE="America/New_York")
def test_who_chose_none_sees_the_time_zone_of_the_settings(as_marketer: Client, late: Segment) -> None:
    assertContains(as_marketer.get(late.get_absolute_url()), "31 Jan 2025, 18:30")
    assertContains(as_marketer.get("/accounts/"), "As for everybody: America/New_York")
    as_marketer.post(URL, {"time_zone": "Asia/Tokyo"})
    as_marketer.post(URL, {"time_zone": ""})
    assertContains(as_marketer.get(late.get_absolute_url()), "31 Jan 2025, 18:30")


def test_the_choice_is_shown_on_the_account_page(as_marketer: Client) -> None:
    page = as_marketer.post(URL, {"time_zone": "Asia/Tokyo"}, follow=True)
    assertContains(page, '<option value="Asia/Tokyo" selected>Tokyo</option>', html=True)
    assertContains(page, "Saved. Where you are it is")


def test_an_unknown_time_zone_is_refused(as_marketer: Client, marketer: Person) -> None:
    assert as_marketer.post(URL, {"time_zone": "Mars/Olympus"}).status_code == 400
    marketer.refresh_from_db()
    assert marketer.time_zone == ""


@pytest.mark.parametrize("name", ["Europe/Atlantis", "../etc/passwd", "x\0y"])
def test_a_time_zone_that_this_machine_does_not_know_is_that_of_the_settings(name: str) -> None:
    assert zones.zone_of(name) is None


def test_no_request_leaves_its_time_zone_behind(as_marketer: Client) -> None:
    before = str(timezone.get_current_timezone())
    as_marketer.post(URL, {"time_zone": "Asia/Tokyo"})
    as_marketer.get("/")
    assert str(timezone.get_current_timezone()) == before


def test_theme_and_rows_per_page_outlast_the_session(as_marketer: Client, marketer: Person, late: Segment) -> None:
    as_marketer.post("/theme/", {"theme": "dark"})
    as_marketer.get("/channels/email/segments/", {"rows": "100"})
    as_marketer.post("/accounts/logout/")
    assertContains(as_marketer.get("/accounts/login/"), 'data-bs-theme="dark"')
    as_marketer.force_login(marketer)
    page = as_marketer.get("/channels/email/segments/")
    assert page.context["size"] == 100
    assertContains(page, 'data-bs-theme="dark"')
    elsewhere = Client()
    elsewhere.force_login(marketer)
    assert elsewhere.get("/channels/email/segments/").context["size"] == 100


@pytest.mark.parametrize("path", ["/activity/export/", "/activity/access/export/"])
def test_an_export_has_the_times_of_the_page(as_admin: Client, admin_person: Person, late: Segment, path: str) -> None:
    AccessEvent.objects.create(at=LATE, kind=AccessEvent.Kind.SIGN_IN)
    Person.objects.filter(pk=admin_person.pk).update(time_zone="Europe/Berlin")
    text = b"".join(as_admin.get(path).streaming_content).decode()  # type: ignore[attr-defined]
    assert "2025-02-01T00:30:00+01:00" in text
