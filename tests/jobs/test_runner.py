"""How a job ends, whatever happens in it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from psycopg.errors import DiskFull

from imports.models import ImportJob
from jobs import lease, runner
from jobs.lease import GivenBack
from jobs.models import Job, JobError, Lane, Status
from people.models import Person

pytestmark = pytest.mark.django_db(transaction=True)
Queue = Callable[..., ImportJob]


def raising(error: BaseException) -> Callable[[Job], None]:
    """Return a pipeline's function that only raises `error`."""

    def work(job: Job) -> None:
        raise error

    return work


def test_job_that_cannot_be_done_fails_at_once_and_says_why(queue: Queue, pipeline: Any) -> None:
    queue()
    pipeline.run = raising(JobError("unclosed_quote", "A quote is opened and not closed.", line=7))
    runner.perform(lease.claim("w"))
    job = ImportJob.objects.get()
    assert (job.status, job.code, job.error_line) == (Status.FAILED, "unclosed_quote", 7)
    assert job.message == "A quote is opened and not closed."
    assert not Lane.objects.exists()


def test_what_becomes_of_a_job_is_logged(queue: Queue, pipeline: Any, caplog: pytest.LogCaptureFixture) -> None:
    queue()
    works = pipeline.run
    for run, said in (
        (raising(GivenBack), "is given back"),
        (works, "has ended: done"),
        (raising(JobError("unclosed_quote", "In “secret name”.")), "has ended: unclosed_quote"),
    ):
        ImportJob.objects.update(status=Status.WAITING)
        pipeline.run = run
        caplog.clear()
        runner.perform(lease.claim("w"))
        assert said in caplog.text
        assert "secret name" not in caplog.text


def test_unexpected_error_is_tried_again_later_and_then_fails(queue: Queue, pipeline: Any) -> None:
    queue()
    pipeline.run = raising(ZeroDivisionError("secret detail"))
    for attempt in (1, 2):
        before = timezone.now()
        runner.perform(lease.claim("w"))
        job = ImportJob.objects.get()
        assert (job.status, job.attempt) == (Status.WAITING, attempt)
        assert job.not_before >= before + timedelta(seconds=runner.BACK_OFF * attempt)
        ImportJob.objects.update(not_before=None)
    runner.perform(lease.claim("w"))
    job = ImportJob.objects.get()
    assert (job.status, job.code, job.attempt) == (Status.FAILED, "internal", 3)
    assert "Nothing was changed" in job.message
    assert "secret detail" not in job.message
    assert lease.claim("w") is None


def of_database(cause: Exception) -> OperationalError:
    """Return an error as Django raises it of a driver's."""
    error = OperationalError("no room")
    error.__cause__ = cause
    return error


def full_sqlite() -> sqlite3.OperationalError:
    """Return SQLite's own error of a disk that is full."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as caught:
            database.execute("CREATE TABLE some (thing)")
    return caught.value


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), of_database(full_sqlite()), of_database(DiskFull("no room"))],
    ids=["files", "sqlite", "postgresql"],
)
def test_a_full_disk_is_told_as_one(queue: Queue, pipeline: Any, error: Exception) -> None:
    queue(attempt=2)
    pipeline.run = raising(error)
    runner.perform(lease.claim("w"))
    assert ImportJob.objects.get().message == (
        "The disk is full, so this job was given up. Nothing was changed. "
        "Make room on it, or ask an admin to, then start it again."
    )


def test_attempt_that_works_after_one_that_did_not_is_done(queue: Queue, pipeline: Any) -> None:
    queue()
    works = pipeline.run
    pipeline.run = raising(OperationalError("server closed the connection"))
    runner.perform(lease.claim("w"))
    ImportJob.objects.update(not_before=None)
    pipeline.run = works
    runner.perform(lease.claim("w"))
    assert ImportJob.objects.get().status == Status.DONE


def test_pipeline_that_forgets_to_finish_is_an_error(queue: Queue, pipeline: Any) -> None:
    queue(attempt=2)
    pipeline.run = lambda job: None
    runner.perform(lease.claim("w"))
    assert ImportJob.objects.get().status == Status.FAILED


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_end_of_the_process_gives_the_job_back_uncounted(queue: Queue, pipeline: Any, end: BaseException) -> None:
    queue()
    pipeline.run = raising(end)
    with pytest.raises(type(end)):
        runner.perform(lease.claim("w"))
    job = ImportJob.objects.get()
    assert (job.status, job.attempt) == (Status.WAITING, 0)
    assert not Lane.objects.exists()


def test_worker_that_has_to_go_gives_the_job_back_at_its_next_beat(queue: Queue, pipeline: Any) -> None:
    queue()
    pipeline.run = lambda job: job.beat(1, 2, "reading")
    runner.perform(lease.claim("w"), must_go=lambda: True)
    job = ImportJob.objects.get()
    assert (job.status, job.attempt) == (Status.WAITING, 0)


def test_job_is_not_begun_for_somebody_who_lost_the_role(queue: Queue, pipeline: Any, marketer: Person) -> None:
    queue(user=marketer)
    marketer.groups.clear()
    pipeline.run = raising(AssertionError("begun"))
    runner.perform(lease.claim("w"))
    job = ImportJob.objects.get()
    assert (job.status, job.code) == (Status.FAILED, "not_allowed")


def test_job_of_somebody_deactivated_is_not_begun(
    queue: Queue, pipeline: Any, marketer: Person, admin_person: Person
) -> None:
    queue(user=marketer)
    marketer.deactivate()
    pipeline.run = raising(AssertionError("begun"))
    runner.perform(lease.claim("w"))
    job = ImportJob.objects.get()
    assert (job.status, job.code) == (Status.FAILED, "not_allowed")


def test_job_of_somebody_whose_account_is_gone_is_not_begun(queue: Queue, pipeline: Any, marketer: Person) -> None:
    queue(user=marketer)
    marketer.delete()
    pipeline.run = raising(AssertionError("begun"))
    runner.perform(lease.claim("w"))
    job = ImportJob.objects.get()
    assert (job.status, job.code) == (Status.FAILED, "not_allowed")


def test_job_of_a_marketer_is_done(queue: Queue, pipeline: Any, marketer: Person) -> None:
    queue(user=marketer)
    runner.perform(lease.claim("w"))
    assert ImportJob.objects.get().status == Status.DONE


# In the foreground


@pytest.mark.parametrize(
    ("goal", "end"), [(Job.Goal.CHECK, Status.READY), (Job.Goal.RUN, Status.DONE)], ids=Job.Goal.values
)
def test_job_is_done_here_without_a_worker(queue: Queue, pipeline: Any, goal: str, end: Status) -> None:
    job = queue(status=Status.UPLOADED)
    assert runner.run_here(job, goal)
    assert job.status == end


def test_check_done_here_leaves_the_import_all_its_attempts(queue: Queue, pipeline: Any) -> None:
    job = queue(status=Status.UPLOADED)
    runner.run_here(job, Job.Goal.CHECK)
    runner.run_here(job, Job.Goal.RUN)
    assert (job.status, job.attempt) == (Status.DONE, 1)


def test_job_waits_for_its_channel_no_longer_than_told(queue: Queue, pipeline: Any) -> None:
    queue("email")
    lease.claim("w")
    job = queue("email", status=Status.READY)
    waited: list[bool] = []
    assert not runner.run_here(job, Job.Goal.RUN, wait=0)
    assert not runner.run_here(job, Job.Goal.RUN, wait=0.1, on_wait=lambda: waited.append(True))
    assert waited == [True]
    assert job.status == Status.READY


def test_job_begins_when_the_one_before_it_has_left_the_channel(queue: Queue, pipeline: Any) -> None:
    queue("email")
    before = lease.claim("w")
    job = queue("email", status=Status.UPLOADED)
    assert runner.run_here(job, Job.Goal.RUN, on_wait=lambda: lease.finish(before, Status.DONE))
    assert job.status == Status.DONE


def test_channel_of_a_dead_process_does_not_block_the_foreground(
    queue: Queue, pipeline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue("email")
    lease.claim("w")
    monkeypatch.setattr(runner, "Reaper", lambda: lease.Reaper(after=0))
    assert runner.run_here(queue("email", status=Status.UPLOADED), Job.Goal.RUN)


def test_somebody_elses_job_is_not_done_here(queue: Queue, pipeline: Any) -> None:
    job = queue("email")
    lease.claim("w")
    assert not runner.run_here(job, Job.Goal.RUN)


def test_job_done_once_fails_at_its_first_error(queue: Queue, pipeline: Any) -> None:
    job = queue(status=Status.UPLOADED)
    pipeline.run = raising(ZeroDivisionError())
    assert runner.run_here(job, Job.Goal.RUN, once=True)
    assert job.status == Status.FAILED


def test_interrupt_cancels_a_job_done_once(queue: Queue, pipeline: Any) -> None:
    job = queue(status=Status.UPLOADED)
    pipeline.run = raising(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        runner.run_here(job, Job.Goal.RUN, once=True)
    job.refresh_from_db()
    assert job.status == Status.CANCELLED
    assert not Lane.objects.exists()


def test_job_done_once_by_a_process_that_died_fails(queue: Queue) -> None:
    job = queue(status=Status.UPLOADED)
    lease.claim_this(job, Job.Goal.RUN, (Status.UPLOADED,), attempt=lease.ATTEMPTS)
    lease.Reaper(after=0).look()
    job.refresh_from_db()
    assert (job.status, job.code) == (Status.FAILED, lease.INTERRUPTED)
