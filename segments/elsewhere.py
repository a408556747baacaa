"""Which other channels have what a search did not find: the segment is often there, in the wrong channel.

Goes in: channels and a search. Comes out: the first few matches in each that has any. Must not know: requests.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from channels.models import Channel
from segments import search_index
from segments.models import Segment

SHOWN = 5  # in each channel


@dataclass(frozen=True)
class Hits:
    """The first matches in a channel, by name, and whether there are more."""

    channel: Channel
    segments: list[Segment]
    more: bool


def hits(channels: Iterable[Channel], text: str) -> list[Hits]:
    """Return the channels that have segments whose name or segment ID contains `text`; none for a blank text."""
    if not text.strip():
        return []
    channels = list(channels)
    every = search_index.search(Segment.objects.for_list(), channels, text).order_by("name_key", "id")
    found = ((channel, list(every.filter(channel=channel)[: SHOWN + 1])) for channel in channels)
    return [Hits(channel, segments[:SHOWN], len(segments) > SHOWN) for channel, segments in found if segments]
