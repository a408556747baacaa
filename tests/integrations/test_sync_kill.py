"""A worker killed anywhere in a sync leaves none of it or all of it; another worker finishes it."""

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings

from channels.models import Channel
from integrations.models import KlaviyoAccount, SyncJob
from integrations.starting import start
from jobs.lease import Reaper
from jobs.models import Status
from segments.models import ChangeSet, Segment
from tests.klaviyo.fake import FakeKlaviyo
from tests.thinned import thinned

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

PATIENCE = 120  # seconds after which a worker hangs; never a measure of speed
BEFORE_COMMIT = (
    *("sync:fetching", "sync:page", "sync:fetched", "stage:batch", "stage:loaded"),
    *("sync:planned", "job:finished", "sync:before_commit"),
)
AFTER_COMMIT = ("sync:committed", "job:done")


@pytest.fixture
def worker(environment: dict[str, str], klaviyo: FakeKlaviyo) -> Callable[..., int]:
    """Run `manage.py worker --once` against this Klaviyo, to its end; return how it ended."""

    def run(**variables: str) -> int:
        more = {"KLAVIYO_API_BASE_URL": klaviyo.url, "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS)}
        command = [sys.executable, "manage.py", "worker", "--once"]
        return subprocess.run(
            command, env=environment | more | variables, cwd=settings.BASE_DIR, timeout=PATIENCE, capture_output=True
        ).returncode

    return run


@pytest.mark.parametrize(
    "point", thinned((*BEFORE_COMMIT, *AFTER_COMMIT), "sync:page", "sync:before_commit", "sync:committed")
)
def test_a_sync_killed_anywhere_is_there_whole_or_not_at_all(
    point: str,
    worker: Callable[..., int],
    klaviyo: FakeKlaviyo,
    account: KlaviyoAccount,
    email: Channel,
    whole_catalogue: Callable[[], list[Any]],
) -> None:
    klaviyo.add_many(15, 12)
    before = whole_catalogue()
    job, _ = start(email, None, via=ChangeSet.Via.COMMAND)
    assert worker(AA_KILL_AT=point) == -signal.SIGKILL
    job.refresh_from_db()
    if point in AFTER_COMMIT:
        assert job.status == Status.DONE
    else:
        assert whole_catalogue() == before
        assert job.status == Status.RUNNING
        reaper = Reaper(after=0.0)
        reaper.look()
        reaper.look()
        SyncJob.objects.update(not_before=None)
        assert worker() == 0
    job.refresh_from_db()
    assert (job.status, job.created) == (Status.DONE, 27)
    assert Segment.objects.count() == 27
