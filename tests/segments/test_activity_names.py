"""The page of one change set: what it did in each channel, and to which segments, before and after."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from channels.models import Channel
from segments import changes
from segments.activity.names import CHANGED, CREATED, names
from segments.models import ChangeSet, Segment, Source
from segments.values import SegmentValues

pytestmark = pytest.mark.django_db


def imported(*rows: SegmentValues, slugs: tuple[str, ...] = ("email",)) -> ChangeSet:
    """Import these, and return the change set."""
    with changes.stage(enumerate(rows, start=2)) as staged:
        result = changes.apply(
            staged,
            Channel.objects.filter(slug__in=slugs),
            changes.Rule.UPDATE,
            kind=ChangeSet.Kind.IMPORT,
            source=Source.CSV,
            by=changes.By(),
            label="core.csv",
        )
    return result.change_set


def page(client: Client, change_set: ChangeSet, **query: str) -> str:
    """Its page, as one line of HTML."""
    response = client.get(f"/activity/{change_set.pk}/", query)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_created_segments_are_shown_as_they_came_whatever_happened_since(as_viewer: Client) -> None:
    made = imported(SegmentValues("A", "a"), SegmentValues("B", "b"), SegmentValues("C", "c"))
    changes.edit(Segment.objects.get(name="A"), SegmentValues("A2", "a", "", True), changes.By())
    changes.delete(Segment.objects.get(name="B"), changes.By())
    changes.edit(Segment.objects.get(name="A2"), SegmentValues("A3", "a", "", True), changes.By())
    rows = names(made, CREATED).rows
    assert [(row.values.name, row.deed) for row in rows] == [
        ("A", "Created"),
        ("B", "Created, deleted since"),
        ("C", "Created"),
    ]
    assert rows[1].url == ""
    html = page(as_viewer, made)
    assert f'<a class="nm" href="{Segment.objects.get(name="A3").get_absolute_url()}" dir="auto">A</a>' in html
    assert '<span class="nm" dir="auto">B</span>' in html


def test_changed_segments_are_shown_before_and_after(as_viewer: Client) -> None:
    imported(SegmentValues("A", "a"))
    again = imported(SegmentValues("A2", "a", "https://a.example"), SegmentValues("B", "b"))
    html = page(as_viewer, again, show="changed")
    assert '<del dir="auto">A</del>' in html
    assert '<ins dir="auto">A2</ins>' in html
    assert '<ins dir="auto">https://a.example</ins>' in html
    assert "Created <span" in html


def test_an_undo_names_what_it_removed_restored_and_brought_back() -> None:
    kept = imported(SegmentValues("A", "a"))
    removed = imported(SegmentValues("A2", "a"), SegmentValues("B", "b"))
    undo = changes.undo(removed, changes.By())
    assert undo
    assert [(row.values.name, row.deed) for row in names(undo, CHANGED).rows] == [("A", "Changed"), ("B", "Deleted")]
    again = changes.undo(undo, changes.By())
    assert again
    assert [row.deed for row in names(again, CHANGED).rows] == ["Changed", "Brought back"]
    assert names(kept, CREATED).rows[0].values.name == "A"


@pytest.mark.parametrize("act", [CREATED, CHANGED])
def test_pages_hold_every_segment_once(act: str) -> None:
    rows = [SegmentValues(f"Segment {number}", f"id-{number}") for number in range(13)]
    made = imported(*rows, slugs=("email", "sms"))
    for number in (2, 3, 9):
        changes.delete(Segment.objects.filter(name=f"Segment {number}")[0], changes.By())
    if act == CHANGED:
        made = changes.undo(made, changes.By()) or made
    found, last = [], 0
    while True:
        part = names(made, act, last, size=4)
        found += [row.segment for row in part.rows]
        last = part.next
        if not last:
            break
    assert len(found) == len(set(found)) == (26 if act == CREATED else 23)


def test_numbers_stand_by_channel(as_viewer: Client) -> None:
    made = imported(SegmentValues("A", "a"), SegmentValues("A", "a"), slugs=("email", "sms"))
    html = page(as_viewer, made)
    assert '<a class="nm" href="/channels/sms/segments/">SMS</a>' in html
    assert '<td role="cell" class="num r" data-l="Skipped">1</td>' in html
    assert "Unchanged" not in html


def test_undone_and_undoing_change_sets_name_each_other(as_marketer: Client) -> None:
    made = imported(SegmentValues("A", "a"), SegmentValues("B", "b"))
    assert f'href="/activity/{made.pk}/undo/?next=' in page(as_marketer, made)
    undo = changes.undo(made, changes.By())
    assert undo
    assert f'<a class="link" href="/activity/{undo.pk}/">Undone</a>' in page(as_marketer, made)
    assert f'It undid <a class="link" href="/activity/{made.pk}/">Import: core.csv</a>' in page(as_marketer, undo)


def test_number_of_queries_does_not_grow_with_segments(as_viewer: Client) -> None:
    counts = []
    for size in (1, 30):
        rows = [SegmentValues(f"{size} {number}", f"{size}-{number}") for number in range(size)]
        made = imported(*rows, slugs=("email", "sms"))
        page(as_viewer, made)
        with CaptureQueriesContext(connection) as queries:
            page(as_viewer, made)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_what_is_not_there_is_not_found(as_viewer: Client) -> None:
    assert as_viewer.get("/activity/999/").status_code == 404
    made = imported(SegmentValues("A", "a"))
    assert "There are no more." in page(as_viewer, made, after="9" * 18)
    for after in ("x", "-1", "9" * 30):
        assert '<a class="nm"' in page(as_viewer, made, after=after)
