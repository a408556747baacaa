"""What the overview shows: figures of each channel, what happened lately, what needs somebody.

Goes in: the channels. Comes out: plain values for the template, by a constant number of queries
whose work is bounded however large a channel is. Must not know: requests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from django.db.models import Count, OuterRef, Subquery
from django.utils import timezone

from channels.models import Channel
from imports.models import ImportJob
from integrations.models import SyncJob
from jobs.models import Status
from jobs.presence import worker_missing
from segments.activity import page_of
from segments.deeds import Deed
from segments.models import ChangeSet, Segment, Source

BREAKDOWN_UP_TO = 50_000  # segments of a channel: counting by source reads each of them
LATELY = 8
ATTENTION_FOR = timedelta(days=7)
WAITS_TOO_LONG = timedelta(minutes=1)
BAR = 1000  # width of the bar of sources, in its own units


class Share(NamedTuple):
    """Segments of one source, and where they stand in the bar of their channel."""

    source: str
    label: str
    segments: int
    x: float
    width: float


@dataclass
class Card:
    """A channel with its counts. `shares` is empty where it has too many segments to count by source."""

    channel: Channel
    active: int = 0
    inactive: int = 0
    shares: list[Share] = field(default_factory=list)


def cards(channels: Iterable[Channel]) -> list[Card]:
    """Return a card for each of `channels`: one query for all of them."""
    found = {channel.pk: Card(channel) for channel in channels}
    small = [pk for pk, card in found.items() if 0 < card.channel.segment_count <= BREAKDOWN_UP_TO]
    by_source: dict[int, dict[str, int]] = {pk: {} for pk in small}
    groups = Segment.objects.filter(channel__in=small).values_list("channel", "source", "active").annotate(Count("id"))
    for pk, source, active, count in groups.order_by():
        if active:
            found[pk].active += count
        else:
            found[pk].inactive += count
        by_source[pk][source] = by_source[pk].get(source, 0) + count
    for pk, counts in by_source.items():
        found[pk].shares = list(_shares(counts))
    return list(found.values())


def _shares(counts: dict[str, int]) -> Iterable[Share]:
    total, x = sum(counts.values()), 0.0
    for source in (Source.KLAVIYO, Source.CSV, Source.MANUAL):
        count = counts.get(source, 0)
        if count:
            width = BAR * count / total
            yield Share(source.value, str(source.label), count, round(x, 1), round(max(width - 4, 1), 1))
            x += width


def lately() -> list[Deed]:
    """Return the newest change sets, as Activity tells of them: three queries."""
    return page_of(ChangeSet.objects.all(), size=LATELY).deeds


class Attention(NamedTuple):
    """What somebody should look at."""

    failed: Sequence[ImportJob]
    with_errors: Sequence[ImportJob]
    syncs: Sequence[SyncJob]
    no_worker: bool

    def __bool__(self) -> bool:
        return bool(self.failed or self.with_errors or self.syncs or self.no_worker)


def attention(channels: Iterable[Channel]) -> Attention:
    """Return the last days' imports that failed or left rows out, and whether one waits for a missing worker."""
    now = timezone.now()
    jobs: Any = (
        ImportJob.objects.to_look_at(now - ATTENTION_FOR, now - WAITS_TOO_LONG)
        .only("id", "status", "file_name", "message", "finished_at")
        .order_by("-created_at")[:20]
    )
    of = {status: [job for job in jobs if job.status == status and not job.undone] for status in Status}
    waiting = bool(of[Status.WAITING])
    return Attention(of[Status.FAILED][:3], of[Status.DONE][:3], stuck_syncs(channels), waiting and worker_missing())


def channels() -> list[Channel]:
    """Return every channel, with its newest sync: `newest_sync` and `newest_status`."""
    newest = SyncJob.objects.syncs().filter(channel=OuterRef("pk"))
    return list(
        Channel.objects.annotate(
            newest_sync=Subquery(newest.values("pk")[:1]), newest_status=Subquery(newest.values("status")[:1])
        )
    )


def stuck_syncs(channels: Iterable[Channel]) -> list[SyncJob]:
    """Return of each of `channels()` the newest sync, where it failed or asks something; no query where none did."""
    stuck = [
        each.newest_sync  # type: ignore[attr-defined]  # annotated by channels()
        for each in channels
        if each.newest_status in (Status.FAILED, Status.NEEDS_ANSWER)  # type: ignore[attr-defined]
    ]
    return list(SyncJob.objects.for_list().filter(pk__in=stuck[:3])) if stuck else []
