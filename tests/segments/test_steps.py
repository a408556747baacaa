"""How far a change of very many segments is: its steps are told as they are done, and no step that nobody knows."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from channels.models import Channel
from jobs import runner
from jobs.lease import claim
from jobs.models import WRITING, Status
from people.models import Person
from segments import changes
from segments.bulk import acting
from segments.models import BulkJob, Segment, UndoJob
from segments.steps import step, steps_of
from segments.undo import undoing
from tests.factories import SegmentFactory

SEGMENTS = 10


@pytest.fixture
def email() -> Channel:
    channel = Channel.objects.get(slug="email")
    for number in range(SEGMENTS):
        SegmentFactory(name=f"VIP {number}", channel=channel)
    return channel


def begun(action: str, email: Channel, by: changes.By) -> BulkJob | UndoJob:
    """A job that does `action` to all segments of the channel."""
    if action != "undo":
        return acting.begin(action, email, {"q": "vip"}, Channel.objects.exclude(pk=email.pk), by)
    change_set = changes.set_active_all(email.segments.all(), email, False, by)
    assert change_set
    return undoing.begin(change_set, by)


def perform(on_beat: Callable[[Any, int], None]) -> None:
    """Do the next job; `on_beat` is given it and its progress, as each of its steps is done."""
    job: Any = claim("a test")

    def beat(progress: int, total: int, name: str) -> None:
        if name == WRITING:
            assert total == SEGMENTS
            on_beat(job, progress)

    job.on_beat = beat
    runner.perform(job)
    job.refresh_from_db()
    assert (job.status, job.progress, job.total) == (Status.DONE, SEGMENTS, SEGMENTS)


@pytest.mark.django_db
@pytest.mark.parametrize("action", [*BulkJob.Action.values, "undo"])
def test_each_step_is_told_once_and_in_its_turn(email: Channel, marketer: Person, action: str) -> None:
    if action == "activate":
        Segment.objects.update(active=False)
    begun(action, email, changes.By(marketer))
    told = []

    def on_beat(job: Any, progress: int) -> None:
        job.progress, job.total, job.step = progress, SEGMENTS, WRITING
        told.append(step(job))

    perform(on_beat)
    names = steps_of((UndoJob if action == "undo" else BulkJob).objects.get())  # type: ignore[attr-defined]
    expected = [(number, name) for number, name in enumerate(names, 1)][1:]
    assert [(at.number, at.name) for at in told if at] == [*expected, expected[-1]]  # the last is told till the end
    percents = [at.percent for at in told if at]
    assert percents == sorted(percents)
    assert percents[-1] < 100


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("action", ["deactivate", "undo"])
def test_the_page_tells_the_step_while_the_change_is_written(
    as_marketer: Client, marketer: Person, email: Channel, action: str
) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets nobody write down a step before the change is whole")
    begun(action, email, changes.By(marketer))
    pages = []

    def look(job: Any) -> None:
        try:
            job.lease.tick()
            url = f"/activity/{job.change_set_id}/" if action == "undo" else job.get_absolute_url()
            pages.append(as_marketer.get(url).content.decode())
        finally:
            connection.close()

    def on_beat(job: Any, progress: int) -> None:
        another = threading.Thread(target=look, args=[job])  # with a connection of its own
        another.start()
        another.join()

    perform(on_beat)
    of = len(pages)
    assert of == (4 if action == "undo" else 3)
    assert "Step " not in pages[0]
    for number, page in enumerate(pages[1:], 2):
        assert f"Step {number} of {of}: " in page
        assert f'<progress max="100" value="{(number - 1) * 100 // of}"' in page
        assert f"{SEGMENTS} segments" in page


@pytest.mark.django_db
def test_a_step_that_nobody_knows_is_not_told(as_marketer: Client, marketer: Person, email: Channel) -> None:
    job = begun("delete", email, changes.By(marketer))
    BulkJob.objects.update(status=Status.RUNNING, step=WRITING, total=SEGMENTS)
    page = as_marketer.get(job.get_absolute_url()).content.decode()  # type: ignore[union-attr]
    assert "All of them are written at once, or none." in page
    assert '<progress aria-label="Working">' in page
    assert "Step " not in page
