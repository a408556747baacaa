"""Restore, on a segment's page: a field gets back what it had before a change, as an edit that can be undone."""

import re
from typing import Any

import pytest
from django.test import Client

from channels.models import Channel
from people.models import Person
from segments import changes
from segments.history import history
from segments.models import Change, ChangeSet, Segment
from segments.values import SegmentValues
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def segment(marketer: Person) -> Segment:
    """A segment that was renamed, given a link and another ID."""
    made = changes.add(Channel.objects.get(slug="email"), SegmentValues("old", "v-1"), changes.By())
    changes.edit(made, SegmentValues("new", "v-1", "", True), changes.By(marketer))
    changes.edit(made, SegmentValues("new", "v-2", "https://a.example", True), changes.By(marketer))
    made.refresh_from_db()
    return made


def form(segment: Segment, field: str, nth: int = 0) -> dict[str, Any]:
    """What the Restore button of that field sends; of its newest change, or the `nth` before that."""
    entries = [entry for entry in history(segment).entries if any(d.field == field for d in entry.differences)]
    return {"change": entries[nth].change, "field": field, "seen": segment.last_change_id}


def send(client: Client, segment: Segment, **data: Any) -> Any:
    """Press the button."""
    return client.post(f"{segment.get_absolute_url()}restore/", data)


def test_a_field_gets_back_what_it_had_and_the_others_stay(as_marketer: Client, segment: Segment) -> None:
    response = send(as_marketer, segment, **form(segment, "name"))
    assert response["Location"] == segment.get_absolute_url()
    segment.refresh_from_db()
    assert (segment.name, segment.segment_id, segment.link) == ("old", "v-2", "https://a.example")
    assert segment.last_change.kind == ChangeSet.Kind.EDIT
    changes.undo(segment.last_change, changes.By())
    segment.refresh_from_db()
    assert segment.name == "new"


def test_any_earlier_version_can_be_had(as_marketer: Client, segment: Segment) -> None:
    changes.edit(segment, SegmentValues("newest", "v-2", "https://a.example", True), changes.By())
    segment.refresh_from_db()
    send(as_marketer, segment, **form(segment, "name", nth=1))
    segment.refresh_from_db()
    assert segment.name == "old"


def test_button_stands_only_where_the_value_differs_from_now(as_marketer: Client, segment: Segment) -> None:
    changes.set_active(segment, False, changes.By())
    changes.set_active(segment, True, changes.By())
    segment.refresh_from_db()
    html = as_marketer.get(segment.get_absolute_url()).content.decode()
    offered = re.findall(r'Restore<span class="vh"> ([A-Za-z ]*) “<bdi>([^<]*)', html)
    assert offered == [("Active status", "Inactive"), ("Segment ID", "v-1"), ("Link", "empty"), ("Segment name", "old")]


def test_taken_identity_is_named_and_nothing_changes(as_marketer: Client, segment: Segment) -> None:
    changes.add(segment.channel, SegmentValues("Somebody else", "v-1"), changes.By())
    response = as_marketer.post(
        f"{segment.get_absolute_url()}restore/", form(segment, "segment_id"), follow=True
    ).content.decode()
    assert "“Somebody else” has that segment ID in Email now, so nothing was restored." in response
    segment.refresh_from_db()
    assert segment.segment_id == "v-2"


def test_segment_changed_meanwhile_is_not_touched(as_marketer: Client, segment: Segment) -> None:
    sent = form(segment, "name")
    changes.set_active(segment, False, changes.By())
    html = as_marketer.post(f"{segment.get_absolute_url()}restore/", sent, follow=True).content.decode()
    assert "Somebody changed this segment meanwhile" in html
    segment.refresh_from_db()
    assert segment.name == "new"


def test_sent_twice_is_one_change(as_marketer: Client, segment: Segment) -> None:
    sent = {**form(segment, "name"), "form_token": "0d0e7c9e-9c9f-4f0e-8f6e-0c4b9a2f7a11"}
    before = ChangeSet.objects.count()
    for _ in range(3):
        assert send(as_marketer, segment, **sent).status_code == 302
    assert ChangeSet.objects.count() == before + 1


def test_a_label_is_not_given_back_as_an_id(as_marketer: Client) -> None:
    segment = SegmentFactory(name="VIP", segment_id="label", is_label=True)
    changes.edit(segment, SegmentValues("VIP", "v-1", "", True), changes.By())
    segment.refresh_from_db()
    assert not history(segment).entries[0].restorable
    send(as_marketer, segment, **form(segment, "segment_id"))
    segment.refresh_from_db()
    assert segment.segment_id == "v-1"


def test_what_makes_no_sense_is_refused(as_marketer: Client, segment: Segment) -> None:
    other = changes.add(segment.channel, SegmentValues("other"), changes.By())
    sent = form(segment, "name")
    assert send(as_marketer, other, **sent).status_code == 404
    assert send(as_marketer, segment, **(sent | {"field": "source"})).status_code == 400
    assert send(as_marketer, segment, change="x").status_code == 400
    assert as_marketer.get(f"{segment.get_absolute_url()}restore/").status_code == 405


def test_viewer_may_not_restore(as_viewer: Client, segment: Segment) -> None:
    assert send(as_viewer, segment, **form(segment, "name")).status_code == 403
    assert "/restore/" not in as_viewer.get(segment.get_absolute_url()).content.decode()


def test_older_changes_are_a_page_away(as_marketer: Client, segment: Segment) -> None:
    for number in range(103):
        changes.set_active(segment, bool(number % 2), changes.By())
    segment.refresh_from_db()
    first = history(segment)
    rest = history(segment, first.older)
    assert len(first.entries) == 100
    assert [entry.differences[0].label for entry in rest.entries[-3:]] == ["Segment ID", "Segment name", "Created"]
    assert len(first.entries) + len(rest.entries) == Change.objects.count() + 1
    html = as_marketer.get(segment.get_absolute_url(), {"before": first.older}).content.decode()
    assert "Added by hand" in html
    assert "Newest" in html
