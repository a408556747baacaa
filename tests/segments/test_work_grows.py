"""What a change of many segments costs grows with their number, not with its square.

Counted are the steps of SQLite's machine, of which there are as many on every computer. A join that reads a whole
table for each row shows here, and nowhere else before there are a hundred thousand rows.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection

from channels.models import Channel
from segments import changes
from segments.changes import By, Fetched, Rule
from segments.models import ChangeSet, Source
from segments.values import SegmentValues

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL does not tell its steps: see make bench"),
]

FEW, MANY = 300, 3_000
TIMES = MANY / FEW * 1.5  # what ten times as many rows may cost: ten times as much, and the depth of an index
STEP = 1_000


def steps_of(work: Callable[[], Any]) -> int:
    """How many thousand steps SQLite takes for `work`."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    connection.ensure_connection()
    connection.connection.set_progress_handler(count, STEP)
    try:
        work()
    finally:
        connection.connection.set_progress_handler(None, 0)
    return taken


def import_rows(channel: Channel, rows: int, link: str) -> ChangeSet:
    """Import that many rows, every other without an ID."""
    values = (
        SegmentValues(f"Segment {n}", f"id-{n}" if n % 2 else "", f"https://example.com/{link}{n}") for n in range(rows)
    )
    with changes.stage(enumerate(values, 2)) as staged:
        result = changes.apply(staged, [channel], Rule.UPDATE, kind=ChangeSet.Kind.IMPORT, source=Source.CSV, by=By())
    return result.change_set


def sync_rows(channel: Channel, rows: int, link: str) -> ChangeSet:
    """Sync that many segments: some adopt what an import brought, some are known, some are new."""
    objects = [
        Fetched(SegmentValues(f"Synced {n}", f"id-{n}", f"https://example.com/{link}{n}", True), "segment")
        for n in range(rows)
    ]
    with changes.stage_sync(list(enumerate(objects, 1))) as staged:
        return changes.apply_sync(staged, channel, 1, by=By()).change_set


def look(change_set: ChangeSet) -> None:
    """Ask what an undo would do, as its page does."""
    with changes.undo_plan(change_set) as plan:
        for act in ("removed", "restored", "kept"):
            plan.names(act)


def steps_with(channel: Channel, rows: int) -> dict[str, int]:
    """What each change takes, in the order of the life of a channel."""
    taken: dict[str, int] = {}
    sets: list[ChangeSet] = []

    def take(what: str, work: Callable[[], Any]) -> None:
        taken[what] = steps_of(lambda: sets.append(work()))

    take("import", lambda: import_rows(channel, rows, ""))
    take("import of the same", lambda: import_rows(channel, rows, ""))
    take("import of other links", lambda: import_rows(channel, rows, "new-"))
    take("sync", lambda: sync_rows(channel, rows, ""))
    take("sync of other links", lambda: sync_rows(channel, rows, "new-"))
    for number, what in ((4, "second sync"), (3, "sync"), (2, "import of other links"), (0, "import")):
        change_set = sets[number]
        take(f"look at the undo of the {what}", partial(look, change_set))
        take(f"undo of the {what}", partial(changes.undo, change_set, By()))
    undone = sets[-1]
    take("undo of that undo", lambda: changes.undo(undone, By()))
    return taken


def test_ten_times_the_rows_take_about_ten_times_the_work() -> None:
    few = steps_with(Channel.objects.get(slug="email"), FEW)
    many = steps_with(Channel.objects.get(slug="sms"), MANY)
    too_much = {what: many[what] / few[what] for what in few if many[what] > few[what] * TIMES}
    assert not too_much, too_much
