"""The worker: does what waits, and goes when told to."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from accessaudience.parent import SUPERVISOR
from imports.models import ImportJob
from jobs import worker as worker_module
from jobs.lease import Reaper
from jobs.models import Status, WorkerSeen
from jobs.presence import last_seen, worker_missing
from jobs.worker import Worker

pytestmark = pytest.mark.django_db(transaction=True)
Queue = Callable[..., ImportJob]
Start = Callable[..., subprocess.Popen[str]]

PATIENCE = 120  # seconds after which a worker hangs; never a measure of speed

# A worker whose imports only beat, for as long as a test wants: the file "go_on" is there.
PROGRAM = """
import os, sys, time, types
import django
django.setup()
from imports.models import ImportJob
from jobs import lease
from jobs.models import Status
from django.core.management import call_command

def run(job):
    while os.path.exists(sys.argv[1]):
        job.beat(1, 2, "reading")
        time.sleep(0.02)
    lease.finish(job, Status.DONE)

pipeline = sys.modules["pipeline_of_the_test"] = types.ModuleType("pipeline_of_the_test")
pipeline.run = run
ImportJob.pipeline = pipeline.__name__
lease.BEAT = 0.05
call_command("worker", *sys.argv[2:])
"""


@pytest.fixture
def go_on(tmp_path: Path) -> Path:
    """A file: jobs of workers in other processes go on while it is there."""
    path = tmp_path / "go_on"
    path.touch()
    return path


@pytest.fixture
def start(environment: dict[str, str], go_on: Path) -> Iterator[Start]:
    """Start a worker process: `start("--once")`; what is left of them at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, str(go_on), "--poll", "0.1", *options]
        process = subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait(PATIENCE)


def test_worker_does_all_jobs_that_wait(queue: Queue, pipeline: Any) -> None:
    for slug in ("email", "sms", "email"):
        queue(slug)
    assert Worker("w").work(drain=True) == 3
    assert set(ImportJob.objects.values_list("status", flat=True)) == {Status.DONE}


def test_command_says_how_many_jobs_it_took(queue: Queue, pipeline: Any, capsys: pytest.CaptureFixture[str]) -> None:
    queue()
    queue()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        call_command("worker", "--once")
        assert capsys.readouterr().out == "1 done\n"
        call_command("worker", "--drain")
        assert capsys.readouterr().out == "1 done\n"
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.mark.fault
def test_worker_carries_on_when_the_database_is_back(
    queue: Queue, pipeline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue()
    answers: list[Exception] = [OperationalError("the server is starting up")] * 1_100  # a night of tries
    claim = worker_module.claim
    monkeypatch.setattr(worker_module, "claim", lambda name: claim(name) if not answers else _raise(answers.pop()))
    assert Worker("w", poll=0.0).work(drain=True) == 1
    assert ImportJob.objects.get().status == Status.DONE


def _raise(error: Exception) -> None:
    raise error


def test_each_job_has_a_database_connection_of_its_own(queue: Queue, pipeline: Any) -> None:
    seen: list[object] = []
    finish = pipeline.run

    def run(job: ImportJob) -> None:
        seen.append(connection.connection)
        finish(job)

    pipeline.run = run
    queue()
    queue()
    Worker("w").work(drain=True)
    assert seen[0] is not seen[1]


def test_worker_is_seen_while_it_works(queue: Queue, pipeline: Any, until: Any) -> None:
    assert worker_missing()
    assert last_seen() is None
    queue()
    finish = pipeline.run

    def run(job: ImportJob) -> None:
        until(lambda: not worker_missing())
        finish(job)

    pipeline.run = run
    Worker("w").work(drain=True)
    assert WorkerSeen.objects.get().name == "w"


def test_worker_not_seen_for_a_minute_is_missing() -> None:
    now = timezone.now()
    seen = WorkerSeen.objects.create(name="w", started_at=now, seen_at=now - timedelta(seconds=61))
    assert worker_missing()
    assert last_seen() == seen.seen_at
    WorkerSeen.objects.create(name="v", started_at=now, seen_at=now - timedelta(seconds=50))
    assert not worker_missing()


def test_workers_of_last_week_are_forgotten(pipeline: Any) -> None:
    long_ago = timezone.now() - timedelta(days=8)
    WorkerSeen.objects.create(name="old", started_at=long_ago, seen_at=long_ago)
    Worker("w").work(drain=True)
    assert [row.name for row in WorkerSeen.objects.all()] == ["w"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.fault
def test_stopped_worker_gives_its_job_back_after_the_grace(
    queue: Queue, start: Start, until: Any, number: signal.Signals
) -> None:
    job = queue()
    process = start("--grace", "0")
    until(lambda: ImportJob.objects.filter(step="reading"))
    process.send_signal(number)
    assert process.wait(PATIENCE) == 0
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.WAITING, 0)


def test_stopped_worker_may_finish_within_the_grace(queue: Queue, start: Start, until: Any, go_on: Path) -> None:
    job = queue()
    young = queue()
    process = start("--grace", "600")
    until(lambda: ImportJob.objects.filter(step="reading"))
    process.send_signal(signal.SIGTERM)
    go_on.unlink()
    assert process.wait(PATIENCE) == 0
    job.refresh_from_db()
    young.refresh_from_db()
    assert (job.status, young.status) == (Status.DONE, Status.WAITING)


def test_second_signal_stops_the_worker_at_once(queue: Queue, start: Start, until: Any) -> None:
    job = queue()
    process = start("--grace", "600")
    until(lambda: ImportJob.objects.filter(step="reading"))
    process.send_signal(signal.SIGTERM)

    def again() -> bool:  # two signals that come together are one
        process.send_signal(signal.SIGTERM)
        return process.poll() is not None

    until(again)
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.WAITING, 0)


def test_idle_worker_stops_when_told_to(start: Start, until: Any) -> None:
    process = start()
    until(lambda: not worker_missing())
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


@pytest.mark.fault
def test_worker_goes_when_its_supervisor_has_gone(environment: dict[str, str], start: Start, queue: Queue) -> None:
    job = queue()
    environment[SUPERVISOR] = "1"  # not its parent: as if that had gone
    assert start("--grace", "0").wait(PATIENCE) == 0
    job.refresh_from_db()
    assert job.status == Status.WAITING


@pytest.mark.fault
def test_job_of_a_killed_worker_is_finished_by_another(queue: Queue, start: Start, until: Any, go_on: Path) -> None:
    job = queue()
    process = start()
    until(lambda: ImportJob.objects.filter(step="reading"))
    process.kill()
    process.wait(PATIENCE)
    go_on.unlink()
    Reaper(after=0).look()
    start("--once").wait(PATIENCE)
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.DONE, 2)


@pytest.mark.fault
def test_worker_paused_past_its_lease_writes_nothing(queue: Queue, start: Start, until: Any, go_on: Path) -> None:
    job = queue()
    paused = start("--name", "paused", "--once")
    until(lambda: ImportJob.objects.filter(step="reading"))
    paused.send_signal(signal.SIGSTOP)
    try:
        Reaper(after=0).look()
        go_on.unlink()
        start("--name", "other", "--once").wait(PATIENCE)
        job.refresh_from_db()
        assert (job.status, job.attempt) == (Status.DONE, 2)
        finished_at = job.finished_at
    finally:
        paused.send_signal(signal.SIGCONT)
    assert paused.wait(PATIENCE) == 0
    job.refresh_from_db()
    assert (job.status, job.finished_at) == (Status.DONE, finished_at)
