"""How many segments a channel has of each source, active and inactive, and how many of them Klaviyo has no more.

Goes in: the channels of board.channels(). Comes out: a Tally for each. Must not know: pages.

The database reads every segment of a channel for this: 0.4 s at a million of them, where an index that answered it
would cost each import more. Segments change by change sets alone, so a tally is good until the channel's next one,
and each process keeps the last. A channel of more than SMALL is not counted more than once a minute, however often it
changes; its tally then says that it is `late`. The size of a channel is always exact: `Channel.segment_count`.
It is kept in memory and not in the shared cache: to write there, a page on SQLite would wait for a running import.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from django.db.models import Count, Max, Min, Q

from segments.models import Segment, Source
from segments.values import fold

SMALL = 50_000
COUNT_AGAIN_AFTER = 60.0  # seconds
NAMED = 2  # so many segments gone from Klaviyo are named: the first and the last of them are read with the counts
LIST = "list"  # the kind of a Klaviyo segment that is a list


class Origin(NamedTuple):
    """Where segments came from, as the overview tells it: `css` names its colour."""

    css: str
    label: str


ORIGINS = (
    Origin("klaviyo", "Klaviyo segments"),
    Origin("list", "Klaviyo lists"),
    Origin("csv", "CSV"),
    Origin("manual", "Manual"),
)


@dataclass(frozen=True)
class Tally:
    """The segments of a channel in numbers; `origins` by Origin.css. `gone` are active, and not in Klaviyo any more."""

    active: int = 0
    inactive: int = 0
    gone: int = 0
    gone_names: list[str] = field(default_factory=list)  # none, if they are more than NAMED
    origins: dict[str, int] = field(default_factory=dict)
    late: bool = False


class _Kept(NamedTuple):
    version: object
    counted_at: float
    tally: Tally

    def may_stand_for(self, channel: Any) -> bool:
        """Whether the channel is and was so large that it is not counted again yet."""
        was = self.tally.active + self.tally.inactive
        return min(was, channel.segment_count) > SMALL and time.monotonic() - self.counted_at < COUNT_AGAIN_AFTER


_kept: dict[int, _Kept] = {}  # by the channel's primary key


def tallies(channels: Iterable[Any]) -> dict[int, Tally]:
    """Return the tally of each channel by its primary key: at most one query."""
    found: dict[int, Tally] = {}
    stale = []
    for channel in channels:
        kept = _kept.get(channel.pk)
        if not channel.segment_count:
            found[channel.pk] = Tally()
        elif kept and kept.version == _version(channel):
            found[channel.pk] = kept.tally
        elif kept and kept.may_stand_for(channel):
            found[channel.pk] = replace(kept.tally, late=True)
        else:
            stale.append(channel)
    counted = _counted([channel.pk for channel in stale])
    for channel in stale:
        _kept[channel.pk] = _Kept(_version(channel), time.monotonic(), counted[channel.pk])
    return found | counted


def _version(channel: Any) -> object:
    """What differs once a channel's segments do. It is read before they are counted, so it is never the newer."""
    return channel.changed_at, channel.segment_count


def _counted(channels: list[int]) -> dict[int, Tally]:
    found: dict[int, dict[str, Any]] = {
        pk: {"active": 0, "inactive": 0, "gone": 0, "gone_names": set(), "origins": {}} for pk in channels
    }
    is_gone = Q(missing_since__isnull=False, active=True)
    groups = (
        Segment.objects.filter(channel__in=channels)
        .values_list("channel", "source", "klaviyo_kind", "active")
        .annotate(
            n=Count("id"),
            gone=Count("id", filter=is_gone),
            first=Min("name", filter=is_gone),
            last=Max("name", filter=is_gone),
        )
    )
    for pk, source, kind, active, count, gone, *names in groups.order_by():
        tally, origin = found[pk], LIST if source == Source.KLAVIYO and kind == LIST else source
        tally["active" if active else "inactive"] += count
        tally["gone"] += gone
        tally["gone_names"] |= set(filter(None, names))
        tally["origins"][origin] = tally["origins"].get(origin, 0) + count
    for tally in found.values():
        tally["gone_names"] = sorted(tally["gone_names"], key=fold) if tally["gone"] <= NAMED else []
    return {pk: Tally(**counts) for pk, counts in found.items()}
