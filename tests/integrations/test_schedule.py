"""Syncs that start by themselves: when they are due, once, backing off, waiting for answers."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from channels.models import Channel
from integrations.models import ChannelSync, KlaviyoAccount, SyncJob
from integrations.schedule import due_at, start_due
from integrations.starting import start
from jobs.models import Lane, Status
from jobs.worker import Worker
from segments.models import ChangeSet, Segment
from tests.klaviyo.fake import FakeKlaviyo

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def setting(email: Channel, account: KlaviyoAccount) -> ChannelSync:
    """Email, synced every six hours; it began seven hours ago."""
    began = timezone.now() - timedelta(hours=7)
    return ChannelSync.objects.create(channel=email, account=account, every_hours=6, started_at=began)


def pause(setting: ChannelSync) -> timedelta:
    due = due_at(setting)
    assert due is not None
    assert setting.started_at is not None
    return due - setting.started_at


def ended(setting: ChannelSync, *statuses: str) -> None:
    for status in statuses:
        SyncJob.objects.create(channel=setting.channel, account=setting.account, status=status)


def test_a_worker_does_what_is_due(setting: ChannelSync, klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_many(3, 0)
    Worker("worker of the test").work(drain=True)
    job = SyncJob.objects.get()
    assert (job.status, job.via, job.user) == (Status.DONE, ChangeSet.Via.SCHEDULE, None)
    assert Segment.objects.count() == 3
    assert ChangeSet.objects.get().via == ChangeSet.Via.SCHEDULE
    start_due()
    assert SyncJob.objects.count() == 1


def test_it_is_off_by_default(email: Channel, account: KlaviyoAccount) -> None:
    setting = ChannelSync.objects.create(channel=email, account=account)
    start_due()
    assert due_at(setting) is None
    assert not SyncJob.objects.exists()


def test_what_is_not_due_waits(setting: ChannelSync) -> None:
    ChannelSync.objects.update(started_at=timezone.now() - timedelta(hours=5))
    start_due()
    assert not SyncJob.objects.exists()


def test_an_account_without_a_key_is_not_synced(setting: ChannelSync) -> None:
    assert setting.account
    setting.account.forget_key()
    start_due()
    assert not SyncJob.objects.exists()


def test_many_workers_start_one_sync(setting: ChannelSync) -> None:
    def ask(_: int) -> None:
        try:
            start_due()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(16)))
    assert SyncJob.objects.count() == 1


def test_a_failing_schedule_waits_longer_each_time(setting: ChannelSync) -> None:
    assert pause(setting) == timedelta(hours=6)
    ended(setting, Status.FAILED)
    assert pause(setting) == timedelta(hours=12)
    ended(setting, Status.FAILED)
    assert pause(setting) == timedelta(hours=24)
    ended(setting, *[Status.FAILED] * 20)
    assert pause(setting) == timedelta(days=7)
    ended(setting, Status.DONE)
    assert pause(setting) == timedelta(hours=6)


def test_a_question_stops_the_schedule_until_it_is_answered(setting: ChannelSync) -> None:
    ended(setting, Status.NEEDS_ANSWER)
    assert due_at(setting) is None
    start_due()
    assert SyncJob.objects.count() == 1
    SyncJob.objects.update(status=Status.DONE)
    start_due()
    assert SyncJob.objects.count() == 2


def test_twenty_clicks_at_once_are_one_sync(
    email: Channel, account: KlaviyoAccount, klaviyo: FakeKlaviyo, work: Callable[[], int]
) -> None:
    klaviyo.add_many(2, 2)

    def click(_: int) -> Any:
        try:
            return start(email, None, via=ChangeSet.Via.COMMAND)[0].pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        assert len(set(pool.map(click, range(20)))) == 1
    assert work() == 1
    assert Segment.objects.count() == 4


def test_a_sync_waits_for_an_import_into_its_channel_and_then_is_right(
    email: Channel, account: KlaviyoAccount, klaviyo: FakeKlaviyo, work: Callable[[], int]
) -> None:
    klaviyo.add_many(2, 0)
    lane = Lane.objects.create(name=f"channel:{email.pk}", token="00000000-0000-4000-8000-000000000000")
    job, _ = start(email, None, via=ChangeSet.Via.COMMAND)
    assert work() == 0
    lane.delete()
    assert work() == 1
    job.refresh_from_db()
    assert (job.status, job.created) == (Status.DONE, 2)
