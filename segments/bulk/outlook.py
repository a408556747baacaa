"""What an action on the segments that were chosen would do, for the question that is asked before.

Goes in: the segments, the action, the channels to add them to. Comes out: numbers, the first few names, and a line for
each channel. Nothing is written. Must not know: requests, forms.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from channels.models import Channel
from segments import changes
from segments.changes import Counts
from segments.models import BulkJob, Segment
from segments.queries import SegmentQuerySet

NAMED = 8
COMPARED = 20_000  # segments; to say what adding more would do takes as long as adding them


@dataclass(frozen=True)
class Target:
    """A channel that segments can be added to: what would come of it, and whether anything would."""

    channel: Channel
    words: str
    adds: bool

    @property
    def key(self) -> str:
        """What a form says for the channel."""
        return str(self.channel.pk)


@dataclass(frozen=True)
class Outlook:
    """What would be done to `total` segments, of which `changing` would change; `names` are the first few of those.

    `of_klaviyo` are those that the next sync brings back once they are deleted.
    """

    total: int
    changing: int
    names: list[Segment]
    of_klaviyo: int = 0
    targets: list[Target] = field(default_factory=list)

    @property
    def already(self) -> int:
        """How many are as they would be made."""
        return self.total - self.changing

    @property
    def more(self) -> int:
        """How many change beside those that are named."""
        return self.changing - len(self.names)


def outlook(action: str, segments: SegmentQuerySet, channels: Iterable[Channel]) -> Outlook:
    """Return what `action` would do now; `channels` are those that segments can be added to."""
    switches = action in (BulkJob.Action.ACTIVATE, BulkJob.Action.DEACTIVATE)
    changing = segments.filter(active=action == BulkJob.Action.DEACTIVATE) if switches else segments
    total = segments.count()
    numbers = total, changing.count() if switches else total
    names = list(changing.order_by("name_key", "id")[:NAMED])
    if action == BulkJob.Action.ADD:
        return Outlook(*numbers, names, targets=_targets(segments, total, channels))
    if action == BulkJob.Action.DELETE:
        come_back = segments.filter(klaviyo_id__isnull=False, missing_since=None)
        return Outlook(*numbers, names, of_klaviyo=come_back.count())
    return Outlook(*numbers, names)


def _targets(segments: SegmentQuerySet, total: int, channels: Iterable[Channel]) -> list[Target]:
    if total > COMPARED:
        words = f"Up to {total:,} new segments; those that are already there will be skipped"
        return [Target(channel, words, adds=True) for channel in channels]
    channels = list(channels)
    counts = changes.adding_to(segments, channels)
    return [Target(each, _in_words(counts[each.pk], total), counts[each.pk].created > 0) for each in channels]


def _in_words(counts: Counts, total: int) -> str:
    """What adding `total` segments to a channel would come to."""
    created, there, unclear = counts.created, counts.skipped, counts.errors
    if created == total:
        return f"{created:,} new segment{'' if created == 1 else 's'}"
    if there == total:
        return "Already there" if total == 1 else "All of them are already there"
    if unclear == total:
        whose = "its name" if total == 1 else "the name of each"
        return f"Several segments there have {whose}: only a Segment ID would say which is meant"
    parts = [f"{created:,} new"] if created else []
    if there:
        parts.append(f"{there:,} {'is' if there == 1 else 'are'} already there and will be skipped")
    if unclear:
        parts.append(f"{unclear:,} cannot be added, as several there have the name")
    return ", ".join(parts)
