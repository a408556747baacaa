"""What one change set did, segment by segment: the names on its page.

Goes in: a change set, and the segment after which to go on. Comes out: rows in the order of primary keys, with values
before and after, and what a created segment was when it came. Must not know: requests, templates.
"""

from typing import NamedTuple

from django.db.models import Min, QuerySet

from segments.history import Difference, after, before, updated, values_of
from segments.models import Change, ChangeSet, Segment
from segments.values import SegmentValues

PAGE = 50
CREATED, CHANGED = "created", "changed"
DEEDS = {Change.Kind.UPDATE: "Changed", Change.Kind.DELETE: "Deleted", Change.Kind.INSERT: "Brought back"}


class Row(NamedTuple):
    """One segment: what it is called, what was done to it, and its page ("" if it is gone)."""

    segment: int
    channel: str
    url: str
    deed: str
    values: SegmentValues  # as the set left it; of a deleted one, as it was
    differences: list[Difference]


class Names(NamedTuple):
    """A page of rows, and the segment after which the next goes on (0 if there is none)."""

    rows: list[Row]
    next: int


def names(change_set: ChangeSet, act: str, last: int = 0, size: int = PAGE) -> Names:
    """Return the segments that `change_set` CREATED, or those that it CHANGED (or deleted, or brought back).

    They are those that come after the segment `last`.
    """
    found = _created(change_set, last, size + 1) if act == CREATED else _changed(change_set, last, size + 1)
    rows = found[:size]
    return Names(rows, rows[-1].segment if len(found) > size else 0)


def _created(change_set: ChangeSet, last: int, count: int) -> list[Row]:
    """Those that are there still, and those deleted since.

    Of the first `count` in all, one that came back after it was deleted is among the first `count` that are there.
    """
    if change_set.first_pk is None or change_set.last_pk is None:
        return []
    keys = range(max(change_set.first_pk, last + 1), change_set.last_pk + 1)
    here = Segment.objects.filter(pk__gte=keys.start, pk__lt=keys.stop, created_in=change_set).order_by("pk")
    alive = {segment.pk: segment for segment in here.select_related("channel")[:count]}
    deletions = Change.objects.filter(segment__gte=keys.start, segment__lt=keys.stop, kind=Change.Kind.DELETE)
    deleted = deletions.filter(created_in_id=change_set.pk).order_by("segment").values_list("segment", flat=True)
    wanted = sorted({*alive, *deleted.distinct()[:count]})[:count]
    untouched = {pk for pk, segment in alive.items() if segment.last_change_id == change_set.pk}
    first = _first_changes([pk for pk in wanted if pk not in untouched])
    return [_created_row(alive[pk], first.get(pk)) if pk in alive else _gone_row(first[pk]) for pk in wanted]


def _first_changes(segments: list[int]) -> dict[int, Change]:
    """The oldest change of each: what it found is what the segment was created with. No query for none."""
    oldest = Change.objects.filter(segment__in=segments).order_by().values("segment").annotate(first=Min("id"))
    found = Change.objects.filter(pk__in=oldest.values("first")).select_related("channel")
    return {change.segment: change for change in found}


def _created_row(segment: Segment, first: Change | None) -> Row:
    """A segment that is there still: as it was then, which is as it is now if nothing changed it."""
    values = before(first) if first else values_of(segment)
    return Row(segment.pk, segment.channel.name, segment.get_absolute_url(), "Created", values, [])


def _gone_row(first: Change) -> Row:
    return Row(first.segment, first.channel.name, "", "Created, deleted since", before(first), [])


def _changed(change_set: ChangeSet, last: int, count: int) -> list[Row]:
    changes: QuerySet[Change] = Change.objects.filter(change_set=change_set, segment__gt=last)
    found = list(changes.select_related("channel").order_by("segment", "pk")[:count])
    here = {
        segment.pk: segment.get_absolute_url()
        for segment in Segment.objects.filter(pk__in=[change.segment for change in found]).select_related("channel")
    }
    return [_changed_row(change, here.get(change.segment, "")) for change in found]


def _changed_row(change: Change, url: str) -> Row:
    values = before(change) if change.kind == Change.Kind.DELETE else after(change)
    changed = updated(change) if change.kind == Change.Kind.UPDATE else []
    return Row(change.segment, change.channel.name, url, DEEDS[Change.Kind(change.kind)], values, changed)
