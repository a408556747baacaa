"""What happened to one segment, for its page.

Goes in: a segment. Comes out: its changes, newest first, each with who, when and every field before and after.
Must not know: requests, templates.
"""

from dataclasses import dataclass
from typing import NamedTuple

from segments.models import Change, ChangeSet, Segment
from segments.values import SegmentValues

LIMIT = 100  # further back than this nobody reads; Change rows keep it all

LABELS = {"name": "Segment name", "segment_id": "Segment ID", "link": "Link", "active": "Active status"}


class Difference(NamedTuple):
    """One field before and after, in words; "" where there is nothing to show."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Entry:
    """One change of a segment."""

    change_set: ChangeSet
    differences: list[Difference]


def in_words(field: str, value: str | bool | None) -> str:
    """A value as a page shows it."""
    if field == "active":
        return "Active" if value else "Inactive"
    return str(value or "empty")


def differences(before: SegmentValues, after: SegmentValues) -> list[Difference]:
    """Every field that differs."""
    pairs = zip(SegmentValues._fields, before, after, strict=True)
    return [
        Difference(LABELS[field], in_words(field, was), in_words(field, now)) for field, was, now in pairs if was != now
    ]


def history(segment: Segment, limit: int = LIMIT) -> list[Entry]:
    """The newest `limit` changes of `segment`; the last is how it came in, unless there are more."""
    changes = Change.objects.filter(segment=segment.pk).select_related("change_set__user")
    found = [Entry(change.change_set, _of(change)) for change in changes.order_by("-change_set_id", "-pk")[:limit]]
    if len(found) < limit:
        found.append(Entry(segment.created_in, [Difference("Created", "", came_from(segment))]))
    return found


def _of(change: Change) -> list[Difference]:
    if change.kind == Change.Kind.DELETE:
        return [Difference("Deleted", change.before_name, "")]
    if change.kind == Change.Kind.INSERT:
        return [Difference("Brought back", "", change.after_name)]
    before = SegmentValues(change.before_name, change.before_segment_id, change.before_link, change.before_active)
    after = SegmentValues(change.after_name, change.after_segment_id, change.after_link, change.after_active)
    return differences(before, after)


def came_from(segment: Segment) -> str:
    """Where the segment came from, in words: a line of a file, a sync, a person's hand."""
    made = segment.created_in
    if made.kind == ChangeSet.Kind.IMPORT and segment.created_line:
        return f"{made.label}, line {segment.created_line}"
    return {ChangeSet.Kind.IMPORT: made.label, ChangeSet.Kind.SYNC: "Klaviyo sync"}.get(
        ChangeSet.Kind(made.kind), "Added by hand"
    )
