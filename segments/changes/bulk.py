"""Many segments of a channel changed at once, by a person who chose them: switched, deleted, added to other channels.

Goes in: a query of the segments chosen (the filter, not its results), and who. Comes out: one ChangeSet, written under
the channel's lock with the history that undo needs, in a number of statements that does not depend on how many they
are. Must not know: requests, jobs (the caller's `finish` ends them, inside the transaction).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from channels.models import Channel
from jobs.points import reach
from segments.changes.apply import Result, apply, expect
from segments.changes.lock import WEB_WAIT, locked
from segments.changes.plan import Counts, Plan, PlannedRow, Rule, plan
from segments.changes.record import AFTER, BEFORE, GONE, KEPT, NOW
from segments.changes.sets import By, close_set, open_set
from segments.changes.stage import drop_tables, stage_segments
from segments.models import ChangeSet, Segment, Source

RECORD_SWITCHED = f"""
    INSERT INTO segments_change (change_set_id, channel_id, segment, kind, {BEFORE}, {AFTER})
    SELECT %(change_set)s, g.channel_id, g.id, 'u', {NOW}, g.name, g.segment_id, g.link, %(active)s, %(change_set)s
    FROM aa_chosen x CROSS JOIN segments_segment g WHERE g.id = x.segment
"""
SWITCH = """
    UPDATE segments_segment SET active = %(active)s, last_change_id = %(change_set)s, updated_at = %(now)s
    WHERE id IN (SELECT segment FROM aa_chosen)
"""
RECORD_DELETED = f"""
    INSERT INTO segments_change (change_set_id, channel_id, segment, kind, {BEFORE}, {AFTER}, {KEPT})
    SELECT %(change_set)s, g.channel_id, g.id, 'd', {NOW}, {GONE}, %(change_set)s, {KEPT}
    FROM aa_chosen x CROSS JOIN segments_segment g WHERE g.id = x.segment
"""
DELETE = "DELETE FROM segments_segment WHERE id IN (SELECT segment FROM aa_chosen)"


class MoreThanTold(Exception):
    """More segments match by now than whoever asked was told of. Nothing was changed."""

    def __init__(self, found: int, told: int) -> None:
        super().__init__(f"{_segments(found)} match by now, not {told:,}. Nothing was changed.")


@dataclass(frozen=True)
class How:
    """How a change is written.

    `told` is how many segments whoever asks for it was told of: it concerns no more than those. `wait` is for how many
    seconds it waits for the channel; None: as long as it takes. `finish` is given what the change returns, as the last
    statement before the commit. `passed` is called when the segments are found, recorded, and written. What one of them
    raises rolls everything back.
    """

    told: int | None = None
    wait: int | None = WEB_WAIT
    finish: Callable[[ChangeSet | None], None] = lambda _: None
    passed: Callable[[], None] = lambda: None

    def expect(self, found: int) -> None:
        """Raise MoreThanTold if `found` segments are."""
        if self.told is not None and found > self.told:
            raise MoreThanTold(found, self.told)


@dataclass(frozen=True)
class _Deed:
    """What is done with all segments in aa_chosen: in a word, as ChangeSetChannel counts it, and in SQL."""

    verb: str
    outcome: str
    record: str
    write: str


_ACTIVATE = _Deed("Activated", "updated", RECORD_SWITCHED, SWITCH)
_DEACTIVATE = _Deed("Deactivated", "updated", RECORD_SWITCHED, SWITCH)
_DELETE = _Deed("Deleted", "deleted", RECORD_DELETED, DELETE)


def set_active_all(
    chosen: "QuerySet[Segment]", channel: Channel, active: bool, by: By, how: How = How()
) -> ChangeSet | None:
    """Make the `chosen` segments of `channel` active or inactive; None if they all are already.

    Raises AlreadyDone, ChannelBusy, MoreThanTold.
    """
    deed = _ACTIVATE if active else _DEACTIVATE
    return _write(deed, chosen.filter(active=not active), channel, by, how, {"active": active})


def delete_all(chosen: "QuerySet[Segment]", channel: Channel, by: By, how: How = How()) -> ChangeSet | None:
    """Delete the `chosen` segments of `channel`; None if there are none any more. Raises as set_active_all()."""
    return _write(_DELETE, chosen, channel, by, how, {})


def _write(
    deed: _Deed, chosen: "QuerySet[Segment]", channel: Channel, by: By, how: How, values: dict[str, Any]
) -> ChangeSet | None:
    with locked([channel], how.wait):
        change_set = open_set(ChangeSet.Kind.BULK, by, deed.verb)
        with _chosen(chosen) as number, connection.cursor() as cursor:
            reach("bulk:chosen")
            how.expect(number)
            how.passed()
            if number:
                parameters = {"change_set": change_set.pk, "now": timezone.now(), **values}
                for step in (deed.record, deed.write):
                    cursor.execute(step, parameters)
                    expect(cursor.rowcount, number, deed.outcome)
                    how.passed()
        reach("bulk:written")
        done = change_set if number else None
        if done:
            done.label = f"{deed.verb} {_segments(number)}"
            done.save(update_fields=["label"])
            close_set(done, channel, **{deed.outcome: number})
        else:
            change_set.delete()
        how.finish(done)
        reach("bulk:before_commit")
    reach("bulk:committed")
    return done


@contextmanager
def _chosen(segments: "QuerySet[Segment]") -> Iterator[int]:
    """Note the primary keys of `segments` in aa_chosen, within the database; yields how many they are."""
    postgresql = connection.vendor == "postgresql"
    sql, parameters = segments.order_by().values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE aa_chosen (segment bigint{'' if postgresql else ' PRIMARY KEY'})")
        try:
            cursor.execute(f"INSERT INTO aa_chosen (segment) {sql}", parameters)
            number = cursor.rowcount
            if number and postgresql:
                cursor.execute("ANALYZE aa_chosen")
            yield number
        finally:
            drop_tables("aa_chosen")


def adding_to(chosen: "QuerySet[Segment]", channels: Iterable[Channel]) -> dict[int, Counts]:
    """Return what add_to() would do now, by the primary key of each of `channels`. Nothing is written."""
    return {channel.pk: planned.counts for channel, planned in _adding(chosen, channels)}


@dataclass(frozen=True)
class LeftOut:
    """Why segments are not added to `channel`: what they are there already, and what could be one of several there."""

    channel: Channel
    counts: Counts
    there: list[PlannedRow]
    ambiguous: list[PlannedRow]


def left_out(chosen: "QuerySet[Segment]", channels: Iterable[Channel], most: int) -> list[LeftOut]:
    """Return what add_to() would not add to each of `channels` now, at most `most` rows of a kind. Nothing is written.

    Reads all that would be left out.
    """
    found = []
    for channel, planned in _adding(chosen, channels):
        rows: dict[str, list[PlannedRow]] = {"skipped": [], "error": []}
        for row in planned.left_out():
            if len(rows[row.outcome]) < most:
                rows[row.outcome].append(row)
        found.append(LeftOut(channel, planned.counts, rows["skipped"], rows["error"]))
    return found


def _adding(chosen: "QuerySet[Segment]", channels: Iterable[Channel]) -> Iterator[tuple[Channel, Plan]]:
    with stage_segments(chosen) as staged:
        for channel in channels:
            with plan(staged, channel, Rule.SKIP) as planned:
                yield channel, planned


def add_to(chosen: "QuerySet[Segment]", channels: Iterable[Channel], by: By, how: How = How()) -> ChangeSet | None:
    """Add segments with the name, segment ID, link and status of the `chosen` to `channels`; what is there is skipped.

    An import of them, but for the file. None if all are there. `how.passed` is called when they are found and as by
    apply(). Raises as set_active_all().
    """
    channels = list(channels)

    def end(result: Result) -> None:
        created = sum(counts.created for counts in result.counts.values())
        if not created:
            raise _NothingToAdd
        names = " and ".join(channel.name for channel in channels if result.counts[channel.pk].created)
        result.change_set.label = f"Added {_segments(created)} to {names}"
        result.change_set.save(update_fields=["label"])
        how.finish(result.change_set)

    try:
        with stage_segments(chosen) as staged:
            how.expect(staged.rows)
            how.passed()
            return apply(
                staged,
                channels,
                Rule.SKIP,
                kind=ChangeSet.Kind.BULK,
                source=Source.MANUAL,
                by=by,
                wait=how.wait,
                finish=end,
                passed=how.passed,
            ).change_set
    except _NothingToAdd:
        how.finish(None)
        return None


class _NothingToAdd(Exception):  # noqa: N818  # rolls back what is nothing but an empty change set
    pass


def _segments(number: int) -> str:
    return f"{number:,} segment{'' if number == 1 else 's'}"
