"""Syncs that start by themselves: which channel's is due, and starting it once.

Goes in: the channels' settings and the time. Comes out: waiting jobs, which workers claim. However many
workers ask at the same moment, one of them moves `started_at` on and starts the sync. A schedule that
fails waits longer each time; one whose sync asks a question waits for the answer.
"""

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from integrations.models import ChannelSync, SyncJob
from integrations.starting import start
from jobs.models import Status
from segments.models import ChangeSet

MAX_BACK_OFF = timedelta(days=7)
LOOKED_AT = 8  # scheduled syncs: from so many failures on, waiting grows no more


def start_due() -> None:
    """Start the syncs whose time has come."""
    for setting in ChannelSync.objects.filter(every_hours__gt=0, account__isnull=False).select_related(
        "account", "channel"
    ):
        due = due_at(setting)
        if due and due <= timezone.now() and _mine(setting):
            start(setting.channel, None, via=ChangeSet.Via.SCHEDULE, account=setting.account)


def due_at(setting: ChannelSync) -> datetime | None:
    """Return when the next sync of a channel's schedule may start; None if it waits for somebody, or is off."""
    if not setting.every_hours or not setting.account or not setting.account.is_connected:
        return None
    recent = SyncJob.objects.syncs().filter(channel=setting.channel_id)
    newest = recent.first()
    if newest and newest.status == Status.NEEDS_ANSWER:
        return None
    if setting.started_at is None:
        return timezone.now()
    interval = timedelta(hours=setting.every_hours)
    pause: timedelta = min(interval * 2 ** failures_of(setting), max(MAX_BACK_OFF, interval))
    return setting.started_at + pause


def failures_of(setting: ChannelSync) -> int:
    """Return how many syncs of the channel failed in a row, the newest first."""
    ended = SyncJob.objects.syncs().filter(channel=setting.channel_id, status__in=(Status.DONE, Status.FAILED))
    failed = 0
    for status in ended.values_list("status", flat=True)[:LOOKED_AT]:
        if status == Status.DONE:
            break
        failed += 1
    return failed


def _mine(setting: ChannelSync) -> bool:
    """Move the schedule on to now; True for the one that did it."""
    before = Q(started_at=setting.started_at) if setting.started_at else Q(started_at__isnull=True)
    return bool(ChannelSync.objects.filter(before, pk=setting.pk).update(started_at=timezone.now()))
