"""Many segments of a channel changed at once, by a person who chose them: switched, deleted, added to other channels.

Goes in: a query of the segments chosen (the filter, not its results), and who. Comes out: one ChangeSet, written under
the channel's lock with the history that undo needs, in a number of statements that does not depend on how many they
are. Must not know: requests, jobs (the caller's `finish` ends them, inside the transaction).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from channels.models import Channel
from jobs.points import reach
from segments.changes.apply import Result, apply, expect
from segments.changes.lock import WEB_WAIT, locked
from segments.changes.plan import Counts, Rule, plan
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


def set_active_all(
    chosen: "QuerySet[Segment]",
    channel: Channel,
    active: bool,
    by: By,
    *,
    wait: int | None = WEB_WAIT,
    finish: Callable[[ChangeSet | None], None] | None = None,
) -> ChangeSet | None:
    """Make the `chosen` segments of `channel` active or inactive; None if they all are already.

    `finish` is given the same, as the last statement before the commit: what it raises rolls everything back.
    Raises AlreadyDone, ChannelBusy after `wait` seconds.
    """
    verb = "Activated" if active else "Deactivated"
    return _write(chosen.filter(active=not active), channel, verb, "updated", by, wait, finish, active=active)


def delete_all(
    chosen: "QuerySet[Segment]",
    channel: Channel,
    by: By,
    *,
    wait: int | None = WEB_WAIT,
    finish: Callable[[ChangeSet | None], None] | None = None,
) -> ChangeSet | None:
    """Delete the `chosen` segments of `channel`; None if there are none any more. Otherwise as set_active_all()."""
    return _write(chosen, channel, "Deleted", "deleted", by, wait, finish)


STEPS = {"updated": (RECORD_SWITCHED, SWITCH), "deleted": (RECORD_DELETED, DELETE)}


def _write(
    chosen: "QuerySet[Segment]",
    channel: Channel,
    verb: str,
    outcome: str,
    by: By,
    wait: int | None,
    finish: Callable[[ChangeSet | None], None] | None,
    **values: Any,
) -> ChangeSet | None:
    with locked([channel], wait):
        change_set = open_set(ChangeSet.Kind.BULK, by, verb)
        with _chosen(chosen) as number, connection.cursor() as cursor:
            reach("bulk:chosen")
            if number:
                parameters = {"change_set": change_set.pk, "now": timezone.now(), **values}
                for step in STEPS[outcome]:
                    cursor.execute(step, parameters)
                    expect(cursor.rowcount, number, outcome)
        reach("bulk:written")
        done = change_set if number else None
        if done:
            done.label = f"{verb} {number:,} segment{'s' if number > 1 else ''}"
            done.save(update_fields=["label"])
            close_set(done, channel, **{outcome: number})
        else:
            change_set.delete()
        if finish:
            finish(done)
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
    found = {}
    with stage_segments(chosen) as staged:
        for channel in channels:
            with plan(staged, channel, Rule.SKIP) as planned:
                found[channel.pk] = planned.counts
    return found


def add_to(
    chosen: "QuerySet[Segment]",
    channels: Iterable[Channel],
    by: By,
    *,
    wait: int | None = WEB_WAIT,
    finish: Callable[[Result], None] | None = None,
) -> Result:
    """Add segments with the name, segment ID, link and status of the `chosen` to `channels`; what is there is skipped.

    An import of them, but for the file. Raises AlreadyDone, ChannelBusy after `wait` seconds.
    """
    channels = list(channels)
    names = " and ".join(channel.name for channel in channels)
    with stage_segments(chosen) as staged:
        return apply(
            staged,
            channels,
            Rule.SKIP,
            kind=ChangeSet.Kind.BULK,
            source=Source.MANUAL,
            by=by,
            label=f"Added {staged.rows:,} segment{'s' if staged.rows != 1 else ''} to {names}",
            wait=wait,
            finish=finish,
        )
