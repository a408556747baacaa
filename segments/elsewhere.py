"""Which other channels have what a search did not find: the segment is often there, in the wrong channel.

Goes in: channels and a search. Comes out: the first few matches in each that has any. Must not know: requests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from channels.models import Channel
from segments.models import Segment
from segments.queries import union_all
from segments.search import index
from segments.values import words

SHOWN = 5  # in each channel


@dataclass(frozen=True)
class Hits:
    """The first matches in a channel, by name, and whether there are more."""

    channel: Channel
    segments: list[Segment]
    more: bool


def hits(channels: Iterable[Channel], text: str) -> list[Hits]:
    """Return the channels that have segments that match `text`, as a list does; none for a blank text."""
    if not text.strip():
        return []
    channels = list(channels)
    found: dict[int, list[Segment]] = {}
    for segment in sorted(_first(channels, text, SHOWN + 1), key=lambda segment: (segment.name_key, segment.pk)):
        found.setdefault(segment.channel_id, []).append(segment)
    ordered = [(channel, found[channel.pk]) for channel in channels if channel.pk in found]
    return [Hits(channel, segments[:SHOWN], len(segments) > SHOWN) for channel, segments in ordered]


def _first(channels: Sequence[Channel], text: str, count: int) -> Iterable[Segment]:
    """Return the first `count` matches of each of `channels`, in no order and in as many queries for one as for all.

    Where the index knows the few that can match, they are numbered. Where it does not, numbering would read every
    match there is, so each channel is read in the order of names until it has enough.
    """
    every = Segment.objects.for_list().search(text)
    few = index.candidates(channels, words(text)).keys
    if few is not None:
        place = Window(RowNumber(), partition_by=F("channel"), order_by=("name_key", "id"))
        return every.filter(pk__in=few, channel__in=channels).annotate(place=place).filter(place__lte=count)
    in_order = every.order_by("name_key", "id")
    sql, parameters = union_all(in_order.filter(channel=channel)[:count] for channel in channels)
    return Segment.objects.raw(sql, parameters) if sql else ()
