"""A worker of Celery that is told to stop gives its job back after the grace, and tells the others."""

import signal
import time

import psutil
import pytest

from imports.models import ImportJob
from jobs.models import Job, Lane, Status
from jobs.worker import GRACE
from segments.models import ChangeSet
from tests.queued import queue_import
from tests.topology.stack import Process, Stack, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]
ROWS = 12_000


def in_the_middle(stack: Stack) -> tuple[Process, ImportJob]:
    """Return a worker that is paused in the middle of a job."""
    worker = stack.celery("worker", AA_KILL_AT="stage:batch@2", AA_KILL_WITH="SIGSTOP")
    until(lambda: worker.said("is here"), stack.logs)
    job = queue_import(ROWS, "email")
    stack.redis.send(job)
    until(lambda: worker.said("SIGSTOP at stage:batch"), stack.logs)
    return worker, job


def go_on(worker: Process) -> None:
    """Wake those who do its jobs."""
    for process in worker.process.children(recursive=True):
        if process.status() == psutil.STATUS_STOPPED:
            process.send_signal(signal.SIGCONT)


def told_to_stop(worker: Process) -> float:
    """Tell `worker` to stop; return when its grace is over."""
    worker.process.terminate()
    until(lambda: worker.said("Warm shutdown"))
    return time.monotonic() + GRACE


def test_stopped_worker_gives_its_job_back_after_the_grace_and_another_does_it(stack: Stack) -> None:
    worker, job = in_the_middle(stack)
    over = told_to_stop(worker)
    until(lambda: time.monotonic() > over)
    go_on(worker)
    assert worker.process.wait(120) == 0, stack.logs()
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.WAITING, 0)
    assert not Lane.objects.exists()
    assert stack.redis.unread() == 1  # it has told the others
    other = stack.celery("worker")
    until(lambda: ImportJob.objects.filter(pk=job.pk, status=Status.DONE), stack.logs)
    assert ChangeSet.objects.filter(kind=ChangeSet.Kind.IMPORT).count() == 1
    assert f"claimed importjob {job.pk} to {Job.Goal.RUN}" in other.log.read_text("utf-8")
    assert f"job={job.pk}" in other.log.read_text("utf-8")
