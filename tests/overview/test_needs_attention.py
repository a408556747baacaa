"""What the overview says of Klaviyo: the last sync of each channel, and what of it needs somebody."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from channels.models import Channel
from integrations.models import ChannelSync, KlaviyoAccount, SyncJob
from jobs.models import Status, WorkerSeen
from segments import changes
from segments.models import BulkJob
from segments.values import SegmentValues

pytestmark = pytest.mark.django_db


@pytest.fixture
def email() -> Channel:
    """A channel with a segment, so that this is no first run."""
    channel = Channel.objects.get(slug="email")
    changes.add(channel, SegmentValues("VIP", "v-1"), changes.By())
    return channel


@pytest.fixture
def account() -> KlaviyoAccount:
    return KlaviyoAccount.objects.create(account_id="XyZ123", name="Fernhill", encrypted_key="not read here")


def text(client: Client) -> str:
    return " ".join(client.get("/").content.decode().split())


def sync(channel: Channel, account: KlaviyoAccount, status: Status, hours_ago: int = 1, **values: Any) -> SyncJob:
    at = timezone.now() - timedelta(hours=hours_ago)
    job = SyncJob.objects.create(channel=channel, account=account, status=status, created_at=at, **values)
    if status in (Status.DONE, Status.FAILED):
        SyncJob.objects.filter(pk=job.pk).update(finished_at=at)
    return job


def plan(channel: Channel, account: KlaviyoAccount) -> ChannelSync:
    return ChannelSync.objects.create(channel=channel, account=account, every_hours=6)


def test_a_card_says_when_its_channel_was_last_synced(
    as_viewer: Client, email: Channel, account: KlaviyoAccount
) -> None:
    sync(email, account, Status.DONE, hours_ago=2)
    assert "Synced from Klaviyo <time" in text(as_viewer)
    assert ">2 h ago</time>" in text(as_viewer)


def test_only_an_admin_is_led_to_set_up_what_is_not_synced(as_viewer: Client, as_admin: Client, email: Channel) -> None:
    assert "Not synced automatically." in text(as_viewer)
    assert "/integrations/klaviyo/channels/email/" not in text(as_viewer)
    assert "/integrations/klaviyo/channels/email/" in text(as_admin)


def test_a_card_says_that_a_sync_runs(as_viewer: Client, email: Channel, account: KlaviyoAccount) -> None:
    job = sync(email, account, Status.RUNNING)
    assert "Syncing from Klaviyo now" in text(as_viewer)
    assert job.get_absolute_url() in text(as_viewer)


def test_a_preview_is_no_sync(as_viewer: Client, email: Channel, account: KlaviyoAccount) -> None:
    sync(email, account, Status.FAILED, goal=SyncJob.Goal.CHECK)
    assert "Needs your attention" not in text(as_viewer)
    assert "Sync failed" not in text(as_viewer)


def test_a_failing_schedule_needs_attention_until_a_sync_works(
    as_viewer: Client, email: Channel, account: KlaviyoAccount
) -> None:
    plan(email, account)
    WorkerSeen.objects.create(name="w", started_at=timezone.now(), seen_at=timezone.now())
    sync(email, account, Status.DONE, hours_ago=9)
    sync(email, account, Status.FAILED, hours_ago=3, message="Klaviyo did not answer.")
    page = text(as_viewer)
    assert "<b>Klaviyo sync of Email</b> did not work. Klaviyo did not answer." in page
    assert "The schedule tries again, later each time." in page
    assert "Sync failed <time" in page
    assert "last synced <time" in page
    sync(email, account, Status.DONE, hours_ago=0)
    page = text(as_viewer)
    assert "Needs your attention" not in page
    assert "Synced from Klaviyo" in page


def test_a_sync_that_asks_needs_attention_and_says_that_the_schedule_waits(
    as_viewer: Client, email: Channel, account: KlaviyoAccount
) -> None:
    plan(email, account)
    job = sync(email, account, Status.NEEDS_ANSWER, message="More than half would be gone.")
    page = text(as_viewer)
    assert "stopped and asks. More than half would be gone." in page
    assert "The schedule waits for the answer." in page
    assert page.count(job.get_absolute_url()) == 2


def test_a_schedule_whose_account_is_disconnected_is_said_to_stand_still(
    as_viewer: Client, email: Channel, account: KlaviyoAccount
) -> None:
    plan(email, account)
    account.forget_key()
    assert "Not synced any more: its Klaviyo account is not connected" in text(as_viewer)


def test_a_schedule_without_a_worker_needs_attention(
    as_viewer: Client, email: Channel, account: KlaviyoAccount
) -> None:
    assert "No worker is running" not in text(as_viewer)
    plan(email, account)
    assert "No worker is running" in text(as_viewer)
    WorkerSeen.objects.create(name="w", started_at=timezone.now(), seen_at=timezone.now())
    assert "No worker is running" not in text(as_viewer)


def test_a_job_of_any_kind_that_waits_without_a_worker_needs_attention(as_viewer: Client, email: Channel) -> None:
    job = BulkJob.objects.create(channel=email, action="delete", chosen={"ids": []}, status=Status.WAITING)
    assert "No worker is running" not in text(as_viewer)  # it may only have begun to wait
    BulkJob.objects.filter(pk=job.pk).update(created_at=timezone.now() - timedelta(minutes=5))
    assert "No worker is running" in text(as_viewer)


def test_what_is_gone_from_klaviyo_needs_attention_while_it_is_active(as_viewer: Client, email: Channel) -> None:
    email.segments.update(klaviyo_id="v-1", missing_since=timezone.now())
    changes.add(email, SegmentValues("Other"), changes.By())  # as the sync that noted it would be a change set
    page = text(as_viewer)
    assert "<b>1 Email segment</b> no longer exists in Klaviyo: “<bdi>VIP</bdi>”." in page
    assert "/channels/email/segments/?status=gone" in page
    changes.set_active(email.segments.get(name="VIP"), False, changes.By())
    assert "Needs your attention" not in text(as_viewer)


def test_many_that_are_gone_are_counted_and_not_named(as_viewer: Client, email: Channel) -> None:
    for number in range(4):
        changes.add(email, SegmentValues(f"Lost {number}", f"l-{number}"), changes.By())
    for segment in email.segments.exclude(name="VIP"):
        email.segments.filter(pk=segment.pk).update(klaviyo_id=segment.segment_id, missing_since=timezone.now())
    assert "<b>4 Email segments</b> no longer exist in Klaviyo." in text(as_viewer)
