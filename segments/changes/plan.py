"""What an import of the staged rows would do in one channel: RULES.md "Matching", in sets.

Goes in: Staged rows, a channel, the rule for matches. Comes out: a temporary table that holds every
staged row that is *not* simply created, and from it counts and rows to show. No segment is written.
One SQL text for PostgreSQL and SQLite, named parameters; CROSS JOIN fixes SQLite's loop order and is
a plain join to PostgreSQL. No statement reads the table that it fills, and an empty table is never
analysed: at a million rows each has cost minutes. Must not know: files, jobs, who asks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from django.db import connection

from channels.models import Channel
from segments.changes.stage import Staged, drop_tables, raw_transaction
from segments.values import SegmentValues


class Rule(StrEnum):
    """What happens to a row whose segment is already there."""

    UPDATE = "update"
    SKIP = "skip"


class Counts(NamedTuple):
    """Rows by outcome; they add up to the rows staged, doubles included."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    errors: int = 0


class PlannedRow(NamedTuple):
    """One row of the file and what becomes of it. `of_line` is the line that a duplicate repeats."""

    line: int
    outcome: str  # created, updated, unchanged, skipped, error
    code: str  # "", duplicate_in_file, already_exists, ambiguous_match
    of_line: int | None
    target: int | None  # the matching segment's primary key
    before: SegmentValues | None  # that segment now
    after: SegmentValues  # the segment as it would be; of a row left out, the row


# The outcome letters of aa_plan. A row of aa_stage that aa_plan does not hold is created.
OUTCOMES = {
    "c": ("created", ""),
    "u": ("updated", ""),
    "=": ("unchanged", ""),
    "s": ("skipped", "already_exists"),
    "d": ("skipped", "duplicate_in_file"),
    "a": ("error", "ambiguous_match"),
}

# The values that row `s` would leave segment `g` with: a blank never clears, a label never replaces an ID.
NEW_LINK = "CASE WHEN s.link <> '' THEN s.link ELSE g.link END"
NEW_ACTIVE = "COALESCE(s.active, g.active)"
TAKES_ID = (
    "(s.segment_id <> '' AND s.segment_id <> g.segment_id"
    " AND (g.segment_id = '' OR (s.key < %(n)s AND g.identity_key >= %(n)s)))"
)
NEW_ID = f"CASE WHEN {TAKES_ID} THEN s.segment_id ELSE g.segment_id END"
NEW_ID_KEY = f"CASE WHEN {TAKES_ID} THEN s.id_key ELSE g.id_key END"
NEW_IDENTITY = f"CASE WHEN {TAKES_ID} AND s.key < %(n)s THEN s.key ELSE g.identity_key END"
MATCHED = (
    "CASE WHEN %(skip)s = 1 THEN 's'"
    f" WHEN g.name <> s.name OR {NEW_LINK} <> g.link OR {NEW_ACTIVE} <> g.active OR {TAKES_ID} THEN 'u' ELSE '=' END"
)

# Rule 1: one join on the unique key serves Segment IDs, and names without one.
EXACT = f"""
    INSERT INTO aa_plan (line, target, outcome)
    SELECT s.line, g.id, {MATCHED}
    FROM aa_stage s CROSS JOIN segments_segment g
    WHERE g.channel_id = %(channel)s AND g.identity_key = s.key
"""
# Rule 1: else the segment whose Klaviyo ID it is, the oldest if several accounts gave it. If a row has that segment
# by its own Segment ID, this one is a double of it.
BY_KLAVIYO_ID = f"""
    INSERT INTO aa_plan (line, target, outcome, of_line)
    SELECT s.line, g.id, CASE WHEN t.line IS NULL THEN {MATCHED} ELSE 'd' END, t.line
    FROM (
        SELECT klaviyo_id, min(id) AS id FROM segments_segment
        WHERE channel_id = %(channel)s AND klaviyo_id IS NOT NULL GROUP BY klaviyo_id
    ) k
    JOIN segments_segment g ON g.id = k.id
    JOIN aa_stage s ON s.segment_id = k.klaviyo_id AND s.key < %(n)s
    LEFT JOIN aa_stage t ON t.key = g.identity_key
    WHERE NOT EXISTS (
        SELECT 1 FROM segments_segment x WHERE x.channel_id = %(channel)s AND x.identity_key = s.key
    )
"""
# Rule 2, rows with an ID: the segment of that name that has none, if no row has it by rule 1; the first line gets it.
ADOPTING = """
    INSERT INTO aa_adopt (line, target)
    SELECT min(s.line), g.id
    FROM segments_segment g CROSS JOIN aa_stage s
    WHERE g.channel_id = %(channel)s AND g.identity_key >= %(n)s
      AND s.name_key = g.name_key AND s.key < %(n)s
      AND NOT EXISTS (SELECT 1 FROM aa_plan p WHERE p.line = s.line)
      AND NOT EXISTS (SELECT 1 FROM aa_plan p WHERE p.target = g.id)
    GROUP BY g.id
"""
ADOPTED = f"""
    INSERT INTO aa_plan (line, target, outcome)
    SELECT s.line, g.id, {MATCHED}
    FROM aa_adopt a CROSS JOIN aa_stage s CROSS JOIN segments_segment g
    WHERE s.line = a.line AND g.id = a.target
"""
# Rule 2, rows without ID: segments of that name, names as the updates of rule 1 leave them.
OPEN = """
    INSERT INTO aa_open (line, name_key)
    SELECT s.line, s.name_key FROM aa_stage s
    WHERE s.key >= %(n)s AND NOT EXISTS (SELECT 1 FROM aa_plan p WHERE p.line = s.line)
"""
NAMED = """
    INSERT INTO aa_named (line, target, found)
    SELECT f.line, min(f.target), count(*)
    FROM (
        SELECT o.line, g.id AS target
        FROM aa_open o CROSS JOIN segments_segment g
        WHERE g.channel_id = %(channel)s AND g.name_key = o.name_key
          AND NOT EXISTS (SELECT 1 FROM aa_plan p WHERE p.target = g.id AND p.outcome = 'u')
        UNION ALL
        SELECT o.line, p.target
        FROM aa_plan p CROSS JOIN aa_stage s CROSS JOIN aa_open o
        WHERE p.outcome = 'u' AND s.line = p.line AND o.name_key = s.name_key
    ) f
    GROUP BY f.line
"""
TAKEN = """
    UPDATE aa_named SET of_line = (SELECT min(p.line) FROM aa_plan p WHERE p.target = aa_named.target)
    WHERE found = 1
"""
BY_NAME = f"""
    INSERT INTO aa_plan (line, target, outcome, of_line)
    SELECT s.line, CASE WHEN m.found = 1 THEN g.id END,
           CASE WHEN m.found > 1 THEN 'a' WHEN m.of_line IS NOT NULL THEN 'd' ELSE {MATCHED} END, m.of_line
    FROM aa_named m CROSS JOIN aa_stage s CROSS JOIN segments_segment g
    WHERE s.line = m.line AND g.id = m.target
"""

_ROWS = f"""
    SELECT s.line, COALESCE(p.outcome, 'c'), p.of_line, g.id, g.name, g.segment_id, g.link, g.active,
           s.name, s.segment_id, s.link, s.active, {NEW_ID}, {NEW_LINK}, {NEW_ACTIVE}
    FROM aa_stage s LEFT JOIN aa_plan p ON p.line = s.line LEFT JOIN segments_segment g ON g.id = p.target
    {{where}}
    UNION ALL
    SELECT t.line, 'd', t.of_line, NULL, NULL, NULL, NULL, NULL,
           t.name, t.segment_id, t.link, t.active, NULL, NULL, NULL
    FROM aa_twice t
    ORDER BY 1
"""
ALL_ROWS = _ROWS.format(where="")
LEFT_OUT_ROWS = _ROWS.format(where="WHERE p.outcome IN ('s', 'd', 'a')")


@dataclass
class Plan:
    """A filled plan; good as long as its `with` lasts."""

    counts: Counts
    parameters: dict[str, Any]

    def rows(self) -> Iterator[PlannedRow]:
        """Every row, doubles included, in line order; streamed."""
        return self._read(ALL_ROWS)

    def left_out(self) -> Iterator[PlannedRow]:
        """The rows that are skipped or in error, in line order; streamed."""
        return self._read(LEFT_OUT_ROWS)

    def _read(self, sql: str) -> Iterator[PlannedRow]:
        with connection.chunked_cursor() as cursor:
            cursor.execute(sql, self.parameters)
            while rows := cursor.fetchmany(2_000):
                yield from map(_planned_row, rows)


def _planned_row(row: tuple[Any, ...]) -> PlannedRow:
    line, letter, of_line, target, *values = row
    outcome, code = OUTCOMES[letter]
    old_name, old_id, old_link, old_active, name, segment_id, link, active, new_id, new_link, new_active = values
    before = None if target is None else SegmentValues(old_name, old_id, old_link, bool(old_active))
    if outcome == "created":
        after = SegmentValues(name, segment_id, link, True if active is None else bool(active))
    elif before and outcome in ("updated", "unchanged"):
        after = SegmentValues(name, new_id, new_link, bool(new_active))
    else:
        after = SegmentValues(name, segment_id, link, None if active is None else bool(active))
    return PlannedRow(line, outcome, code, of_line, target, before, after)


@contextmanager
def plan(staged: Staged, channel: Channel, rule: Rule) -> Iterator[Plan]:
    """Match the staged rows with the channel's segments; the plan's tables are dropped at the end.

    Under the channel's lock it is what will happen; without, what would happen now.
    """
    parameters = {"channel": channel.pk, "n": b"n", "skip": int(rule == Rule.SKIP)}
    _create_tables()
    try:
        with raw_transaction():
            _match(staged, parameters)
            counts = _count(staged)
        yield Plan(counts, parameters)
    finally:
        drop_tables("aa_plan", "aa_adopt", "aa_open", "aa_named")


def _match(staged: Staged, parameters: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM segments_segment WHERE channel_id = %(channel)s LIMIT 1", parameters)
        if not staged.rows or cursor.fetchone() is None:
            return  # an empty channel: everything is created
        cursor.execute(EXACT, parameters)
        matched = cursor.rowcount
        cursor.execute(
            "SELECT 1 FROM segments_segment WHERE channel_id = %(channel)s AND klaviyo_id IS NOT NULL LIMIT 1",
            parameters,
        )
        if cursor.fetchone() is not None:
            cursor.execute(BY_KLAVIYO_ID, parameters)
            matched += cursor.rowcount
        if matched and connection.vendor == "postgresql":
            cursor.execute("ANALYZE aa_plan")
        if matched == staged.rows:
            return
        cursor.execute(ADOPTING, parameters)
        if cursor.rowcount:
            cursor.execute(ADOPTED, parameters)
        cursor.execute(OPEN, parameters)
        if not cursor.rowcount:
            return
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE aa_open")
        cursor.execute(NAMED, parameters)
        if cursor.rowcount:
            cursor.execute(TAKEN)
            cursor.execute(BY_NAME, parameters)


def _count(staged: Staged) -> Counts:
    with connection.cursor() as cursor:
        cursor.execute("SELECT outcome, count(*) FROM aa_plan GROUP BY outcome")
        found: dict[str, int] = dict(cursor.fetchall())
    return Counts(
        created=staged.rows - sum(found.values()),
        updated=found.get("u", 0),
        unchanged=found.get("=", 0),
        skipped=staged.twice + found.get("s", 0) + found.get("d", 0),
        errors=found.get("a", 0),
    )


def _create_tables() -> None:
    postgresql = connection.vendor == "postgresql"
    line = "integer" if postgresql else "integer PRIMARY KEY"
    folded = ' COLLATE "C"' if postgresql else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMPORARY TABLE aa_plan (line {line}, target bigint, outcome char(1) NOT NULL, of_line integer)"
        )
        cursor.execute(f"CREATE TEMPORARY TABLE aa_adopt (line {line}, target bigint)")
        cursor.execute(f"CREATE TEMPORARY TABLE aa_open (line {line}, name_key text{folded} NOT NULL)")
        cursor.execute(
            f"CREATE TEMPORARY TABLE aa_named (line {line}, target bigint, found integer NOT NULL, of_line integer)"
        )
        if not postgresql:  # which joins by hash
            cursor.execute("CREATE INDEX temp.aa_plan_target ON aa_plan (target)")
            cursor.execute("CREATE INDEX temp.aa_open_name ON aa_open (name_key)")
