"""The page of one segment: its values, where it came from, what happened to it."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from channels.models import Channel
from people.models import Person
from segments import changes
from segments.history import history
from segments.models import Segment
from segments.values import SegmentValues
from tests.factories import ChangeSetFactory, SegmentFactory

pytestmark = pytest.mark.django_db


def page(client: Client, segment: Segment) -> str:
    response = client.get(segment.get_absolute_url())
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_shows_every_value(as_viewer: Client) -> None:
    segment = SegmentFactory(name="VIP", segment_id="v-1", link="https://www.klaviyo.com/lists/x?a=1#b", active=False)
    html = page(as_viewer, segment)
    assert "<h1><bdi>VIP</bdi></h1>" in html
    assert '<span class="mono" id="segment-id">v-1</span>' in html
    assert 'www.klaviyo.com<span class="sub-l clamp">/lists/x?a=1#b</span>' in html
    assert '<span class="off">Inactive</span>' in html


def test_says_which_line_of_which_file(as_viewer: Client, marketer: Person) -> None:
    made = ChangeSetFactory(kind="import", label="lifecycle_core.csv", user=marketer)
    segment = SegmentFactory(from_csv=True, created_in=made, created_line=14)
    html = page(as_viewer, segment)
    link = f'<a class="link" href="/data/imports/of/{made.pk}/"><bdi>lifecycle_core.csv</bdi></a>'
    assert f"Line 14 of {link}" in html
    assert "imported by Marketer Person" in html
    assert "lifecycle_core.csv, line 14" in html


def test_says_who_added_it(as_viewer: Client, marketer: Person) -> None:
    segment = changes.add(Channel.objects.get(slug="email"), SegmentValues("VIP"), changes.By(marketer))
    html = page(as_viewer, segment)
    assert '<b>Added by hand</b> <span class="muted">Marketer Person' in html


def test_says_that_it_was_added_from_another_channel(as_viewer: Client, marketer: Person) -> None:
    sms = Channel.objects.get(slug="sms")
    changes.add(sms, SegmentValues("VIP"), changes.By(marketer))
    made = changes.add_to(sms.segments.all(), [Channel.objects.get(slug="email")], changes.By(marketer))
    assert made
    html = page(as_viewer, Segment.objects.get(channel__slug="email"))
    assert f'<b><a class="link" href="/activity/{made.pk}/">Added from another channel</a></b>' in html
    assert html.count("Added from another channel") == 2  # the last line of its history, too
    assert "Added by hand" not in html


@pytest.mark.parametrize("kind", ["import", "sync", "bulk", "add"])
def test_says_by_which_door_it_came_where_nobody_is_known(as_viewer: Client, kind: str) -> None:
    made = ChangeSetFactory(kind=kind, label="core.csv", via="command")
    assert '<span class="muted">Command line, <time' in page(as_viewer, SegmentFactory(created_in=made))


def test_history_shows_each_field_before_and_after(as_viewer: Client, marketer: Person) -> None:
    segment = SegmentFactory(name="old", segment_id="x")
    changes.edit(segment, SegmentValues("new", "", "https://a.example", True), changes.By(marketer))
    changes.set_active(segment, False, changes.By(marketer))
    segment.refresh_from_db()
    assert [[tuple(d)[:3] for d in entry.differences] for entry in history(segment).entries] == [
        [("Active status", "Active", "Inactive")],
        [("Segment name", "old", "new"), ("Segment ID", "x", "empty"), ("Link", "empty", "https://a.example")],
        [("Created", "", "Added by hand")],
    ]
    html = page(as_viewer, segment)
    assert '<del dir="auto">old</del>' in html
    assert '<ins dir="auto">new</ins>' in html


def test_history_tells_of_a_deletion_undone(as_viewer: Client) -> None:
    segment = SegmentFactory(name="VIP")
    changes.undo(changes.delete(segment, changes.By()), changes.By())
    labels = [entry.differences[0].label for entry in history(Segment.objects.get()).entries]
    assert labels == ["Brought back", "Deleted", "Created"]


def test_history_ends_at_its_limit(as_viewer: Client) -> None:
    segment = SegmentFactory()
    for number in range(4):
        changes.set_active(segment, bool(number % 2), changes.By())
    assert len(history(segment, limit=3).entries) == 3
    assert history(segment, limit=5).entries[-1].differences[0].label == "Created"


def test_label_is_explained(as_viewer: Client) -> None:
    html = page(as_viewer, SegmentFactory(segment_id="one", is_label=True))
    assert "An import gave this ID to many segments." in html


def test_hostile_text_is_shown_as_text(as_marketer: Client) -> None:
    segment = SegmentFactory(name="<script>alert(1)</script>", segment_id='"><img src=x>')
    changes.edit(segment, SegmentValues("<script>alert(2)</script>", "", "", True), changes.By())
    segment.refresh_from_db()
    html = page(as_marketer, segment)
    assert "<script>alert" not in html
    assert "<img" not in html


def test_viewer_is_offered_nothing_that_changes(as_viewer: Client) -> None:
    html = page(as_viewer, SegmentFactory())
    assert "/edit/" not in html
    assert "/delete/" not in html
    assert "switch" not in html


def test_htmx_gets_the_fragment(as_marketer: Client) -> None:
    response = as_marketer.get(SegmentFactory().get_absolute_url(), headers={"HX-Request": "true"})
    assert response.content.decode().strip().startswith('<div id="segment-detail"')


def test_not_found_elsewhere_and_only_by_get(as_marketer: Client, client: Client) -> None:
    segment = SegmentFactory()
    assert as_marketer.get(f"/channels/sms/segments/{segment.pk}/").status_code == 404
    assert as_marketer.post(segment.get_absolute_url()).status_code == 405
    assert client.get(segment.get_absolute_url()).status_code == 302


def test_number_of_queries_does_not_grow_with_history(as_marketer: Client, marketer: Person) -> None:
    segment = SegmentFactory()
    counts = []
    for _ in range(2):
        changes.set_active(segment, False, changes.By(marketer))
        as_marketer.get(segment.get_absolute_url())
        with CaptureQueriesContext(connection) as queries:
            as_marketer.get(segment.get_absolute_url())
        counts.append(len(queries))
        for number in range(29):
            changes.set_active(segment, not number % 2, changes.By(marketer))
    assert counts[0] == counts[1] <= 8
