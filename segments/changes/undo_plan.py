"""What taking a change set back would do, segment by segment: removed, restored, kept.

Goes in: a change set. Comes out: a temporary table of what is not simply removed, and from it counts and names. A
segment is still as the set left it while its `last_change` is what the set gave it: the set itself, or for an undo the
one put back. What was edited since, or whose identity another has meanwhile, is kept and named, never an error.
Writes no segment. Must not know: who asks, jobs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connection

from segments.changes.stage import drop_tables, raw_transaction
from segments.models import ChangeSet
from segments.values import SegmentValues

# What the set created and nothing has changed since is removed; an import may have created a million of them, so they
# are not written down. A set creates a segment or changes it, never both.
UNTOUCHED = "{0}.created_in_id = %(set)s AND {0}.last_change_id = %(set)s AND {0}.id BETWEEN %(first)s AND %(last)s"
# aa_undo: one row for each other segment of the set. act: x remove, r restore, b bring back, k keep.
# why, of those kept: edited, deleted, back (it is there again), taken (its identity is another's).
CREATED_AND_EDITED = """
    INSERT INTO aa_undo (segment, channel, change, act, why)
    SELECT g.id, g.channel_id, NULL, 'k', 'edited'
    FROM segments_segment g
    WHERE g.id BETWEEN %(first)s AND %(last)s AND g.created_in_id = %(set)s AND g.last_change_id <> %(set)s
"""
# What the set created and is not there any more, found by the record of its removal.
CREATED_AND_GONE = """
    INSERT INTO aa_undo (segment, channel, change, act, why)
    SELECT c.segment, min(c.channel_id), NULL, 'k', 'deleted'
    FROM segments_change c
    WHERE c.segment BETWEEN %(first)s AND %(last)s AND c.created_in_id = %(set)s AND c.kind = 'd'
      AND NOT EXISTS (SELECT 1 FROM segments_segment g WHERE g.id = c.segment)
    GROUP BY c.segment
"""
CHANGED = """
    INSERT INTO aa_undo (segment, channel, change, act, key, why)
    SELECT c.segment, c.channel_id, c.id,
        CASE WHEN c.kind = 'd' AND g.id IS NULL THEN 'b'
             WHEN c.kind = 'd' OR g.id IS NULL OR g.last_change_id <> c.after_change THEN 'k'
             WHEN c.kind = 'u' THEN 'r' ELSE 'x' END,
        c.before_identity_key,
        CASE WHEN c.kind = 'd' THEN 'back' WHEN g.id IS NULL THEN 'deleted' ELSE 'edited' END
    FROM segments_change c LEFT JOIN segments_segment g ON g.id = c.segment
    WHERE c.change_set_id = %(set)s
"""
# A kept segment may block the next, so this runs until it finds nothing more.
BLOCKED = f"""
    UPDATE aa_undo SET act = 'k', why = 'taken'
    WHERE act IN ('r', 'b') AND EXISTS (
        SELECT 1 FROM segments_segment h
        WHERE h.channel_id = aa_undo.channel AND h.identity_key = aa_undo.key AND h.id <> aa_undo.segment
          AND NOT ({UNTOUCHED.format("h")}) AND NOT EXISTS (
            SELECT 1 FROM aa_undo d
            WHERE d.segment = h.id AND (d.act = 'x' OR (d.act = 'r' AND d.key <> h.identity_key))
          )
    )
"""
# The same for Klaviyo's ID, which a sync may have brought back under a new primary key.
BLOCKED_BY_KLAVIYO_ID = f"""
    UPDATE aa_undo SET act = 'k', why = 'taken'
    WHERE act IN ('r', 'b') AND EXISTS (
        SELECT 1 FROM segments_change c JOIN segments_segment h
          ON h.channel_id = c.channel_id AND h.klaviyo_id = c.klaviyo_id
         AND COALESCE(h.klaviyo_account, 0) = COALESCE(c.klaviyo_account, 0) AND h.klaviyo_kind = c.klaviyo_kind
        WHERE c.id = aa_undo.change AND h.id <> aa_undo.segment AND NOT ({UNTOUCHED.format("h")})
          AND NOT EXISTS (SELECT 1 FROM aa_undo d WHERE d.segment = h.id AND d.act = 'x')
    )
"""

COUNTS = f"""
    SELECT channel, act, count(*) FROM aa_undo GROUP BY channel, act
    UNION ALL
    SELECT g.channel_id, 'x', count(*) FROM segments_segment g WHERE {UNTOUCHED.format("g")} GROUP BY g.channel_id
"""

REASONS = {
    "edited": "edited since",
    "deleted": "deleted since",
    "back": "already there again",
    "taken": "its ID or name belongs to another segment now",
}
ACTS = {"removed": ("x",), "restored": ("r", "b"), "kept": ("k",)}


class UndoRow(NamedTuple):
    """One segment of an undo: as it is now, as the set left it before, and who changed it since."""

    segment: int
    channel: int
    act: str  # removed, restored, kept
    reason: str  # of one kept, in words; else ""
    now: SegmentValues  # of one that is gone: as it last was
    before: SegmentValues | None  # what it gets back (restored), or had from the set (kept)
    since: ChangeSet | None  # of one kept: the change set that it has from meanwhile


@dataclass
class UndoPlan:
    """What an undo would do, in numbers of segments; good as long as its `with` lasts."""

    change_set: ChangeSet
    acts: dict[int, Counter[str]]  # by the channel's primary key, then by the letter of the act

    @property
    def removed(self) -> int:
        """The segments that would be removed."""
        return self._count("removed")

    @property
    def restored(self) -> int:
        """The segments that would get back what they were, or be brought back."""
        return self._count("restored")

    @property
    def kept(self) -> int:
        """The segments that would stay as they are."""
        return self._count("kept")

    @property
    def total(self) -> int:
        """The segments of the set."""
        return self.removed + self.restored + self.kept

    def names(self, act: str, offset: int = 0, limit: int = 50) -> list[UndoRow]:
        """Return a page of the segments that would be `removed`, `restored` or `kept`, in the order they were made."""
        return _rows(self.change_set, act, offset, limit)

    def _count(self, act: str) -> int:
        return sum(acts[letter] for acts in self.acts.values() for letter in ACTS[act])


@contextmanager
def undo_plan(change_set: ChangeSet) -> Iterator[UndoPlan]:
    """Work out what an undo of `change_set` would do now; nothing is written."""
    _create_table()
    try:
        with raw_transaction():
            acts = _plan(change_set)
        yield UndoPlan(change_set, acts)
    finally:
        drop_tables("aa_undo")


def _create_table() -> None:
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMPORARY TABLE aa_undo (segment bigint{'' if postgresql else ' PRIMARY KEY'}, "
            f"channel bigint NOT NULL, change bigint, act char(1) NOT NULL, "
            f"key {'bytea' if postgresql else 'blob'}, why varchar(10) NOT NULL)"
        )


def parameters_of(change_set: ChangeSet) -> dict[str, Any]:
    """What the statements about an undo of `change_set` are given."""
    return {"set": change_set.pk, "first": change_set.first_pk, "last": change_set.last_pk}


def _plan(change_set: ChangeSet) -> dict[int, Counter[str]]:
    parameters = parameters_of(change_set)
    with connection.cursor() as cursor:
        rows = 0
        if change_set.first_pk is not None:
            cursor.execute(CREATED_AND_EDITED, parameters)
            rows += cursor.rowcount
            cursor.execute(CREATED_AND_GONE, parameters)
            rows += cursor.rowcount
        cursor.execute(CHANGED, parameters)
        rows += cursor.rowcount
        if rows:
            if connection.vendor == "postgresql":
                cursor.execute("ANALYZE aa_undo")
            cursor.execute(BLOCKED_BY_KLAVIYO_ID, parameters)
            while True:
                cursor.execute(BLOCKED, parameters)
                if cursor.rowcount < 1:
                    break
        cursor.execute(COUNTS, parameters)
        acts: dict[int, Counter[str]] = defaultdict(Counter)
        for channel, act, count in cursor.fetchall():
            acts[channel][act] += count
    return acts


# The page first, and only then what is shown of it.
NAMES = """
    SELECT u.segment, u.channel, u.act, u.why,
        COALESCE(g.name, c.before_name, d.before_name),
        COALESCE(g.segment_id, c.before_segment_id, d.before_segment_id),
        COALESCE(g.link, c.before_link, d.before_link), COALESCE(g.active, c.before_active, d.before_active),
        {had}, COALESCE(g.last_change_id, d.change_set_id)
    FROM (
        SELECT segment, channel, change, act, why FROM aa_undo WHERE act IN {acts} {untouched}
        ORDER BY segment LIMIT %(limit)s OFFSET %(offset)s
    ) u
    LEFT JOIN segments_segment g ON g.id = u.segment
    LEFT JOIN segments_change c ON c.id = u.change
    LEFT JOIN segments_change d ON d.id = (
        SELECT max(l.id) FROM segments_change l WHERE g.id IS NULL AND l.segment = u.segment AND l.kind = 'd')
    LEFT JOIN segments_change f ON f.id = (
        SELECT min(l.id) FROM segments_change l
        WHERE u.act = 'k' AND u.change IS NULL AND l.segment = u.segment AND l.change_set_id > %(set)s)
    ORDER BY u.segment
"""
_AND_UNTOUCHED = f"""
        UNION ALL SELECT g.id, g.channel_id, NULL, 'x', '' FROM segments_segment g WHERE {UNTOUCHED.format("g")}
"""
_GETS_BACK = "c.before_name, c.before_segment_id, c.before_link, c.before_active"
# What the set gave it: what it wrote, or of a created one what the first change since found.
_HAD = ", ".join(
    f"COALESCE(c.after_{column}, f.before_{column})" for column in ("name", "segment_id", "link", "active")
)


def _rows(change_set: ChangeSet, act: str, offset: int, limit: int) -> list[UndoRow]:
    letters = ", ".join(f"'{letter}'" for letter in ACTS[act])
    sql = NAMES.format(
        had=_GETS_BACK if act == "restored" else _HAD,
        acts=f"({letters})",
        untouched=_AND_UNTOUCHED if act == "removed" else "",
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters_of(change_set) | {"limit": limit, "offset": offset})
        found = cursor.fetchall()
    since = ChangeSet.objects.select_related("user").in_bulk({row[-1] for row in found} if act == "kept" else [])
    return [
        UndoRow(
            segment=segment,
            channel=channel,
            act=act,
            reason=REASONS[why] if act == "kept" else "",
            now=_values(now),
            before=_values(had) if had[0] is not None else None,
            since=since.get(last),
        )
        for segment, channel, _, why, *values, last in found
        for now, had in [(values[:4], values[4:])]
    ]


def _values(row: list[Any]) -> SegmentValues:
    name, segment_id, link, active = row
    return SegmentValues(name, segment_id, link, bool(active))
