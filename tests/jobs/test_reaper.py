"""Jobs of dead holders return to the queue, and fail after three attempts."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery.exceptions import WorkerLostError
from celery.signals import task_failure
from django.utils import timezone

from imports.models import ImportJob
from jobs import celery_process, lease, messages
from jobs.models import Lane, Status

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]
Queue = Callable[..., ImportJob]


class Clock:
    """A monotonic clock that a test turns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(lease.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_job_without_heartbeat_returns_to_the_queue(queue: Queue, clock: Clock) -> None:
    queue()
    dead = lease.claim("w")
    reaper = lease.Reaper()
    assert reaper.look() == []
    clock.now += lease.LEASE - 1
    assert reaper.look() == []
    clock.now += 1
    assert reaper.look() == [dead]
    job = ImportJob.objects.get()
    assert (job.status, job.attempt, job.lease_token) == (Status.WAITING, 1, None)
    assert lease.claim("other").attempt == 2


def test_job_whose_heart_beats_is_left_alone_however_long_it_runs(queue: Queue, clock: Clock) -> None:
    queue()
    job = lease.claim("w")
    reaper = lease.Reaper()
    for _ in range(10):
        assert reaper.look() == []
        clock.now += lease.LEASE - 1
        job.lease.tick()
    assert ImportJob.objects.get().status == Status.RUNNING


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)], ids=["forward", "back"])
def test_clock_that_jumps_neither_ends_a_lease_nor_keeps_a_dead_one(
    queue: Queue, clock: Clock, jump: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue()
    job = lease.claim("w")
    reaper = lease.Reaper()
    reaper.look()
    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + jump)
    job.lease.tick()
    clock.now += 1
    assert reaper.look() == []
    clock.now += lease.LEASE
    assert reaper.look() == [job]


def test_after_three_attempts_a_job_fails_with_the_reason(queue: Queue, clock: Clock) -> None:
    queue()
    for attempt in (1, 2, 3):
        assert lease.claim("w").attempt == attempt
        reaper = lease.Reaper(after=0)
        reaper.look()
    job = ImportJob.objects.get()
    assert (job.status, job.code) == (Status.FAILED, lease.INTERRUPTED)
    assert "nothing was changed" in job.message
    assert job.finished_at is not None
    assert lease.claim("w") is None


def test_channel_of_a_dead_holder_is_free_again(queue: Queue) -> None:
    queue()
    lease.claim("w")
    lease.Reaper(after=0).look()
    assert not Lane.objects.exists()


def test_channel_of_a_cancelled_job_is_free_again(queue: Queue) -> None:
    queue()
    lease.request_cancel(lease.claim("w"))
    lease.Reaper().look()
    assert not Lane.objects.exists()


def test_channel_of_a_living_holder_stays_taken(queue: Queue) -> None:
    queue()
    lease.claim("w")
    lease.Reaper().look()
    assert Lane.objects.count() == 1


def test_holder_that_was_paused_past_its_lease_cannot_finish(queue: Queue) -> None:
    queue()
    paused = lease.claim("w")
    lease.Reaper(after=0).look()
    other = lease.claim("other")
    with pytest.raises(lease.LeaseLost):
        lease.finish(paused, Status.DONE)
    lease.finish(other, Status.DONE)
    assert ImportJob.objects.get().attempt == 2


def test_job_that_beats_at_the_last_moment_is_not_taken_away(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue()
    job = lease.claim("w")
    reap = lease._reap
    monkeypatch.setattr(lease, "_reap", lambda seen: job.lease.tick() or reap(seen))
    assert lease.Reaper(after=0).look() == []
    assert ImportJob.objects.get().status == Status.RUNNING


def test_one_of_eight_reapers_gives_the_job_back(queue: Queue, together: Callable[..., list[list[ImportJob]]]) -> None:
    queue()
    lease.claim("w")
    assert sorted(len(jobs) for jobs in together(8, lease.Reaper(after=0).look)) == [0] * 7 + [1]
    assert ImportJob.objects.get().attempt == 1


def test_only_what_the_dead_run_had_is_given_back(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    for slug in ("email", "sms", "meta"):
        queue(slug)
    runs = [2**64 - 1, 7, 8]
    claimed = []
    for run in runs:
        monkeypatch.setattr(lease, "RUN", run)
        claimed.append(lease.claim("w"))
    assert lease.give_back_of_dead([]) == []
    assert lease.give_back_of_dead([6, 9]) == []
    assert lease.give_back_of_dead([7]) == [claimed[1]]
    assert lease.give_back_of_dead([7]) == []
    assert lease.give_back_of_dead([2**64 - 1]) == [claimed[0]]
    states = {job.pk: (job.status, job.was_interrupted) for job in ImportJob.objects.all()}
    assert states[claimed[2].pk] == (Status.RUNNING, False)
    assert states[claimed[1].pk][0] == Status.WAITING
    assert Lane.objects.count() == 1


def test_job_of_a_celery_process_that_was_killed_alone_is_given_back_at_once(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slug in ("email", "sms"):
        queue(slug)
    lost, other = lease.claim("w"), lease.claim("w")
    sent: list[Any] = []
    monkeypatch.setattr(messages, "send", lambda kind, pk: sent.append(pk))
    for task, error, args in (
        ("jobs.due", WorkerLostError(), []),
        (messages.PERFORM, ValueError(), ["imports.importjob", str(other.pk)]),
        (messages.PERFORM, WorkerLostError(), ["imports.importjob", str(lost.pk)]),
    ):
        task_failure.send(type("Task", (), {"name": task}), exception=error, args=args)
    celery_process._look()
    assert sent == [lost.pk]
    assert ImportJob.objects.get(pk=lost.pk).status == Status.WAITING
    assert ImportJob.objects.get(pk=other.pk).status == Status.RUNNING


@pytest.mark.parametrize(
    ("fields", "interrupted"),
    [
        ({"status": Status.WAITING, "attempt": 0}, False),
        ({"status": Status.WAITING, "attempt": 1}, True),
        ({"status": Status.RUNNING, "attempt": 1}, False),
        ({"status": Status.CHECKING, "attempt": 2}, True),
        ({"status": Status.FAILED, "attempt": 3}, False),
        ({"status": Status.RUNNING, "attempt": 3, "via": "command"}, False),
    ],
)
def test_whether_it_was_interrupted_is_told_by_its_attempts(fields: dict[str, Any], interrupted: bool) -> None:
    assert ImportJob(**{"via": "web", **fields}).was_interrupted is interrupted
