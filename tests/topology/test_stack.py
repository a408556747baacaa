"""Two web servers, four workers, beat, PostgreSQL, S3, Redis: a worker dies, Redis comes back empty, no job is lost."""

import pytest

from channels.models import Channel
from imports.models import ImportJob
from jobs.models import Lane, Status, WorkerSeen
from segments.models import ChangeSet, Segment
from tests.store import Bucket
from tests.topology.stack import Process, Stack, Web, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]


def ended(*jobs: ImportJob) -> bool:
    """Whether all of them have ended."""
    found = ImportJob.objects.filter(pk__in=[job.pk for job in jobs]).values_list("status", flat=True)
    return set(found) <= {Status.DONE, Status.FAILED}


def assert_done_once(job: ImportJob, rows: int, attempt: int = 1) -> None:
    """Assert that each row of `job` is there once, written by one change."""
    job.refresh_from_db()
    assert (job.status, job.attempt, job.message) == (Status.DONE, attempt, "")
    channels = job.channels.count()
    assert ChangeSet.objects.filter(pk=job.change_set_id, kind=ChangeSet.Kind.IMPORT).count() == 1
    assert [target.created for target in job.targets.all()] == [rows] * channels
    assert Segment.objects.filter(created_in=job.change_set).count() == rows * channels


def started(stack: Stack, session: str) -> tuple[Web, Web, Process]:
    """Start two web servers, beat, and a worker that stops dead in the middle of its first job."""
    webs = stack.web(session), stack.web(session)
    stack.celery("beat")
    victim = stack.celery("worker", AA_KILL_AT="stage:batch@2", AA_KILL_WITH="SIGSTOP")
    until(lambda: all(web.is_ready() for web in webs), stack.logs)
    return *webs, victim


def test_no_job_is_lost_or_done_twice_whoever_is_killed(stack: Stack, session: str, bucket: Bucket) -> None:
    here, there, victim = started(stack, session)

    # A worker dies in the middle of a job, with all of its processes: nobody can say that it has ended.
    big = here.upload("Big", 12_000, "email")
    assert here.start(big) == 200
    until(lambda: victim.said("SIGSTOP at stage:batch"), stack.logs)
    workers = [stack.celery("worker") for _ in range(4)]
    victim.kill()
    assert ImportJob.objects.get(pk=big.pk).status == Status.RUNNING

    # Meanwhile the others work: what is done through one server is seen through the other.
    until(lambda: WorkerSeen.objects.count() >= 5, stack.logs)
    small = here.upload("Small", 20, "sms", "meta")
    assert here.start(small) == 200
    until(lambda: ended(small), stack.logs)
    assert_done_once(small, 20)
    assert "Small 20" in there.ask("/channels/meta/segments/")[1]

    # Redis dies. Whoever clicks notices nothing, and its job is done when Redis is back, empty.
    stack.redis.kill()
    kept = [web.upload(f"Kept{number}", 20, "sms") for number, web in enumerate((here, there) * 3)]
    assert {here.start(job) for job in kept} == {200}
    assert set(ImportJob.objects.filter(pk__in=[job.pk for job in kept]).values_list("status", flat=True)) == {
        Status.WAITING
    }
    stack.redis.start()
    until(lambda: ended(*kept), stack.logs)
    for job in kept:
        assert_done_once(job, 20)

    # The same message comes twenty times, before the job is done and after.
    again = there.upload("Again", 20, "meta")
    assert there.start(again) == 200
    stack.redis.send(again, times=20)
    until(lambda: ended(again), stack.logs)
    stack.redis.send(small, times=20)
    until(lambda: stack.redis.unread() == 0, stack.logs)
    assert_done_once(again, 20)
    assert_done_once(small, 20)

    # The job of the dead one was done by another.
    until(lambda: ended(big), stack.logs)
    assert_done_once(big, 12_000, attempt=2)
    assert ChangeSet.objects.count() == 9
    assert not Lane.objects.exists()
    files = {name.split("/")[1] for name in bucket.names()}
    assert files == {str(job.pk) for job in (big, small, *kept, again)}
    counted = Channel.objects.filter(slug="email").values_list("segment_count", flat=True)
    assert list(counted) == [12_000]
    assert [worker.stop() for worker in workers] == [0] * 4
