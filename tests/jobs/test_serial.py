"""Imports, syncs, edits and undos at the same time, workers killed among them: as if one after the other.

Eight worker processes do imports into the same channels while people sync, edit and undo; two of the workers
die at random points. Afterwards the change sets are done again, one after the other in the order of
their numbers, in other channels: the same segments and the same counts must come out. The seed is
printed; AA_SEED gives one, AA_ROUNDS asks for more than one round.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from channels.models import Channel
from imports.models import ImportJob
from jobs.lease import Reaper
from jobs.models import ENDED, Lane, Status
from segments import changes
from segments.changes import Fetched
from segments.models import Change, ChangeSet, Segment, Source
from segments.values import SegmentValues
from tests.queued import queue_rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

SEED = int(os.environ.get("AA_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
ROUNDS = int(os.environ.get("AA_ROUNDS", "1"))
WORKERS, IMPORTS, EDITORS = 8, 16, 2
NAMES = [f"Segment {number}" for number in range(60)]
IDS = [f"id-{number}" for number in range(40)] + [""] * 20
POINTS = ("stage:batch", "stage:loaded", "apply:planned", "apply:written", "job:finished", "apply:committed")
DEAD_AFTER = 10.0  # seconds without a heartbeat
PATIENCE = 300  # seconds; never a measure of speed
SLUGS = ("email", "sms")
ACCOUNT = 1


def some_values(chance: random.Random) -> SegmentValues:
    """Return values of which others have the name or the ID, more often than not."""
    return SegmentValues(
        chance.choice(NAMES), chance.choice(IDS), chance.choice(["", "https://example.com/a"]), chance.random() < 0.7
    )


def some_objects(chance: random.Random) -> list[Fetched]:
    """Return what a Klaviyo account may hold: segments and lists, some under names and IDs that are here."""
    ids = chance.sample(range(40), chance.randrange(1, 20))
    link = "https://www.klaviyo.com/lists/{}"
    return [
        Fetched(SegmentValues(chance.choice(NAMES), f"id-{pk}", link.format(pk), True), ("list", "segment")[pk % 2])
        for pk in ids
    ]


def sync(channel: Channel, objects: list[Fetched]) -> ChangeSet:
    """Write what the account holds into `channel`."""
    with changes.stage_sync(list(enumerate(objects, 1))) as staged:
        return changes.apply_sync(staged, channel, ACCOUNT, by=changes.By()).change_set


class Upload:
    """An import that waits, and what it will do."""

    def __init__(self, chance: random.Random) -> None:
        self.rows = [(line, some_values(chance)) for line in range(2, 2 + chance.randrange(1, 60))]
        self.rule = chance.choice(list(changes.Rule))
        self.slugs = chance.choice([("email",), ("sms",), SLUGS])

    def queue(self) -> ImportJob:
        """Store its file, and put it into the queue."""
        rows = ([*values[:3], "true" if values.active else "false"] for _, values in self.rows)
        return queue_rows(rows, *self.slugs, on_duplicate=self.rule.value)


class Editor(threading.Thread):
    """Somebody who adds, edits, switches, deletes, syncs and undoes until the imports are over."""

    def __init__(self, seed: int, over: threading.Event) -> None:
        super().__init__()
        self.chance = random.Random(seed)
        self.over = over
        self.added: dict[int, SegmentValues] = {}  # by change set
        self.synced: dict[int, list[Fetched]] = {}  # by change set
        self.fault: BaseException | None = None

    def run(self) -> None:
        """Act now and then. What stands in the way of an act is no fault."""
        try:
            while not self.over.wait(self.chance.random() / 5):
                with suppress(changes.IdentityTaken, changes.EditedMeanwhile, changes.ChannelBusy):
                    self.act()
        except BaseException as fault:
            self.fault = fault
        finally:
            connection.close()

    def act(self) -> None:
        """Do one thing."""
        by = changes.By()
        segment = Segment.objects.filter(channel__slug__in=SLUGS).select_related("channel").order_by("?").first()
        act = self.chance.choice(["add", "edit", "switch", "delete", "sync", "undo"])
        if act == "add" or segment is None:
            values = some_values(self.chance)
            added = changes.add(Channel.objects.get(slug=self.chance.choice(SLUGS)), values, by)
            self.added[added.created_in_id] = values
        elif act == "sync":
            objects = some_objects(self.chance)
            self.synced[sync(segment.channel, objects).pk] = objects
        elif act == "edit":
            changes.edit(segment, some_values(self.chance), by)
        elif act == "switch":
            changes.set_active(segment, not segment.active, by)
        elif act == "delete":
            changes.delete(segment, by)
        elif change_set := ChangeSet.objects.order_by("?").first():
            changes.undo(change_set, by)


class Twins:
    """Other channels, in which the change sets of the real ones are done again."""

    def __init__(self, uploads: dict[int, Upload], editors: list[Editor]) -> None:
        self.uploads = uploads
        self.added = {pk: values for editor in editors for pk, values in editor.added.items()}
        self.synced = {pk: objects for editor in editors for pk, objects in editor.synced.items()}
        self.channels = {
            slug: Channel.objects.create(name=f"Twin {slug} {SEED}", slug=f"twin-{slug}") for slug in SLUGS
        }
        self.sets: dict[int, ChangeSet | None] = {}

    def do_again(self, change_set: ChangeSet) -> None:
        """Do what `change_set` did."""
        kind, by = ChangeSet.Kind(change_set.kind), changes.By()
        twin: ChangeSet | None
        if kind == ChangeSet.Kind.IMPORT:
            twin = self._import(self.uploads[change_set.pk])
        elif kind == ChangeSet.Kind.UNDO:
            undone = self.sets[change_set.undoes_id or 0]
            assert undone
            twin = changes.undo(undone, by)
        elif kind == ChangeSet.Kind.SYNC:
            twin = sync(self.channels[change_set.channels.get().channel.slug], self.synced[change_set.pk])
        elif kind == ChangeSet.Kind.ADD:
            slug = change_set.channels.get().channel.slug
            twin = changes.add(self.channels[slug], self.added[change_set.pk], by).created_in
        else:
            change = Change.objects.select_related("channel").get(change_set=change_set)
            segment = Segment.objects.select_related("channel").get(
                channel=self.channels[change.channel.slug], identity_key=change.before_identity_key
            )
            if kind == ChangeSet.Kind.DELETE:
                twin = changes.delete(segment, by)
            elif kind == ChangeSet.Kind.STATUS:
                twin = changes.set_active(segment, change.after_active, by)
            else:
                values = SegmentValues(
                    change.after_name, change.after_segment_id, change.after_link, change.after_active
                )
                twin = changes.edit(segment, values, by)
        self.sets[change_set.pk] = twin
        assert twin, f"{change_set.pk} {change_set} changes nothing when done again"
        assert counts_of(twin) == counts_of(change_set)

    def _import(self, upload: Upload) -> ChangeSet:
        with changes.stage(upload.rows) as staged:
            return changes.apply(
                staged,
                [self.channels[slug] for slug in upload.slugs],
                upload.rule,
                kind=ChangeSet.Kind.IMPORT,
                source=Source.CSV,
                by=changes.By(),
            ).change_set


def counts_of(change_set: ChangeSet) -> list[tuple[Any, ...]]:
    """Return what the set did in each channel, in numbers."""
    fields = ("created", "updated", "deleted", "unchanged", "skipped", "errors", "kept")
    return list(change_set.channels.order_by("channel__slug").values_list(*fields))


def catalogue(channel: Channel) -> list[tuple[Any, ...]]:
    """Return all segments of the channel."""
    fields = ("identity_key", "name", "segment_id", "link", "active", "source", "created_line")
    klaviyo = ("klaviyo_id", "klaviyo_kind", "synced_name", "synced_link")
    rows = channel.segments.order_by("identity_key").values_list(*fields, *klaviyo)
    return [(bytes(key), *values) for key, *values in rows]


@pytest.fixture
def workers(environment: dict[str, str]) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Worker processes; they are told to go at the end."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        process.wait(PATIENCE)


@pytest.mark.parametrize(
    "seed", [SEED + number for number in range(ROUNDS)], ids=[f"round {n + 1}" for n in range(ROUNDS)]
)
def test_all_at_once_is_as_if_one_after_the_other(
    seed: int, environment: dict[str, str], workers: list["subprocess.Popen[bytes]"]
) -> None:
    print(f"AA_SEED={seed}")
    chance = random.Random(seed)
    uploads = {upload.queue().pk: upload for upload in [Upload(chance) for _ in range(IMPORTS)]}
    doomed = [{"AA_KILL_AT": point} for point in chance.sample(POINTS, 2)]
    for variables in [*doomed, *[{}] * (WORKERS - len(doomed))]:
        command = [sys.executable, "manage.py", "worker", "--poll", "0.2"]
        workers.append(subprocess.Popen(command, env=environment | variables, cwd=settings.BASE_DIR))
    over = threading.Event()
    editors = [Editor(chance.random(), over) for _ in range(EDITORS)]
    for editor in editors:
        editor.start()
    try:
        wait_for_all()
    finally:
        over.set()
        for editor in editors:
            editor.join()
    assert [editor.fault for editor in editors] == [None] * EDITORS
    assert set(ImportJob.objects.values_list("status", flat=True)) == {Status.DONE}
    assert not Lane.objects.exists()

    of_set = {job.change_set_id: uploads[job.pk] for job in ImportJob.objects.all() if job.change_set_id}
    assert len(of_set) == IMPORTS
    twins = Twins(of_set, editors)
    for change_set in list(ChangeSet.objects.order_by("pk")):
        twins.do_again(change_set)
    done = Counter(ChangeSet.objects.filter(pk__in=twins.sets).values_list("kind", flat=True))
    killed = [process for process in workers if process.poll() == -signal.SIGKILL]
    print(f"{len(killed)} workers killed; done: {dict(done)}")
    for slug in SLUGS:
        channel = Channel.objects.get(slug=slug)
        assert catalogue(channel) == catalogue(twins.channels[slug])
        assert channel.segment_count == channel.segments.count()


def wait_for_all() -> None:
    """Wait until all imports have ended, giving back those of dead workers."""
    reaper = Reaper(DEAD_AFTER)
    deadline = time.monotonic() + PATIENCE
    while ImportJob.objects.exclude(status__in=ENDED).exists():
        assert time.monotonic() < deadline, "the imports do not end"
        reaper.look()
        time.sleep(0.2)
