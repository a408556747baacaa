"""Take a change set back, segment by segment, as far as nobody has touched the segments since.

Goes in: a change set. Comes out: what segments.changes.undo_plan says, done in one transaction, and itself a change set
that can be undone. Must not know: jobs (the caller's `finish` ends them, inside the transaction), pages.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from channels.models import Channel
from jobs.points import reach
from segments.changes.apply import expect
from segments.changes.lock import WEB_WAIT, locked
from segments.changes.record import AFTER, BEFORE, GONE, KEPT, NOW
from segments.changes.sets import By, close_set, open_set
from segments.changes.undo_plan import UNTOUCHED, UndoPlan, parameters_of, undo_plan
from segments.models import Change, ChangeSet

_REMOVED = f"""
    INSERT INTO segments_change (change_set_id, channel_id, segment, kind, {BEFORE}, {AFTER}, {KEPT})
    SELECT %(undo)s, g.channel_id, g.id, 'd', {NOW}, {GONE}, %(undo)s, {KEPT}
"""
RECORD_REMOVED = f"{_REMOVED} FROM aa_undo u CROSS JOIN segments_segment g WHERE u.act = 'x' AND g.id = u.segment"
RECORD_UNTOUCHED = f"{_REMOVED} FROM segments_segment g WHERE {UNTOUCHED.format('g')}"
RECORD_RESTORED = f"""
    INSERT INTO segments_change (change_set_id, channel_id, segment, kind, {BEFORE}, {AFTER}, {KEPT})
    SELECT %(undo)s, u.channel, g.id, 'u', {NOW},
        c.before_name, c.before_segment_id, c.before_link, c.before_active, c.before_change,
        {", ".join(f"CASE WHEN c.source IS NOT NULL THEN g.{column} END" for column in Change.KEPT)}
    FROM aa_undo u CROSS JOIN segments_change c CROSS JOIN segments_segment g
    WHERE u.act = 'r' AND c.id = u.change AND g.id = u.segment
"""
RECORD_BROUGHT_BACK = f"""
    INSERT INTO segments_change (change_set_id, channel_id, segment, kind, {BEFORE}, {AFTER})
    SELECT %(undo)s, u.channel, c.segment, 'i', {", ".join("c." + column.strip() for column in BEFORE.split(","))},
        c.before_name, c.before_segment_id, c.before_link, c.before_active, c.before_change
    FROM aa_undo u CROSS JOIN segments_change c
    WHERE u.act = 'b' AND c.id = u.change
"""
REMOVE = "DELETE FROM segments_segment WHERE id IN (SELECT segment FROM aa_undo WHERE act = 'x')"
REMOVE_UNTOUCHED = f"DELETE FROM segments_segment WHERE {UNTOUCHED.format('segments_segment')}"
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
        last_change_id, updated_at, {KEPT})
    SELECT c.segment, c.channel_id, c.before_name, c.before_segment_id, c.before_link, c.before_active,
        c.before_identity_key, c.before_name_key, c.before_id_key, c.before_change, %(now)s, {KEPT}
    FROM aa_undo u CROSS JOIN segments_change c
    WHERE u.act = 'b' AND c.id = u.change
"""

MANY = 10_000  # segments, whose removal is worth making indexes anew


def undo(
    change_set: ChangeSet,
    by: By,
    wait: int | None = WEB_WAIT,
    report: Callable[[UndoPlan], None] | None = None,
    finish: Callable[[ChangeSet | None], None] | None = None,
    passed: Callable[[], None] = lambda: None,
) -> ChangeSet | None:
    """Undo what can be undone of `change_set`, in one transaction; None if that is nothing.

    Returns the undo's own change set. `report` sees the plan before it is written. `finish` is given that change set
    as the last statement before the commit. `passed` is called when it is planned, recorded, removed and restored.
    What any of them raises rolls everything back. Raises AlreadyDone, ChannelBusy after `wait` seconds.
    """
    channels = list(Channel.objects.filter(changesetchannel__change_set=change_set))
    with locked(channels, wait):
        undoing = open_set(ChangeSet.Kind.UNDO, by, str(change_set), undoes=change_set)
        undone: ChangeSet | None = None
        with undo_plan(change_set) as planned:
            reach("undo:planned")
            if report:
                report(planned)
            passed()
            if planned.removed or planned.restored:
                _write(planned, undoing, passed)
                for channel in channels:
                    close_set(undoing, channel, **_counts(planned.acts[channel.pk]))
                undone = undoing
            else:
                undoing.delete()
        reach("undo:written")
        if finish:
            finish(undone)
        reach("undo:before_commit")
    reach("undo:committed")
    return undone


def _write(planned: UndoPlan, undoing: ChangeSet, passed: Callable[[], None]) -> None:
    parameters = parameters_of(planned.change_set) | {"undo": undoing.pk, "now": timezone.now()}
    park = PARK.format(blob="bytea" if connection.vendor == "postgresql" else "blob")
    with connection.cursor() as cursor:

        def written(*steps: str) -> int:
            rows = 0
            for step in steps:
                cursor.execute(step, parameters)
                rows += cursor.rowcount
            return rows

        expect(written(RECORD_UNTOUCHED, RECORD_REMOVED), planned.removed, "recorded")
        expect(written(RECORD_RESTORED, RECORD_BROUGHT_BACK), planned.restored, "recorded")
        passed()
        with without_indexes(planned.removed):
            expect(written(REMOVE_UNTOUCHED, REMOVE), planned.removed, "removed")
        passed()
        written(park)
        restored = written(RESTORE)
        written(RESTORE_KEPT)
        expect(restored + written(BRING_BACK), planned.restored, "restored")
        passed()


@contextmanager
def without_indexes(removed: int) -> Iterator[None]:
    """On SQLite, take the indexes of segments away while many are `removed` that are most of all, and make them again.

    To find each of them in each index takes three times as long. It is part of the transaction like all else: other
    connections never see the table without, and neither does who comes after a crash.
    """
    here = Channel.objects.aggregate(total=Sum("segment_count"))["total"] or 0
    if connection.vendor != "sqlite" or removed < MANY or removed < here - removed:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE tbl_name = 'segments_segment' AND type = 'index'")
        indexes = {name: sql for name, sql in cursor.fetchall() if sql}  # not those of constraints, which have none
        for name in indexes:
            cursor.execute(f"DROP INDEX {connection.ops.quote_name(name)}")
        yield
        for sql in indexes.values():
            cursor.execute(sql)


def _counts(acts: Counter[str]) -> dict[str, int]:
    return {"deleted": acts["x"], "updated": acts["r"], "created": acts["b"], "kept": acts["k"]}
