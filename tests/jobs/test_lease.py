"""One holder of a job at a time; one running job a channel."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels.models import Channel
from imports.models import ImportJob
from jobs import lease
from jobs.models import Job, Lane, Notice, Status
from segments import changes
from segments.models import UndoJob
from segments.values import SegmentValues

pytestmark = pytest.mark.django_db(transaction=True)
Queue = Callable[..., ImportJob]
Together = Callable[..., list[Any]]


def test_one_of_eight_claimers_gets_the_job(queue: Queue, together: Together) -> None:
    job = queue()
    results = together(8, lambda: lease.claim("w"))
    assert [claimed.pk for claimed in results if claimed] == [job.pk]
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.RUNNING, 1)


def test_eight_claimers_share_out_jobs_of_different_channels(queue: Queue, together: Together) -> None:
    jobs = {queue(slug).pk for slug in ("email", "sms", "meta")}
    claimed: list[Job] = []
    while len(claimed) < 3:
        claimed += [job for job in together(8, lambda: lease.claim("w")) if job]
    assert {job.pk for job in claimed} == jobs


def test_one_job_of_a_channel_runs_at_a_time(queue: Queue, together: Together) -> None:
    for _ in range(8):
        queue("email")
    assert len([job for job in together(8, lambda: lease.claim("w")) if job]) <= 1
    lease.claim("w")
    assert ImportJob.objects.filter(status=Status.RUNNING).count() == 1
    assert lease.claim("w") is None


def test_job_that_ended_leaves_its_channel_to_the_next(queue: Queue) -> None:
    queue("email")
    second = queue("email")
    lease.finish(lease.claim("w"), Status.DONE)
    assert lease.claim("w") == second


def test_jobs_of_one_channel_start_in_the_order_they_came(queue: Queue) -> None:
    busy = queue("email")
    both = queue("email", "sms")
    young = queue("sms")
    assert lease.claim("w") == busy
    assert lease.claim("w") is None, "the younger job must not overtake the one that waits for both channels"
    busy = ImportJob.objects.get(pk=busy.pk)
    busy.transition(Status.CANCELLED, of=(Status.RUNNING,))
    lease.Reaper().look()
    assert lease.claim("w") == both
    assert lease.claim("w") is None
    young.refresh_from_db()
    assert young.status == Status.WAITING


def test_check_needs_no_channel_to_itself(queue: Queue) -> None:
    queue("email")
    check = queue("email", goal=Job.Goal.CHECK)
    lease.claim("w")
    assert lease.claim("w") == check
    check.refresh_from_db()
    assert check.status == Status.CHECKING
    assert Lane.objects.count() == 1


def test_looking_for_jobs_costs_the_same_at_one_and_at_many(queue: Queue) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            list(lease.startable())
        return len(captured)

    def wait() -> None:
        queue("email", "sms")
        segment = changes.add(Channel.objects.get(slug="email"), SegmentValues(f"Segment {uuid4()}"), changes.By())
        UndoJob.objects.create(change_set=segment.created_in)

    wait()
    one = queries()
    for _ in range(5):
        wait()
    assert queries() == one


def test_job_is_not_claimed_before_its_back_off_is_over(queue: Queue) -> None:
    job = queue(not_before=timezone.now() + timedelta(minutes=1))
    assert lease.claim("w") is None
    ImportJob.objects.update(not_before=timezone.now())
    assert lease.claim("w") == job


def test_back_off_set_by_a_clock_that_was_ahead_is_not_waited_for(queue: Queue) -> None:
    job = queue(not_before=timezone.now() + timedelta(days=1))
    assert lease.claim("w") == job


@pytest.mark.parametrize("status", [status for status in Status if status != Status.WAITING])
def test_only_waiting_jobs_are_claimed(queue: Queue, status: Status) -> None:
    queue(status=status)
    assert lease.claim("w") is None


def test_of_twenty_parallel_transitions_one_wins(queue: Queue, together: Together) -> None:
    job = queue(status=Status.READY)
    results = together(20, lambda: ImportJob.objects.get(pk=job.pk).transition(Status.WAITING, of=(Status.READY,)))
    assert sorted(results) == [False] * 19 + [True]


def test_job_put_into_the_queue_again_has_all_its_attempts(queue: Queue) -> None:
    job = queue(status=Status.READY, attempt=2)
    job.transition(Status.WAITING, of=(Status.READY,))
    assert lease.claim("w").attempt == 1


def test_heartbeat_brings_progress_to_the_row(queue: Queue, quick_beats: None, until: Any) -> None:
    queue()
    job = lease.claim("w")
    with lease.hold(job):
        job.beat(640, 1210, "reading")
        row = until(lambda: ImportJob.objects.filter(pk=job.pk, progress=640).first())
        assert (row.total, row.step) == (1210, "reading")
        until(lambda: ImportJob.objects.get(pk=job.pk).heartbeat_at > row.heartbeat_at)


@pytest.mark.parametrize(
    "taken", [{"status": Status.WAITING}, {"status": Status.FAILED}, {"status": Status.RUNNING}], ids=str
)
def test_holder_notices_at_a_beat_that_the_lease_is_lost(
    queue: Queue, quick_beats: None, until: Any, taken: dict[str, Any]
) -> None:
    queue()
    job = lease.claim("w")
    with pytest.raises(lease.LeaseLost), lease.hold(job):  # noqa: PT012  # the beat is in a loop
        ImportJob.objects.update(lease_token=None, **taken)
        until(lambda: job.beat(1, 2, "reading"))


def test_lost_lease_rolls_back_what_was_written_with_it(queue: Queue) -> None:
    queue()
    job = lease.claim("w")
    ImportJob.objects.update(lease_token=None)

    def write() -> None:
        with transaction.atomic():
            Channel.objects.create(name="Push", slug="push")
            lease.finish(job, Status.DONE)

    with pytest.raises(lease.LeaseLost):
        write()
    assert not Channel.objects.filter(slug="push").exists()
    assert ImportJob.objects.get().status == Status.RUNNING


def test_finish_and_what_was_written_with_it_are_one(queue: Queue) -> None:
    queue()
    job = lease.claim("w")

    class PowerCut(Exception):
        pass

    def write() -> None:
        with transaction.atomic():
            lease.finish(job, Status.DONE)
            raise PowerCut

    with pytest.raises(PowerCut):
        write()
    job.refresh_from_db()
    assert job.status == Status.RUNNING
    assert Lane.objects.count() == 1


def test_ended_job_has_no_lease_and_no_lane(queue: Queue) -> None:
    queue()
    lease.finish(lease.claim("w"), Status.DONE, message="All there.")
    job = ImportJob.objects.get()
    assert (job.status, job.lease_token, job.heartbeat_at, job.step) == (Status.DONE, None, None, "")
    assert job.finished_at is not None
    assert job.message == "All there."
    assert not Lane.objects.exists()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one lock for all, which nobody waits for twice")
def test_who_ends_a_job_and_who_takes_it_for_dead_wait_for_each_other_once(
    queue: Queue, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue()
    job = lease.claim("w")
    seen = ImportJob.objects.get()
    reaped: list[Any] = []
    pids: list[int] = []

    def reap() -> None:
        try:
            pids.append(asked("SELECT pg_backend_pid()"))
            reaped.append(lease._reap(seen))
        except Exception as error:
            reaped.append(error)
        finally:
            connection.close()

    other = threading.Thread(target=reap)

    def tell(ended: Job) -> None:
        """Let the other come as far as it does, in the middle of finish()."""
        other.start()
        until(lambda: pids and asked("SELECT cardinality(pg_blocking_pids(%s))", *pids))

    monkeypatch.setattr(Notice, "tell", tell)
    lease.finish(job, Status.DONE)
    other.join()
    assert reaped == [False]
    assert (ImportJob.objects.get().status, Lane.objects.count()) == (Status.DONE, 0)


def asked(sql: str, *parameters: int) -> int:
    """The one number that the database answers."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return int(cursor.fetchone()[0])


def test_finish_needs_a_lease(queue: Queue) -> None:
    with pytest.raises(lease.LeaseLost):
        lease.finish(queue(), Status.DONE)


def test_second_finish_is_refused(queue: Queue) -> None:
    queue()
    job = lease.claim("w")
    lease.finish(job, Status.DONE)
    with pytest.raises(lease.LeaseLost):
        lease.finish(job, Status.FAILED)
    assert ImportJob.objects.get().status == Status.DONE
