"""A job can be cancelled until it begins to write."""

from collections.abc import Callable
from typing import Any

import pytest

from imports.models import ImportJob
from jobs import lease, runner
from jobs.models import WRITING, Job, Status

pytestmark = pytest.mark.django_db(transaction=True)
Queue = Callable[..., ImportJob]


@pytest.mark.parametrize("status", [Status.UPLOADED, Status.WAITING, Status.READY, Status.NEEDS_ANSWER])
def test_job_that_nobody_works_on_is_cancelled_at_once(queue: Queue, status: Status) -> None:
    job = queue(status=status)
    assert lease.request_cancel(job)
    assert job.status == Status.CANCELLED
    assert job.finished_at is not None
    assert lease.claim("w") is None


@pytest.mark.parametrize("status", [Status.DONE, Status.FAILED, Status.CANCELLED])
def test_job_that_ended_stays_as_it_is(queue: Queue, status: Status) -> None:
    job = queue(status=status)
    assert not lease.request_cancel(job)
    assert job.status == status


@pytest.mark.parametrize("goal", Job.Goal.values)
def test_job_at_work_stops_at_its_next_beat(
    queue: Queue, pipeline: Any, quick_beats: None, until: Any, goal: str
) -> None:
    queue(goal=goal)
    job = lease.claim("w")

    def work(job: ImportJob) -> None:
        assert lease.request_cancel(ImportJob.objects.get())
        until(lambda: job.beat(1, 2, "reading"))
        lease.finish(job, Status.DONE)

    pipeline.run = pipeline.check = work
    runner.perform(job)
    job.refresh_from_db()
    assert (job.status, job.code) == (Status.CANCELLED, "cancelled")
    queue()
    assert lease.claim("w"), "the channel is free again"


def test_job_that_never_beats_again_is_stopped_by_its_last_write(queue: Queue, pipeline: Any) -> None:
    queue()
    job = lease.claim("w")

    def work(job: ImportJob) -> None:
        lease.request_cancel(ImportJob.objects.get())
        lease.finish(job, Status.DONE)

    pipeline.run = work
    runner.perform(job)
    assert ImportJob.objects.get().status == Status.CANCELLED


def test_job_that_writes_cannot_be_cancelled(queue: Queue, pipeline: Any) -> None:
    queue()
    job = lease.claim("w")

    def work(job: ImportJob) -> None:
        job.beat(9, 9, "matching")
        job.begin_writing()
        seen = ImportJob.objects.get()
        assert not lease.request_cancel(seen)
        assert (seen.status, seen.step) == (Status.RUNNING, WRITING)
        lease.finish(job, Status.DONE)

    pipeline.run = work
    runner.perform(job)
    assert ImportJob.objects.get().status == Status.DONE


def test_cancelled_job_does_not_begin_to_write(queue: Queue) -> None:
    queue()
    job = lease.claim("w")
    lease.request_cancel(ImportJob.objects.get())
    with pytest.raises(lease.Cancelled):
        job.begin_writing()


def test_of_cancel_and_begin_one_wins(queue: Queue, together: Callable[..., list[Any]]) -> None:
    for _ in range(10):
        queue()
        job = lease.claim("w")
        acts = [job.begin_writing, lambda: lease.request_cancel(ImportJob.objects.get(pk=job.pk))]  # noqa: B023  # used up in this round
        results = together(2, lambda: acts.pop()())  # noqa: B023  # used up in this round
        won = [result for result in results if result is True]
        refused = [result for result in results if isinstance(result, lease.Cancelled)]
        assert len(won) == len(refused)
        status = ImportJob.objects.get(pk=job.pk).status
        assert status == (Status.CANCELLED if won else Status.RUNNING)
        ImportJob.objects.all().delete()
        lease.Reaper().look()
