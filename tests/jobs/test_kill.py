"""A worker killed anywhere leaves none of an import's rows or all of them; another worker finishes it.

Each test names the point at which a real worker process dies, or is paused, as jobs.points knows it.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.db import connection

from accessaudience.runs import Runs
from channels.models import Channel
from imports.models import ImportJob
from jobs.lease import Reaper, give_back_of_dead
from jobs.models import Job, Lane, Status
from segments.models import Change, ChangeSet, Segment
from tests.queued import queue_import
from tests.thinned import thinned

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

PATIENCE = 120  # seconds after which a worker hangs; never a measure of speed
ROWS = 12_000  # three batches of stage
BEFORE_COMMIT = (
    "stage:batch",
    "stage:batch@2",
    "stage:batch@3",
    "stage:loaded",
    "apply:planned",
    "apply:written",
    "apply:written@2",
    "import:files_written",
    "job:finished",
    "apply:before_commit",
)
AFTER_COMMIT = ("apply:committed", "job:done")
Start = Callable[..., subprocess.Popen[str]]


class Catalogue(NamedTuple):
    """All that an import may change."""

    segments: list[tuple[Any, ...]]
    counts: list[int]
    change_sets: int
    changes: int

    @classmethod
    def now(cls) -> "Catalogue":
        """Return what there is."""
        segments = Segment.objects.order_by("id").values_list("channel__slug", "name", "segment_id", "link", "active")
        counts = Channel.objects.order_by("id").values_list("segment_count", flat=True)
        return cls(list(segments), list(counts), ChangeSet.objects.count(), Change.objects.count())


@pytest.fixture
def job() -> ImportJob:
    """An import of 12,000 rows into Email, which has two of them under other names, and SMS."""
    return queue_import(ROWS, "email", "sms")


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Start `manage.py worker`: `start("--once", AA_KILL_AT=…)`; what is left of them at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*options: str, **variables: str) -> subprocess.Popen[str]:
        command = [sys.executable, "manage.py", "worker", "--poll", "0.1", *options]
        process = subprocess.Popen(
            command, env=environment | variables, cwd=settings.BASE_DIR, text=True, stdout=subprocess.PIPE
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait(PATIENCE)
        if process.stdout:
            process.stdout.close()


def assert_complete(job: ImportJob, before: Catalogue, attempt: int) -> None:
    """Assert that all of the import is there, once."""
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.DONE, attempt)
    after = Catalogue.now()
    assert len(after.segments) == 2 * ROWS
    assert {name for _, name, *_ in after.segments} == {f"Segment {number}" for number in range(1, ROWS + 1)}
    assert after.counts[:2] == [ROWS, ROWS]
    assert (after.change_sets, after.changes) == (before.change_sets + 1, 2)
    counts = {target.channel.slug: (target.created, target.updated) for target in job.targets.all()}
    assert counts == {"email": (ROWS - 2, 2), "sms": (ROWS, 0)}
    assert job.change_set.kind == ChangeSet.Kind.IMPORT
    assert not Lane.objects.exists()


@pytest.mark.parametrize("point", thinned(BEFORE_COMMIT, "stage:batch@2", "apply:before_commit"))
def test_worker_killed_before_the_commit_leaves_nothing_and_another_finishes(
    job: ImportJob, start: Start, point: str
) -> None:
    before = Catalogue.now()
    killed = start("--once", AA_KILL_AT=point)
    out, _ = killed.communicate(timeout=PATIENCE)
    assert out == f"SIGKILL at {point.partition('@')[0]}\n"
    assert killed.returncode == -signal.SIGKILL
    assert Catalogue.now() == before
    job.refresh_from_db()
    assert job.status == Status.RUNNING

    Reaper(after=0).look()
    assert start("--once").wait(PATIENCE) == 0
    assert_complete(job, before, attempt=2)


@pytest.mark.parametrize("point", thinned(AFTER_COMMIT, "apply:committed"))
def test_worker_killed_after_the_commit_leaves_all_and_nothing_to_do(job: ImportJob, start: Start, point: str) -> None:
    before = Catalogue.now()
    killed = start("--once", AA_KILL_AT=point)
    out, _ = killed.communicate(timeout=PATIENCE)
    assert out == f"SIGKILL at {point}\n"
    assert_complete(job, before, attempt=1)
    assert Reaper(after=0).look() == []
    assert start("--once").communicate(timeout=PATIENCE)[0] == "0 done\n"
    assert_complete(job, before, attempt=1)


@pytest.mark.parametrize("point", thinned(("stage:batch@2", "apply:written", "apply:before_commit"), "apply:written"))
def test_run_after_a_dead_one_does_its_job_at_once(job: ImportJob, start: Start, point: str) -> None:
    before = Catalogue.now()
    supervised = Runs()
    assert start("--once", AA_KILL_AT=point, **supervised.start()).wait(PATIENCE) == -signal.SIGKILL
    assert start("--once").communicate(timeout=PATIENCE)[0] == "0 done\n"  # which nobody has told
    assert Catalogue.now() == before
    assert start("--once", **supervised.start()).communicate(timeout=PATIENCE)[0] == "1 done\n"
    assert_complete(job, before, attempt=2)


def test_run_wrongly_called_dead_writes_nothing_when_it_wakes(job: ImportJob, start: Start) -> None:
    before = Catalogue.now()
    supervised = Runs()
    paused = start("--once", AA_KILL_AT="apply:planned", AA_KILL_WITH="SIGSTOP", **supervised.start())
    assert paused.stdout is not None
    assert paused.stdout.readline() == "SIGSTOP at apply:planned\n"
    os.waitpid(paused.pid, os.WUNTRACED)  # until it is stopped: it says so just before
    if settings.EMBEDDED:  # it has the write lock: whoever comes after waits for it
        paused.send_signal(signal.SIGCONT)
        after = start("--once", **supervised.start())
        assert (paused.wait(PATIENCE), after.wait(PATIENCE)) == (0, 0)
    else:
        give_back_of_dead([int(supervised.start()["DEAD_RUN_IDS"], 16)])
        paused.send_signal(signal.SIGCONT)
        assert paused.wait(PATIENCE) == 0
        assert Catalogue.now() == before
        assert start("--once").wait(PATIENCE) == 0
    job.refresh_from_db()
    assert_complete(job, before, attempt=job.attempt)


def test_import_that_kills_its_worker_each_time_fails_after_three(job: ImportJob, start: Start) -> None:
    before = Catalogue.now()
    for _ in range(3):
        assert start("--once", AA_KILL_AT="apply:written").wait(PATIENCE) == -signal.SIGKILL
        Reaper(after=0).look()
    job.refresh_from_db()
    assert (job.status, job.code) == (Status.FAILED, "interrupted")
    assert start("--once").communicate(timeout=PATIENCE)[0] == "0 done\n"
    assert Catalogue.now() == before


def test_check_killed_in_the_middle_is_finished_by_another(job: ImportJob, start: Start) -> None:
    before = Catalogue.now()
    ImportJob.objects.update(goal=Job.Goal.CHECK)
    assert start("--once", AA_KILL_AT="stage:batch@2").wait(PATIENCE) == -signal.SIGKILL
    Reaper(after=0).look()
    assert start("--once").wait(PATIENCE) == 0
    job.refresh_from_db()
    assert job.status == Status.READY
    assert Catalogue.now() == before


def test_worker_paused_in_stage_past_its_lease_writes_nothing_when_it_wakes(job: ImportJob, start: Start) -> None:
    before = Catalogue.now()
    paused = start("--once", AA_KILL_AT="stage:batch@2", AA_KILL_WITH="SIGSTOP")
    assert paused.stdout is not None
    assert paused.stdout.readline() == "SIGSTOP at stage:batch\n"
    os.waitpid(paused.pid, os.WUNTRACED)  # until it is stopped: it says so just before
    Reaper(after=0).look()
    assert start("--once").wait(PATIENCE) == 0
    assert_complete(job, before, attempt=2)
    paused.send_signal(signal.SIGCONT)
    assert paused.wait(PATIENCE) == 0
    assert_complete(job, before, attempt=2)


@pytest.mark.skipif(settings.EMBEDDED, reason="SQLite has no connection that could break")
@pytest.mark.parametrize("point", thinned(("stage:batch@2", "apply:written", "apply:before_commit"), "apply:written"))
def test_worker_whose_connection_breaks_does_the_job_again(job: ImportJob, start: Start, point: str) -> None:
    before = Catalogue.now()
    worker = start("--drain", AA_KILL_AT=point, AA_KILL_WITH="SIGSTOP")
    assert worker.stdout is not None
    worker.stdout.readline()
    os.waitpid(worker.pid, os.WUNTRACED)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    worker.send_signal(signal.SIGCONT)
    worker.wait(PATIENCE)
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.WAITING, 1)
    assert Catalogue.now() == before
    ImportJob.objects.update(not_before=None)
    assert start("--once").wait(PATIENCE) == 0
    assert_complete(job, before, attempt=2)
