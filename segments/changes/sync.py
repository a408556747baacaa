"""What a sync from Klaviyo does in one channel: DESIGN section 2, in sets.

Goes in: everything that Klaviyo has, as (line, Fetched), and the key of the account. Comes out: a plan to show,
or the same plan written as one change set. A segment is known by its Klaviyo ID, then by its Segment ID, never by
its name. An inactive segment is never renamed, overwritten or reactivated; a value that a person changed stays.
What Klaviyo said (`synced_*`), its state and `missing_since` are bookkeeping: no Change, no count.
Must not know: HTTP, accounts, jobs (the caller's `finish` ends them, inside the transaction).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from channels.models import Channel
from jobs.points import reach
from segments.changes.apply import enclose, expect, last_key
from segments.changes.lock import locked
from segments.changes.sets import By, close_set, open_set
from segments.changes.stage import Staged, drop_tables, raw_transaction, stage
from segments.models import Change, ChangeSet
from segments.values import SegmentValues


class Fetched(NamedTuple):
    """One list or segment as Klaviyo has it. `values.segment_id` is its Klaviyo ID, `active` how it would arrive."""

    values: SegmentValues
    kind: str  # list, segment
    state: str = ""  # Klaviyo's own: inactive, processing, starred; several with a space between them


class SyncCounts(NamedTuple):
    """Klaviyo's objects by outcome (the first five add up to what was fetched), and what else there is to say."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    protected: int = 0  # a Klaviyo value was withheld and nothing written
    errors: int = 0
    returned: int = 0  # of the created: deleted here before
    missing: int = 0  # known here, no longer in Klaviyo, not flagged yet
    known: int = 0  # of this account, here, and not flagged
    adopted: int = 0  # of the updated: here with that Segment ID, and Klaviyo's from now on

    @property
    def fetched(self) -> int:
        """All of Klaviyo's objects."""
        return sum(self[:5])


class SyncRow(NamedTuple):
    """One object, or one known segment that is gone from Klaviyo, and what becomes of it."""

    outcome: str  # created, updated, unchanged, protected, error, missing
    reason: str  # of protected: inactive, override; of created: returns; of updated: adopted; of error: id_taken
    kind: str
    target: int | None
    before: SegmentValues | None  # the segment here
    after: SegmentValues | None  # as it would be; None of one that is gone
    klaviyo: SegmentValues | None  # as Klaviyo has it


OUTCOMES = {"c": "created", "u": "updated", "=": "unchanged", "p": "protected", "e": "error"}

# A field follows Klaviyo while it is what Klaviyo last said; of an inactive segment none does.
NEW_NAME = "CASE WHEN g.active AND g.name = g.synced_name THEN s.name ELSE g.name END"
NEW_NAME_KEY = "CASE WHEN g.active AND g.name = g.synced_name THEN s.name_key ELSE g.name_key END"
NEW_LINK = (
    "CASE WHEN g.active AND (g.link = g.synced_link OR (g.klaviyo_id IS NULL AND g.link = '')) "
    "THEN s.link ELSE g.link END"
)
OUTCOME = (
    f"CASE WHEN g.klaviyo_id IS NULL OR {NEW_NAME} <> g.name OR {NEW_LINK} <> g.link THEN 'u' "
    "WHEN g.name <> s.name OR g.link <> s.link THEN 'p' ELSE '=' END"
)
OWN = "g.klaviyo_id = s.segment_id AND g.klaviyo_account = %(account)s AND g.klaviyo_kind = k.kind"

BY_KLAVIYO_ID = f"""
    INSERT INTO aa_sync (line, target, outcome)
    SELECT s.line, g.id, {OUTCOME}
    FROM aa_stage s JOIN aa_kind k ON k.line = s.line JOIN segments_segment g ON g.channel_id = %(channel)s AND {OWN}
"""
# Adopted if nobody's; else the ID is taken: by another account's, or by a segment that was given it by hand.
BY_SEGMENT_ID = f"""
    INSERT INTO aa_sync (line, target, outcome)
    SELECT s.line, g.id, CASE WHEN g.klaviyo_id IS NULL THEN {OUTCOME} ELSE 'e' END
    FROM aa_stage s JOIN aa_kind k ON k.line = s.line
    JOIN segments_segment g ON g.channel_id = %(channel)s AND g.identity_key = s.key
    WHERE NOT EXISTS (SELECT 1 FROM segments_segment g WHERE g.channel_id = %(channel)s AND {OWN})
"""
# The history has no index by Klaviyo ID, so it is read once and not for each object.
NEW = """
    INSERT INTO aa_new (line, returns)
    SELECT s.line, CASE WHEN d.klaviyo_id IS NULL THEN 0 ELSE 1 END
    FROM aa_stage s JOIN aa_kind k ON k.line = s.line LEFT JOIN (
        SELECT DISTINCT c.klaviyo_id, c.klaviyo_kind FROM segments_change c
        WHERE c.channel_id = %(channel)s AND c.kind = 'd' AND c.klaviyo_account = %(account)s
    ) d ON d.klaviyo_id = s.segment_id AND d.klaviyo_kind = k.kind
    WHERE NOT EXISTS (SELECT 1 FROM aa_sync y WHERE y.line = s.line)
"""
KNOWN = (
    "g.channel_id = %(channel)s AND g.klaviyo_account = %(account)s AND g.klaviyo_id IS NOT NULL "
    "AND g.missing_since IS NULL"
)
GONE = (
    f"{KNOWN} AND NOT EXISTS (SELECT 1 FROM aa_stage s JOIN aa_kind k ON k.line = s.line "
    "WHERE s.segment_id = g.klaviyo_id AND k.kind = g.klaviyo_kind) "
    "AND NOT EXISTS (SELECT 1 FROM aa_unusable x WHERE x.klaviyo_id = g.klaviyo_id AND x.kind = g.klaviyo_kind)"
)

_KEPT = ", ".join(Change.KEPT)
HISTORY = f"""
    INSERT INTO segments_change (change_set_id, channel_id, segment, kind,
        before_name, before_segment_id, before_link, before_active,
        before_identity_key, before_name_key, before_id_key, before_change,
        after_name, after_segment_id, after_link, after_active, after_change, {_KEPT})
    SELECT %(change_set)s, %(channel)s, g.id, 'u',
        g.name, g.segment_id, g.link, g.active, g.identity_key, g.name_key, g.id_key, g.last_change_id,
        {NEW_NAME}, g.segment_id, {NEW_LINK}, g.active, %(change_set)s,
        {", ".join(f"CASE WHEN g.klaviyo_id IS NULL THEN g.{column} END" for column in Change.KEPT)}
    FROM aa_sync y JOIN aa_stage s ON s.line = y.line JOIN segments_segment g ON g.id = y.target
    WHERE y.outcome = 'u'
"""
UPDATE = f"""
    UPDATE segments_segment SET name = n.name, name_key = n.name_key, link = n.link,
        last_change_id = %(change_set)s, updated_at = %(now)s
    FROM (
        SELECT y.target, {NEW_NAME} AS name, {NEW_NAME_KEY} AS name_key, {NEW_LINK} AS link
        FROM aa_sync y JOIN aa_stage s ON s.line = y.line JOIN segments_segment g ON g.id = y.target
        WHERE y.outcome = 'u'
    ) n
    WHERE segments_segment.id = n.target
"""
# After the update, which needs what Klaviyo said before. Only rows that differ: a sync without news writes none.
BOOKKEEPING = """
    UPDATE segments_segment SET klaviyo_id = n.klaviyo_id, klaviyo_account = %(account)s, klaviyo_kind = n.kind,
        klaviyo_state = n.state, synced_name = n.name, synced_link = n.link, missing_since = NULL
    FROM (
        SELECT y.target, s.segment_id AS klaviyo_id, k.kind, k.state, s.name, s.link
        FROM aa_sync y JOIN aa_stage s ON s.line = y.line JOIN aa_kind k ON k.line = s.line
        JOIN segments_segment g ON g.id = y.target
        WHERE y.outcome <> 'e' AND (g.klaviyo_id IS NULL OR g.synced_name IS NULL OR g.synced_name <> s.name
            OR g.synced_link IS NULL OR g.synced_link <> s.link OR g.klaviyo_state <> k.state
            OR g.missing_since IS NOT NULL)
    ) n
    WHERE segments_segment.id = n.target
"""
FLAG = f"""
    UPDATE segments_segment SET missing_since = %(now)s
    WHERE id IN (SELECT g.id FROM segments_segment g WHERE {GONE})
"""
INSERT = """
    INSERT INTO segments_segment (channel_id, name, segment_id, link, active, source, identity_key, name_key, id_key,
        klaviyo_id, klaviyo_account, klaviyo_kind, klaviyo_state, synced_name, synced_link,
        created_in_id, last_change_id, updated_at)
    SELECT %(channel)s, s.name, s.segment_id, s.link, COALESCE(s.active, TRUE), 'klaviyo', s.key, s.name_key, s.id_key,
        s.segment_id, %(account)s, k.kind, k.state, s.name, s.link,
        %(change_set)s, %(change_set)s, %(now)s
    FROM aa_new w JOIN aa_stage s ON s.line = w.line JOIN aa_kind k ON k.line = w.line
    ORDER BY s.line
"""

ADOPTED = "y.outcome = 'u' AND g.klaviyo_id IS NULL"
ROWS = f"""
    SELECT y.outcome, CASE WHEN y.outcome = 'e' THEN 'id_taken' WHEN {ADOPTED} THEN 'adopted'
            WHEN y.outcome = 'p' AND NOT g.active THEN 'inactive'
            WHEN y.outcome = 'p' THEN 'override' ELSE '' END,
        k.kind, g.id, g.name, g.segment_id, g.link, g.active, {NEW_NAME}, {NEW_LINK}, s.name, s.segment_id, s.link,
        s.active, s.name_key AS sorted
    FROM aa_sync y JOIN aa_stage s ON s.line = y.line JOIN aa_kind k ON k.line = y.line
    JOIN segments_segment g ON g.id = y.target
    UNION ALL
    SELECT 'c', CASE WHEN w.returns = 1 THEN 'returns' ELSE '' END, k.kind, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        s.name, s.segment_id, s.link, s.active, s.name_key
    FROM aa_new w JOIN aa_stage s ON s.line = w.line JOIN aa_kind k ON k.line = w.line
    UNION ALL
    SELECT 'e', 'id_taken', k.kind, NULL, NULL, NULL, NULL, NULL, NULL, NULL, t.name, t.segment_id, t.link, t.active,
        ''
    FROM aa_twice t JOIN aa_kind k ON k.line = t.line
    UNION ALL
    SELECT 'm', '', g.klaviyo_kind, g.id, g.name, g.segment_id, g.link, g.active, NULL, NULL, NULL, NULL, NULL, NULL,
        g.name_key
    FROM segments_segment g WHERE {GONE}
    ORDER BY sorted, 4
"""


@dataclass
class SyncPlan:
    """What a sync would do now; good as long as its `with` lasts."""

    counts: SyncCounts
    parameters: dict[str, Any]

    def rows(self) -> Iterator[SyncRow]:
        """Every object and every segment gone, in name order; streamed."""
        with connection.chunked_cursor() as cursor:
            cursor.execute(ROWS, self.parameters)
            while rows := cursor.fetchmany(2_000):
                yield from map(_sync_row, rows)


def _sync_row(row: tuple[Any, ...]) -> SyncRow:
    letter, reason, kind, target, *values, _sorted = row
    name, segment_id, link, active, new_name, new_link, its_name, its_id, its_link, its_active = values
    here = None if target is None else SegmentValues(name, segment_id, link, bool(active))
    klaviyo = None if its_name is None else SegmentValues(its_name, its_id, its_link, bool(its_active))
    if letter == "m":
        return SyncRow("missing", reason, kind, target, here, None, None)
    after = klaviyo if here is None or letter == "e" else here._replace(name=new_name, link=new_link)
    return SyncRow(OUTCOMES[letter], reason, kind, target, here, after, klaviyo)


@dataclass(frozen=True)
class SyncResult:
    """What one sync did."""

    change_set: ChangeSet
    counts: SyncCounts


@contextmanager
def stage_sync(fetched: Iterable[tuple[int, Fetched]], unusable: Iterable[tuple[str, str]] = ()) -> Iterator[Staged]:
    """Load what Klaviyo has into this connection's temporary tables; they are dropped at the end.

    `unusable` are (kind, Klaviyo ID) of what it has and nobody could clean: errors, but not gone from there.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE aa_kind (line integer PRIMARY KEY, kind text NOT NULL, state text NOT NULL)"
        )
        cursor.execute("CREATE TEMPORARY TABLE aa_unusable (kind text NOT NULL, klaviyo_id text NOT NULL)")
    try:
        objects = list(fetched)
        with raw_transaction(), connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO aa_kind (line, kind, state) VALUES (%s, %s, %s)",
                [(line, one.kind, one.state) for line, one in objects],
            )
            cursor.executemany("INSERT INTO aa_unusable (kind, klaviyo_id) VALUES (%s, %s)", list(unusable))
        with stage((line, one.values) for line, one in objects) as staged:
            if connection.vendor == "sqlite":  # PostgreSQL joins by hash
                with connection.cursor() as cursor:
                    cursor.execute("CREATE INDEX temp.aa_stage_klaviyo_id ON aa_stage (segment_id)")
                    cursor.execute("CREATE INDEX temp.aa_unusable_klaviyo_id ON aa_unusable (klaviyo_id)")
            yield staged
    finally:
        drop_tables("aa_kind", "aa_unusable")


@contextmanager
def plan_sync(staged: Staged, channel: Channel, account: int) -> Iterator[SyncPlan]:
    """Match what was fetched with the channel's segments; under the channel's lock it is what will happen."""
    parameters = {"channel": channel.pk, "account": account}
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE aa_sync (line integer PRIMARY KEY, target bigint, outcome char(1))")
        cursor.execute("CREATE TEMPORARY TABLE aa_new (line integer PRIMARY KEY, returns integer NOT NULL)")
    try:
        with raw_transaction(), connection.cursor() as cursor:
            for step in (BY_KLAVIYO_ID, BY_SEGMENT_ID, NEW):
                cursor.execute(step, parameters)
            counts = _count(cursor, staged, parameters)
        yield SyncPlan(counts, parameters)
    finally:
        drop_tables("aa_sync", "aa_new")


def _count(cursor: Any, staged: Staged, parameters: dict[str, Any]) -> SyncCounts:
    cursor.execute("SELECT outcome, count(*) FROM aa_sync GROUP BY outcome")
    found: dict[str, int] = dict(cursor.fetchall())
    cursor.execute(f"SELECT count(*) FROM aa_sync y JOIN segments_segment g ON g.id = y.target WHERE {ADOPTED}")
    (adopted,) = cursor.fetchone()
    cursor.execute("SELECT count(*), COALESCE(sum(returns), 0) FROM aa_new")
    created, returned = cursor.fetchone()
    cursor.execute(f"SELECT count(*) FROM segments_segment g WHERE {KNOWN}", parameters)
    (known,) = cursor.fetchone()
    cursor.execute(f"SELECT count(*) FROM segments_segment g WHERE {GONE}", parameters)
    (missing,) = cursor.fetchone()
    cursor.execute("SELECT count(*) FROM aa_unusable")
    (unusable,) = cursor.fetchone()
    return SyncCounts(
        created=created,
        updated=found.get("u", 0),
        unchanged=found.get("=", 0),
        protected=found.get("p", 0),
        errors=found.get("e", 0) + staged.twice + unusable,
        returned=int(returned),
        missing=missing,
        known=known,
        adopted=adopted,
    )


def apply_sync(
    staged: Staged,
    channel: Channel,
    account: int,
    *,
    by: By,
    label: str = "",
    report: Callable[[SyncPlan], None] | None = None,
    finish: Callable[[SyncResult], None] | None = None,
) -> SyncResult:
    """Write a sync of `channel` with the account of key `account`, as one change set in one transaction.

    `report` sees the plan before it is written: a guard raises there. `finish` runs as the last statement. Whatever
    either raises rolls everything back.
    """
    with locked([channel]):
        change_set = open_set(ChangeSet.Kind.SYNC, by, label)
        first_pk = last_key() + 1
        with plan_sync(staged, channel, account) as planned:
            reach("sync:planned")
            if report:
                report(planned)
            _write(change_set, channel, planned)
            counts = planned.counts
        close_set(
            change_set,
            channel,
            created=counts.created,
            updated=counts.updated,
            unchanged=counts.unchanged,
            kept=counts.protected,
            errors=counts.errors,
        )
        enclose(change_set, first_pk)
        result = SyncResult(change_set, counts)
        if finish:
            finish(result)
        reach("sync:before_commit")
    reach("sync:committed")
    return result


def _write(change_set: ChangeSet, channel: Channel, planned: SyncPlan) -> None:
    parameters = planned.parameters | {"change_set": change_set.pk, "now": timezone.now()}
    with connection.cursor() as cursor:
        cursor.execute(HISTORY, parameters)
        expect(cursor.rowcount, planned.counts.updated, "recorded")
        cursor.execute(UPDATE, parameters)
        expect(cursor.rowcount, planned.counts.updated, "updated")
        cursor.execute(BOOKKEEPING, parameters)
        cursor.execute(FLAG, parameters)
        expect(cursor.rowcount, planned.counts.missing, "flagged")
        cursor.execute(INSERT, parameters)
        expect(cursor.rowcount, planned.counts.created, "created")
