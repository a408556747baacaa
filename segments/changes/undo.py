"""Take a change set back, segment by segment, as far as nobody has touched the segments since.

Goes in: a change set. Comes out: first a plan (what would be removed, restored, kept), then the same
done in one transaction, itself a change set that can be undone. A segment is still as the set left it
while its `last_change` is what the set gave it: the set itself, or for an undo the one put back. What
was edited since, or whose identity another has meanwhile, is kept and named, never an error.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from channels.models import Channel
from jobs.points import reach
from segments.changes.lock import WEB_WAIT, locked
from segments.changes.sets import By, close_set, open_set
from segments.changes.stage import drop_tables, raw_transaction
from segments.models import Change, ChangeSet
from segments.values import SegmentValues

# aa_undo: one row a segment of the set. act: x remove, r restore, b bring back, k keep.
# why, of those kept: edited, deleted, back (it is there again), taken (its identity is another's).
CREATED = """
    INSERT INTO aa_undo (segment, channel, change, act, why)
    SELECT g.id, g.channel_id, NULL, CASE WHEN g.last_change_id = %(set)s THEN 'x' ELSE 'k' END, 'edited'
    FROM segments_segment g
    WHERE g.id BETWEEN %(first)s AND %(last)s AND g.created_in_id = %(set)s
      AND NOT EXISTS (SELECT 1 FROM segments_change c WHERE c.change_set_id = %(set)s AND c.segment = g.id)
"""
# What the set created and is not there any more, found by the record of its removal.
CREATED_AND_GONE = """
    INSERT INTO aa_undo (segment, channel, change, act, why)
    SELECT c.segment, min(c.channel_id), NULL, 'k', 'deleted'
    FROM segments_change c
    WHERE c.created_in_id = %(set)s AND c.kind = 'd' AND c.change_set_id > %(set)s
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
BLOCKED = """
    UPDATE aa_undo SET act = 'k', why = 'taken'
    WHERE act IN ('r', 'b') AND EXISTS (
        SELECT 1 FROM segments_segment h
        WHERE h.channel_id = aa_undo.channel AND h.identity_key = aa_undo.key AND h.id <> aa_undo.segment
          AND NOT EXISTS (
            SELECT 1 FROM aa_undo d
            WHERE d.segment = h.id AND (d.act = 'x' OR (d.act = 'r' AND d.key <> h.identity_key))
          )
    )
"""
# The same for Klaviyo's ID, which a sync may have brought back under a new primary key.
BLOCKED_BY_KLAVIYO_ID = """
    UPDATE aa_undo SET act = 'k', why = 'taken'
    WHERE act IN ('r', 'b') AND EXISTS (
        SELECT 1 FROM segments_change c JOIN segments_segment h
          ON h.channel_id = c.channel_id AND h.klaviyo_id = c.klaviyo_id
         AND COALESCE(h.klaviyo_account, 0) = COALESCE(c.klaviyo_account, 0) AND h.klaviyo_kind = c.klaviyo_kind
        WHERE c.id = aa_undo.change AND h.id <> aa_undo.segment
          AND NOT EXISTS (SELECT 1 FROM aa_undo d WHERE d.segment = h.id AND d.act = 'x')
    )
"""

_KEPT = ", ".join(Change.KEPT)
_BEFORE = """before_name, before_segment_id, before_link, before_active,
    before_identity_key, before_name_key, before_id_key, before_change"""
_AFTER = "after_name, after_segment_id, after_link, after_active, after_change"
_NOW = "g.name, g.segment_id, g.link, g.active, g.identity_key, g.name_key, g.id_key, g.last_change_id"

RECORD_REMOVED = f"""
    INSERT INTO segments_change (change_set_id, channel_id, segment, kind, {_BEFORE}, {_AFTER}, {_KEPT})
    SELECT %(undo)s, u.channel, g.id, 'd', {_NOW}, '', '', '', FALSE, %(undo)s, {_KEPT}
    FROM aa_undo u CROSS JOIN segments_segment g
    WHERE u.act = 'x' AND g.id = u.segment
"""
RECORD_RESTORED = f"""
    INSERT INTO segments_change (change_set_id, channel_id, segment, kind, {_BEFORE}, {_AFTER}, {_KEPT})
    SELECT %(undo)s, u.channel, g.id, 'u', {_NOW},
        c.before_name, c.before_segment_id, c.before_link, c.before_active, c.before_change,
        {", ".join(f"CASE WHEN c.source IS NOT NULL THEN g.{column} END" for column in Change.KEPT)}
    FROM aa_undo u CROSS JOIN segments_change c CROSS JOIN segments_segment g
    WHERE u.act = 'r' AND c.id = u.change AND g.id = u.segment
"""
RECORD_BROUGHT_BACK = f"""
    INSERT INTO segments_change (change_set_id, channel_id, segment, kind, {_BEFORE}, {_AFTER})
    SELECT %(undo)s, u.channel, c.segment, 'i', {", ".join("c." + column.strip() for column in _BEFORE.split(","))},
        c.before_name, c.before_segment_id, c.before_link, c.before_active, c.before_change
    FROM aa_undo u CROSS JOIN segments_change c
    WHERE u.act = 'b' AND c.id = u.change
"""
REMOVE = "DELETE FROM segments_segment WHERE id IN (SELECT segment FROM aa_undo WHERE act = 'x')"
# Two segments that exchanged identities: uniqueness is checked row by row, so both leave theirs first.
PARK = """
    UPDATE segments_segment SET identity_key = CAST('p' || CAST(id AS text) AS {blob})
    WHERE id IN (
        SELECT u.segment FROM aa_undo u JOIN segments_segment g ON g.id = u.segment
        WHERE u.act = 'r' AND u.key <> g.identity_key
    )
"""
# Matched by what aa_undo says, not by what the change says: SQLite puts `c` behind all that stands left of its CROSS
# JOIN, the table that is updated too, and would read that whole for each row.
RESTORED = """FROM (
        SELECT u.segment AS target, c.*
        FROM aa_undo u CROSS JOIN segments_change c
        WHERE u.act = 'r' AND c.id = u.change
    ) r"""
RESTORE = f"""
    UPDATE segments_segment SET
        name = r.before_name, segment_id = r.before_segment_id, link = r.before_link, active = r.before_active,
        identity_key = r.before_identity_key, name_key = r.before_name_key, id_key = r.before_id_key,
        last_change_id = r.before_change, updated_at = %(now)s
    {RESTORED} WHERE segments_segment.id = r.target
"""
# A change that linked a segment to Klaviyo kept what it was before: nobody's.
RESTORE_KEPT = f"""
    UPDATE segments_segment SET {", ".join(f"{column} = r.{column}" for column in Change.KEPT)}
    {RESTORED} WHERE segments_segment.id = r.target AND r.source IS NOT NULL
"""
BRING_BACK = f"""
    INSERT INTO segments_segment (id, channel_id, name, segment_id, link, active, identity_key, name_key, id_key,
        last_change_id, updated_at, {_KEPT})
    SELECT c.segment, c.channel_id, c.before_name, c.before_segment_id, c.before_link, c.before_active,
        c.before_identity_key, c.before_name_key, c.before_id_key, c.before_change, %(now)s, {_KEPT}
    FROM aa_undo u CROSS JOIN segments_change c
    WHERE u.act = 'b' AND c.id = u.change
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
    removed: int
    restored: int
    kept: int

    @property
    def total(self) -> int:
        """The segments of the set."""
        return self.removed + self.restored + self.kept

    def names(self, act: str, offset: int = 0, limit: int = 50) -> list[UndoRow]:
        """Return a page of the segments that would be `removed`, `restored` or `kept`, in name order."""
        return _rows(self.change_set, act, offset, limit)


def can_undo(change_set: ChangeSet) -> bool:
    """Whether an undo would change anything."""
    with undo_plan(change_set) as planned:
        return bool(planned.removed or planned.restored)


@contextmanager
def undo_plan(change_set: ChangeSet) -> Iterator[UndoPlan]:
    """Work out what an undo of `change_set` would do now; nothing is written."""
    _create_table()
    try:
        with raw_transaction():
            acts = _plan(change_set)
        yield UndoPlan(change_set, acts.get("x", 0), acts.get("r", 0) + acts.get("b", 0), acts.get("k", 0))
    finally:
        drop_tables("aa_undo")


def undo(
    change_set: ChangeSet,
    by: By,
    wait: int | None = WEB_WAIT,
    finish: Callable[[ChangeSet | None], None] | None = None,
) -> ChangeSet | None:
    """Undo what can be undone of `change_set`, in one transaction; None if that is nothing.

    Returns the undo's own change set. `finish` is given the same as the last statement before the commit:
    what it raises rolls everything back. Raises AlreadyDone, ChannelBusy after `wait` seconds.
    """
    channels = list(Channel.objects.filter(changesetchannel__change_set=change_set))
    with locked(channels, wait):
        undoing = open_set(ChangeSet.Kind.UNDO, by, str(change_set), undoes=change_set)
        undone: ChangeSet | None = None
        with undo_plan(change_set) as planned:
            reach("undo:planned")
            if planned.removed or planned.restored:
                _write(change_set, undoing)
                for channel in channels:
                    close_set(undoing, channel, **_counts(channel))
                undone = undoing
            else:
                undoing.delete()
        reach("undo:written")
        if finish:
            finish(undone)
        reach("undo:before_commit")
    reach("undo:committed")
    return undone


def _create_table() -> None:
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMPORARY TABLE aa_undo (segment bigint{'' if postgresql else ' PRIMARY KEY'}, "
            f"channel bigint NOT NULL, change bigint, act char(1) NOT NULL, "
            f"key {'bytea' if postgresql else 'blob'}, why varchar(10) NOT NULL)"
        )


def _plan(change_set: ChangeSet) -> dict[str, int]:
    parameters = {"set": change_set.pk, "first": change_set.first_pk, "last": change_set.last_pk}
    with connection.cursor() as cursor:
        rows = 0
        if change_set.first_pk is not None:
            cursor.execute(CREATED, parameters)
            rows += cursor.rowcount
            cursor.execute(CREATED_AND_GONE, parameters)
            rows += cursor.rowcount
        cursor.execute(CHANGED, parameters)
        rows += cursor.rowcount
        if rows and connection.vendor == "postgresql":
            cursor.execute("ANALYZE aa_undo")
        cursor.execute(BLOCKED_BY_KLAVIYO_ID)
        while True:
            cursor.execute(BLOCKED)
            if cursor.rowcount < 1:
                break
        cursor.execute("SELECT act, count(*) FROM aa_undo GROUP BY act")
        acts: dict[str, int] = dict(cursor.fetchall())
    return acts


def _write(change_set: ChangeSet, undoing: ChangeSet) -> None:
    parameters: dict[str, Any] = {"set": change_set.pk, "undo": undoing.pk, "now": timezone.now()}
    park = PARK.format(blob="bytea" if connection.vendor == "postgresql" else "blob")
    steps = (RECORD_REMOVED, RECORD_RESTORED, RECORD_BROUGHT_BACK, REMOVE, park, RESTORE, RESTORE_KEPT, BRING_BACK)
    with connection.cursor() as cursor:
        for step in steps:
            cursor.execute(step, parameters)


def _counts(channel: Channel) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT act, count(*) FROM aa_undo WHERE channel = %(c)s GROUP BY act", {"c": channel.pk})
        acts: dict[str, int] = dict(cursor.fetchall())
    names = {"x": "deleted", "r": "updated", "b": "created", "k": "kept"}
    return {names[act]: count for act, count in acts.items()}


NAMES = """
    SELECT u.segment, u.channel, u.act, u.why,
        COALESCE(g.name, c.before_name, d.before_name),
        COALESCE(g.segment_id, c.before_segment_id, d.before_segment_id),
        COALESCE(g.link, c.before_link, d.before_link), COALESCE(g.active, c.before_active, d.before_active),
        {had}, COALESCE(g.last_change_id, d.change_set_id)
    FROM aa_undo u
    LEFT JOIN segments_segment g ON g.id = u.segment
    LEFT JOIN segments_change c ON c.id = u.change
    LEFT JOIN segments_change d ON d.id = (
        SELECT max(l.id) FROM segments_change l WHERE g.id IS NULL AND l.segment = u.segment AND l.kind = 'd')
    LEFT JOIN segments_change f ON f.id = (
        SELECT min(l.id) FROM segments_change l
        WHERE u.act = 'k' AND u.change IS NULL AND l.segment = u.segment AND l.change_set_id > %(set)s)
    WHERE u.act IN {acts}
    ORDER BY COALESCE(g.name_key, c.before_name_key, d.before_name_key), u.segment
    LIMIT %(limit)s OFFSET %(offset)s
"""
_GETS_BACK = "c.before_name, c.before_segment_id, c.before_link, c.before_active"
# What the set gave it: what it wrote, or of a created one what the first change since found.
_HAD = ", ".join(
    f"COALESCE(c.after_{column}, f.before_{column})" for column in ("name", "segment_id", "link", "active")
)


def _rows(change_set: ChangeSet, act: str, offset: int, limit: int) -> list[UndoRow]:
    letters = ", ".join(f"'{letter}'" for letter in ACTS[act])
    sql = NAMES.format(had=_GETS_BACK if act == "restored" else _HAD, acts=f"({letters})")
    with connection.cursor() as cursor:
        cursor.execute(sql, {"set": change_set.pk, "limit": limit, "offset": offset})
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
