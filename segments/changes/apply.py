"""Write what was planned: one short transaction, all of it or nothing.

Goes in: Staged rows, channels, the rule. Comes out: a ChangeSet, the segments, and a Change for each
segment updated (a created one carries `created_in` itself). The plan is made again under the
channels' lock, so what is written is true whatever happened since the preview. Must not know: files,
jobs (the caller's `finish` ends them, inside the transaction), pages.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils import timezone

from channels.models import Channel
from jobs.points import reach
from segments.changes.lock import locked
from segments.changes.plan import (
    NEW_ACTIVE,
    NEW_ID,
    NEW_ID_KEY,
    NEW_IDENTITY,
    NEW_LINK,
    Counts,
    Plan,
    Rule,
    plan,
)
from segments.changes.record import AFTER, BEFORE, NOW
from segments.changes.sets import By, close_set, open_set
from segments.changes.stage import Staged
from segments.models import ChangeSet, Source

CACHE = 32 * 1024  # KiB of SQLite's own, while it writes

HISTORY = f"""
    INSERT INTO segments_change (change_set_id, channel_id, segment, kind, {BEFORE}, {AFTER})
    SELECT %(change_set)s, %(channel)s, g.id, 'u', {NOW},
        s.name, {NEW_ID}, {NEW_LINK}, {NEW_ACTIVE}, %(change_set)s
    FROM aa_plan p CROSS JOIN aa_stage s CROSS JOIN segments_segment g
    WHERE p.outcome = 'u' AND s.line = p.line AND g.id = p.target
"""
# New values are told of the very row that is updated: to read it a second time beside itself costs another join.
UPDATE = f"""
    UPDATE segments_segment AS g SET
        name = s.name, name_key = s.name_key, segment_id = {NEW_ID}, id_key = {NEW_ID_KEY}, link = {NEW_LINK},
        active = {NEW_ACTIVE}, identity_key = {NEW_IDENTITY}, last_change_id = %(change_set)s, updated_at = %(now)s
    FROM (SELECT p.target, s.* FROM aa_plan p CROSS JOIN aa_stage s WHERE p.outcome = 'u' AND s.line = p.line) s
    WHERE g.id = s.target
"""
# Sorted by name, PostgreSQL's index grows at one end and not everywhere: 9 s instead of 14 for a million rows.
INSERT = """
    INSERT INTO segments_segment (channel_id, name, segment_id, link, active, source, identity_key, name_key, id_key,
        klaviyo_kind, created_in_id, created_line, last_change_id, updated_at)
    SELECT %(channel)s, s.name, s.segment_id, s.link, COALESCE(s.active, TRUE), %(source)s, s.key, s.name_key, s.id_key,
        '', %(change_set)s, CASE WHEN %(source)s = 'csv' THEN s.line END, %(change_set)s, %(now)s
    FROM aa_stage s
    WHERE NOT EXISTS (SELECT 1 FROM aa_plan p WHERE p.line = s.line)
"""
INSERT_IN_NAME_ORDER = INSERT + "ORDER BY s.name_key"


@dataclass(frozen=True)
class Result:
    """What one apply did: its change set, and the counts by the channel's primary key."""

    change_set: ChangeSet
    counts: dict[int, Counts]


def apply(
    staged: Staged,
    channels: Iterable[Channel],
    rule: Rule,
    *,
    kind: ChangeSet.Kind,
    source: Source,
    by: By,
    label: str = "",
    wait: int | None = None,
    report: Callable[[Channel, Plan], None] | None = None,
    finish: Callable[[Result], None] | None = None,
    passed: Callable[[], None] = lambda: None,
) -> Result:
    """Write the staged rows into each of `channels`, as one change set in one transaction; `wait` as for locked().

    `report` sees each channel's plan before it is written. `finish` runs as the last statement before
    the commit, `passed` when a channel is planned, and when it is written: whatever one of them raises rolls
    everything back. A violated constraint is a bug, and aborts.
    """
    channels = sorted(channels, key=lambda channel: channel.pk)
    with _larger_cache(), locked(channels, wait):
        change_set = open_set(kind, by, label)
        result = Result(change_set, {})
        first_pk = last_key() + 1
        for channel in channels:
            with plan(staged, channel, rule) as planned:
                reach("apply:planned")
                if report:
                    report(channel, planned)
                passed()
                _write(change_set, channel, planned, source)
                reach("apply:written")
                passed()
            result.counts[channel.pk] = planned.counts
            close_set(change_set, channel, **planned.counts._asdict())
        enclose(change_set, first_pk)
        if finish:
            finish(result)
        reach("apply:before_commit")
    reach("apply:committed")
    return result


@contextmanager
def _larger_cache() -> Iterator[None]:
    """On SQLite, room for what is written: the index of identities takes its rows in no order, and reads for each."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA cache_size")
        (before,) = cursor.fetchone()
        cursor.execute(f"PRAGMA cache_size = -{CACHE}")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA cache_size = {before:d}")


def _write(change_set: ChangeSet, channel: Channel, planned: Plan, source: Source) -> None:
    parameters = planned.parameters | {
        "change_set": change_set.pk,
        "channel": channel.pk,
        "source": source.value,
        "now": timezone.now(),
    }
    with connection.cursor() as cursor:
        if planned.counts.updated:
            cursor.execute(HISTORY, parameters)
            expect(cursor.rowcount, planned.counts.updated, "recorded")
            cursor.execute(UPDATE, parameters)
            expect(cursor.rowcount, planned.counts.updated, "updated")
        if planned.counts.created:
            cursor.execute(INSERT_IN_NAME_ORDER if connection.vendor == "postgresql" else INSERT, parameters)
            expect(cursor.rowcount, planned.counts.created, "created")


def expect(written: int, planned: int, what: str) -> None:
    """Abort where the database did not do what was planned: a bug, and nothing may come of it."""
    if written != planned:
        raise RuntimeError(f"{written} segments were {what} where {planned} were planned; nothing was changed.")


def last_key() -> int:
    """The last primary key given to a segment by anybody so far."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            sequence = "pg_get_serial_sequence('segments_segment', 'id')"  # its name is not the same everywhere
            cursor.execute(f"SELECT COALESCE(pg_sequence_last_value({sequence}::regclass), 0)")
        else:
            cursor.execute("SELECT COALESCE(max(seq), 0) FROM sqlite_sequence WHERE name = 'segments_segment'")
        row: tuple[Any, ...] | None = cursor.fetchone()
    return int(row[0]) if row else 0


def enclose(change_set: ChangeSet, first_pk: int) -> None:
    """Note the range of primary keys that holds all segments of the set, and maybe others'."""
    change_set.first_pk, change_set.last_pk = first_pk, last_key()
    change_set.save(update_fields=["first_pk", "last_pk"])
