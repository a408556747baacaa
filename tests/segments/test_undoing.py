"""The undo of very many segments: one job, done by a worker, in one transaction with its end."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from channels.models import Channel
from jobs import runner
from jobs.lease import Reaper, claim
from jobs.models import Lane, Status, WorkerSeen
from people.models import Person
from segments import changes
from segments.activity.views import PATIENCE
from segments.models import ChangeSet, Segment, Source, UndoJob
from segments.undo import undoing
from segments.undo import views as undo_views
from segments.values import SegmentValues

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave every undo of more than two segments to a worker."""
    monkeypatch.setattr(undo_views, "IN_REQUEST", 2)


@pytest.fixture
def made(marketer: Person) -> ChangeSet:
    """An import of five segments."""
    rows = [(line, SegmentValues(f"Segment {line}", f"id-{line}")) for line in range(2, 7)]
    with changes.stage(rows) as staged:
        return changes.apply(
            staged,
            [Channel.objects.get(slug="email")],
            changes.Rule.UPDATE,
            kind=ChangeSet.Kind.IMPORT,
            source=Source.CSV,
            by=changes.By(marketer),
            label="core.csv",
        ).change_set


def work() -> None:
    """Do what a worker does with the next job."""
    job = claim("a test")
    assert job
    runner.perform(job)


def confirm(client: Client, change_set: ChangeSet, token: Any = None) -> Any:
    """Press the button of the page that asks."""
    return client.post(f"/activity/{change_set.pk}/undo/", {"form_token": token or uuid4()})


def test_is_left_to_the_worker_and_the_page_says_so(as_marketer: Client, made: ChangeSet) -> None:
    response = confirm(as_marketer, made)
    assert response["Location"] == f"/activity/{made.pk}/"
    assert Segment.objects.count() == 5
    html = as_marketer.get(f"/activity/{made.pk}/").content.decode()
    assert "This is about to be undone." in html
    assert f'hx-get="/activity/{made.pk}/undoing/"' in html
    assert "Being undone" in as_marketer.get("/activity/").content.decode()
    work()
    assert Segment.objects.count() == 0
    job = UndoJob.objects.get()
    assert (job.status, job.undo.undoes, job.undo.user, job.total) == (Status.DONE, made, job.user, 5)
    assert not Lane.objects.exists()
    html = as_marketer.get(f"/activity/{made.pk}/").content.decode()
    assert "hx-trigger" not in html.partition('id="undo-job"')[2].partition("</div>")[0]
    assert "Being undone" not in html


def test_however_often_it_is_asked_there_is_one_job(as_marketer: Client, as_admin: Client, made: ChangeSet) -> None:
    token = uuid4()
    for client, sent in ((as_marketer, token), (as_marketer, token), (as_marketer, None), (as_admin, None)):
        assert confirm(client, made, sent)["Location"] == f"/activity/{made.pk}/"
    assert as_admin.get(f"/activity/{made.pk}/undo/")["Location"] == f"/activity/{made.pk}/"
    assert UndoJob.objects.count() == 1
    work()
    confirm(as_marketer, made, token)
    assert UndoJob.objects.count() == 1
    assert ChangeSet.objects.filter(undoes=made).count() == 1


def test_the_part_of_the_page_asks_until_it_has_ended(as_viewer: Client, as_marketer: Client, made: ChangeSet) -> None:
    confirm(as_marketer, made)
    url, htmx = f"/activity/{made.pk}/undoing/", {"HX-Request": "true"}
    response = as_viewer.get(url, headers=htmx)
    assert "HX-Refresh" not in response
    assert b"about to be undone" in response.content
    UndoJob.objects.update(status=Status.RUNNING, total=5)
    assert b"5 segments at once" in as_viewer.get(url, headers=htmx).content
    UndoJob.objects.update(status=Status.FAILED, message="The disk is full.")
    assert as_viewer.get(url, headers=htmx)["HX-Refresh"] == "true"
    assert "The disk is full." in as_viewer.get(f"/activity/{made.pk}/").content.decode()
    assert as_viewer.get(url)["Location"] == f"/activity/{made.pk}/"


def test_missing_worker_is_said_after_a_minute(as_marketer: Client, made: ChangeSet) -> None:
    confirm(as_marketer, made)
    url = f"/activity/{made.pk}/"
    assert "manage.py worker" not in as_marketer.get(url).content.decode()
    job = UndoJob.objects.get()
    UndoJob.objects.update(created_at=job.created_at - PATIENCE * 2)
    assert "manage.py worker" in as_marketer.get(url).content.decode()
    WorkerSeen.objects.create(name="here", started_at=job.created_at, seen_at=job.created_at)
    assert "manage.py worker" not in as_marketer.get(url).content.decode()


def test_what_was_edited_while_it_waited_is_kept(as_marketer: Client, made: ChangeSet) -> None:
    confirm(as_marketer, made)
    segment = Segment.objects.get(name="Segment 3")
    changes.set_active(segment, False, changes.By())
    work()
    assert list(Segment.objects.all()) == [segment]
    job = UndoJob.objects.get()
    assert job.undo
    assert job.undo.channels.get().kept == 1
    assert job.said().after == "; 1 of 5 was changed since, and left alone"


def test_it_can_be_cancelled_while_it_waits(as_marketer: Client, made: ChangeSet) -> None:
    confirm(as_marketer, made)
    url = f"/activity/{made.pk}/"
    assert f'action="{url}undo/cancel/"' in as_marketer.get(url).content.decode()
    as_marketer.post(f"{url}undo/cancel/")
    assert claim("a test") is None
    assert Segment.objects.count() == 5
    html = as_marketer.get(url).content.decode()
    assert "Cancelled. Nothing was changed." in html
    assert "undo/cancel/" not in html
    confirm(as_marketer, made)
    work()
    assert not Segment.objects.exists()


def test_nothing_left_to_undo_is_said(as_marketer: Client, made: ChangeSet) -> None:
    confirm(as_marketer, made)
    changes.undo(made, changes.By())
    work()
    job = UndoJob.objects.get()
    assert (job.status, job.undo, job.message) == (Status.DONE, None, undoing.NOTHING_LEFT)
    assert ChangeSet.objects.filter(undoes=made).count() == 1
    assert undoing.NOTHING_LEFT in as_marketer.get(f"/activity/{made.pk}/").content.decode()


def test_a_lost_lease_rolls_the_undo_back(
    as_marketer: Client, made: ChangeSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirm(as_marketer, made)
    write = changes.undo

    def taken_away_meanwhile(*args: Any, finish: Callable[[Any], None], **kwargs: Any) -> Any:
        def end(undone: Any) -> None:
            UndoJob.objects.update(lease_token=uuid4())
            finish(undone)

        return write(*args, finish=end, **kwargs)

    monkeypatch.setattr(changes, "undo", taken_away_meanwhile)
    work()
    assert Segment.objects.count() == 5
    assert not ChangeSet.objects.filter(undoes=made).exists()


def test_who_may_not_any_more_when_it_starts_undoes_nothing(
    as_marketer: Client, marketer: Person, made: ChangeSet
) -> None:
    confirm(as_marketer, made)
    marketer.groups.clear()
    work()
    job = UndoJob.objects.get()
    assert (job.status, job.code) == (Status.FAILED, "not_allowed")
    assert Segment.objects.count() == 5


def test_waits_for_an_import_into_its_channel(as_marketer: Client, made: ChangeSet) -> None:
    confirm(as_marketer, made)
    lane = Lane.objects.create(name=f"channel:{Channel.objects.get(slug='email').pk}", token=uuid4())
    assert claim("a test") is None
    lane.delete()
    work()
    assert Segment.objects.count() == 0


def test_may_be_undone_again_after_it_failed(as_marketer: Client, made: ChangeSet) -> None:
    confirm(as_marketer, made)
    UndoJob.objects.update(status=Status.FAILED, message="Interrupted.")
    confirm(as_marketer, made)
    assert UndoJob.objects.count() == 2
    work()
    assert Segment.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_make_one_job(made: ChangeSet) -> None:
    start, found = threading.Barrier(20), []

    def one() -> None:
        start.wait()
        try:
            found.append(undoing.begin(made, changes.By(form_token=uuid4())).pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len(set(found)) == UndoJob.objects.count() == 1


def test_abandoned_job_is_given_back_and_done_once(as_marketer: Client, made: ChangeSet) -> None:
    confirm(as_marketer, made)
    assert claim("killed")
    Reaper(after=0).look()
    assert UndoJob.objects.get().status == Status.WAITING
    work()
    assert ChangeSet.objects.filter(undoes=made).count() == 1
