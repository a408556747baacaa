"""What the overview shows: figures of each channel, what happened lately, what needs somebody.

Goes in: the channels. Comes out: plain values for the template, by a constant number of queries
whose work is bounded however large a channel is. Must not know: requests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, When
from django.utils import timezone

from channels.models import Channel
from imports.models import ImportJob
from integrations.models import OPEN, ChannelSync, SyncJob
from jobs.lease import kinds
from jobs.models import Status, WorkerSeen
from jobs.presence import MISSING_AFTER
from overview.tally import ORIGINS, Tally, tallies
from segments.activity.deeds import Deed
from segments.activity.sets import page_of
from segments.models import ChangeSet, ChangeSetChannel

LATELY = 6
ATTENTION_FOR = timedelta(days=7)
OF_EACH = 3  # imports that failed, and as many that left rows out
WAITS_TOO_LONG = timedelta(minutes=1)
BAR = 1000  # width of the bar of sources, in its own units


def channels() -> list[Any]:
    """Return every channel with what the overview asks of it, in one query.

    That is when its segments last changed (`changed_at`; None where it has none), its newest sync (`newest_…`), when
    one was last done (`synced_at`), its schedule (`every_hours`, `connected`); and, the same for all, the newest change
    set of any (`newest_change`), and whether no worker lives though one is needed (`no_worker`).
    """
    last = ChangeSetChannel.objects.filter(channel=OuterRef("pk")).order_by("-change_set_id")
    newest = SyncJob.objects.syncs().filter(channel=OuterRef("pk"))
    done = newest.filter(status=Status.DONE)

    def of(rows: QuerySet[Any], name: str) -> Subquery:
        return Subquery(rows.values(name)[:1])

    return list(
        Channel.objects.annotate(
            changed_at=Case(When(segment_count__gt=0, then=of(last, "change_set__at"))),
            newest_sync=of(newest, "pk"),
            newest_status=of(newest, "status"),
            newest_at=of(newest, "finished_at"),
            newest_message=of(newest, "message"),
            synced_at=of(done, "finished_at"),
            every_hours=F("klaviyo__every_hours"),
            connected=Q(klaviyo__account__encrypted_key__gt=""),
            newest_change=of(ChangeSet.objects.order_by("-pk"), "pk"),
            no_worker=_no_worker(),
        )
    )


def _no_worker() -> Any:
    """Whether a job waits for long, or schedules are to start some, and no worker was seen lately."""
    now = timezone.now()
    waiting = {"status": Status.WAITING, "created_at__lt": now - WAITS_TOO_LONG}
    needed: Any = Exists(ChannelSync.objects.filter(every_hours__gt=0, account__encrypted_key__gt=""))
    for kind in kinds():
        needed |= Exists(kind._default_manager.filter(**waiting).order_by())
    return needed & ~Exists(WorkerSeen.objects.filter(seen_at__gte=now - MISSING_AFTER))


class Share(NamedTuple):
    """Segments of one origin, and where they stand in the bar of their channel."""

    css: str
    label: str
    segments: int
    x: float
    width: float


@dataclass
class Card:
    """A channel with its numbers."""

    channel: Any  # of channels()
    tally: Tally = field(default_factory=Tally)

    @property
    def shares(self) -> Iterable[Share]:
        """The bar: a share for each origin that there is."""
        total, x = sum(self.tally.origins.values()), 0.0
        for origin in ORIGINS:
            count = self.tally.origins.get(origin.css, 0)
            if count:
                width = BAR * count / total
                yield Share(*origin, count, round(x, 1), round(max(width - 4, 1), 1))
                x += width

    @property
    def sync(self) -> str:
        """How Klaviyo stands: running, asks, failed, cut (from its schedule), done, planned; "" without it."""
        each = self.channel
        states = {Status.NEEDS_ANSWER: "asks", Status.FAILED: "failed"} | dict.fromkeys(OPEN, "running")
        if each.newest_status in states:
            return states[each.newest_status]
        if each.every_hours and not each.connected:
            return "cut"
        return "done" if each.synced_at else "planned" if each.every_hours else ""

    @property
    def newest_sync(self) -> SyncJob:
        """The newest sync, as far as the overview tells of it."""
        each = self.channel
        return SyncJob(pk=each.newest_sync, channel=each, status=each.newest_status, message=each.newest_message)


def cards(channels: Iterable[Any]) -> list[Card]:
    """Return a card for each of `channels()`: at most one query for all of them."""
    channels = list(channels)
    counted = tallies(channels)
    return [Card(channel, counted[channel.pk]) for channel in channels]


def lately() -> list[Deed]:
    """Return the newest change sets, as Activity tells of them: two queries."""
    return page_of(ChangeSet.objects.all(), size=LATELY).deeds


class Gone(NamedTuple):
    """How many active segments of a channel Klaviyo has no more, and which, if they are few."""

    channel: Any
    segments: int
    names: list[str]


class Attention(NamedTuple):
    """What somebody should look at."""

    failed: Sequence[ImportJob]
    with_errors: Sequence[ImportJob]
    syncs: Sequence[SyncJob]
    gone: Sequence[Gone]
    no_worker: bool

    def __bool__(self) -> bool:
        return any(self)


def attention(cards: Sequence[Card]) -> Attention:
    """Return the last days' imports that failed or left rows out, and what stands badly in the channels of `cards`.

    One query.
    """
    jobs: Any = ImportJob.objects.to_look_at(timezone.now() - ATTENTION_FOR)
    jobs = jobs.only("id", "status", "file_name", "message", "finished_at")[: 2 * OF_EACH]
    of = {status: [job for job in jobs if job.status == status][:OF_EACH] for status in Status}
    no_worker = any(card.channel.no_worker for card in cards)
    return Attention(of[Status.FAILED], of[Status.DONE], stuck_syncs(cards), gone(cards), no_worker)


def stuck_syncs(cards: Iterable[Card]) -> list[SyncJob]:
    """Return of each channel the newest sync, where it failed or asks something."""
    return [card.newest_sync for card in cards if card.sync in ("failed", "asks")]


def gone(cards: Iterable[Card]) -> list[Gone]:
    """Return what is gone from Klaviyo, by channel; by name, where it is not too much for that."""
    lost = [card for card in cards if card.tally.gone]
    return [Gone(card.channel, card.tally.gone, card.tally.gone_names) for card in lost]
