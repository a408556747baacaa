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
    field: str = ""  # of SegmentValues


LINKED = Difference("Klaviyo", "", "Linked by its Segment ID")


@dataclass(frozen=True)
class Entry:
    """One change of a segment; `restorable` are the fields that could get back what they had before it."""

    change_set: ChangeSet
    differences: list[Difference]
    change: int = 0
    restorable: frozenset[str] = frozenset()


class History(NamedTuple):
    """Changes of a segment, newest first, and the change before which the older ones are (0 if there are none)."""

    entries: list[Entry]
    older: int


def in_words(field: str, value: str | bool | None) -> str:
    """A value as a page shows it."""
    if field == "active":
        return "Active" if value else "Inactive"
    return str(value or "empty")


def differences(before: SegmentValues, after: SegmentValues) -> list[Difference]:
    """Every field that differs."""
    pairs = zip(SegmentValues._fields, before, after, strict=True)
    return [
        Difference(LABELS[field], in_words(field, was), in_words(field, now), field)
        for field, was, now in pairs
        if was != now
    ]


def history(segment: Segment, before_change: int = 0, limit: int = LIMIT) -> History:
    """The newest `limit` changes of `segment`, or those next older than `before_change`; the last is how it came in."""
    changes = Change.objects.filter(segment=segment.pk).select_related("change_set__user").order_by("-pk")
    if before_change:
        changes = changes.filter(pk__lt=before_change)
    found = list(changes[: limit + 1])
    entries = [
        Entry(change.change_set, _of(change), change.pk, restorable(change, segment)) for change in found[:limit]
    ]
    if len(found) > limit:
        return History(entries, found[limit - 1].pk)
    return History([*entries, Entry(segment.created_in, [Difference("Created", "", came_from(segment))])], 0)


def restorable(change: Change, segment: Segment) -> frozenset[str]:
    """The fields of `segment` that could get back what they had before `change`, and have it not now.

    An ID that was only a label cannot: a person who gives a segment an ID means one that identifies it.
    """
    if change.kind != Change.Kind.UPDATE:
        return frozenset()
    was_label = bool(change.before_segment_id) and bytes(change.before_identity_key[:1]) == b"n"
    changed = {difference.field for difference in differences(before(change), after(change))}
    differing = {difference.field for difference in differences(before(change), values_of(segment))}
    return frozenset(changed & differing - ({"segment_id"} if was_label else set()))


def before(change: Change) -> SegmentValues:
    """The segment before `change`."""
    return SegmentValues(change.before_name, change.before_segment_id, change.before_link, change.before_active)


def after(change: Change) -> SegmentValues:
    """The segment after `change`."""
    return SegmentValues(change.after_name, change.after_segment_id, change.after_link, change.after_active)


def values_of(segment: Segment) -> SegmentValues:
    """The segment now."""
    return SegmentValues(segment.name, segment.segment_id, segment.link, segment.active)


def updated(change: Change) -> list[Difference]:
    """What an update changed; one that linked the segment to Klaviyo's keeps what its bookkeeping was before."""
    linked = [LINKED] if change.source is not None else []
    return differences(before(change), after(change)) + linked


def _of(change: Change) -> list[Difference]:
    if change.kind == Change.Kind.DELETE:
        return [Difference("Deleted", change.before_name, "")]
    if change.kind == Change.Kind.INSERT:
        return [Difference("Brought back", "", change.after_name)]
    return updated(change)


def came_from(segment: Segment) -> str:
    """Where the segment came from, in words: a line of a file, a sync, another channel, a person's hand."""
    made = segment.created_in
    if made.kind == ChangeSet.Kind.IMPORT and segment.created_line:
        return f"{made.label}, line {segment.created_line}"
    words = {
        ChangeSet.Kind.IMPORT: made.label,
        ChangeSet.Kind.SYNC: "Klaviyo sync",
        ChangeSet.Kind.BULK: "Added from another channel",
    }
    return words.get(ChangeSet.Kind(made.kind), "Added by hand")
