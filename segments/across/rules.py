"""Segments across channels: one row for each segment, whichever channels it is in.

Goes in: channels in their order, and what somebody looks for. Comes out: what a row is, which rows are wanted, and in
which orders they can be listed. How they are found is segments.across.rows. Must not know: requests, SQL.

The rule: segments of several channels with the same `identity_key` (the same segment ID or, without one, the same
folded name) are one row, whatever they are called. A row is named as in the first of the channels that has it, its
*leader*. A filter looks at the row as a whole: a search finds any of its segments, and so do a source, being gone from
Klaviyo, an override and a missing link; a row is "active" if it is in all its channels, "inactive" if it is not in one
of them.

A row stands where one of its segments stands by (name_key, id): the first one that is looked for, which is the leader
if nothing is; in the order of a channel's status, the one of that channel. So each row has one place, and is found by
walking through the segments in the order that an index has.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from channels.models import Channel
from segments.marks import Marks
from segments.queries import CSV, GONE, KLAVIYO_KINDS, OVERRIDE, SegmentQuerySet
from segments.values import words

EVERYWHERE, MIXED, MISSING = "every", "mixed", "missing-"

Place = tuple[str, int]


class Columns(NamedTuple):
    """What is read of a segment."""

    pk: int
    channel_id: int
    identity_key: bytes
    name: str
    name_key: str
    segment_id: str
    id_key: str
    active: bool
    source: str
    link: str
    klaviyo_id: str | None
    klaviyo_kind: str
    synced_name: str | None
    synced_link: str | None
    missing_since: datetime | str | None


class Found(Marks, Columns):
    """A segment as a row shows it."""

    __slots__ = ()

    @property
    def place(self) -> Place:
        """Where it stands in the order of names."""
        return self.name_key, self.pk


@dataclass(frozen=True)
class Row:
    """A segment in all of `channels`: of each that has it, in their order, the segment there."""

    segments: list[Found]
    channels: Sequence[Channel]

    @property
    def leader(self) -> Found:
        """The segment of the first channel that has it."""
        return self.segments[0]

    @property
    def home(self) -> Channel:
        """That first channel."""
        return next(channel for channel in self.channels if channel.pk == self.leader.channel_id)

    @property
    def cells(self) -> list[tuple[Channel, Found | None]]:
        """Each channel, with the segment there, if there is one."""
        there = {found.channel_id: found for found in self.segments}
        return [(channel, there.get(channel.pk)) for channel in self.channels]

    def at(self, channel: Channel) -> Found | None:
        """The segment there, if there is one."""
        return next((found for found in self.segments if found.channel_id == channel.pk), None)

    @property
    def key(self) -> str:
        """Its identity, for an address within the page."""
        return self.leader.identity_key.hex()

    def is_shown(self, show: str) -> bool:
        """Whether it is where `show` (one of shows()) wants it."""
        if show == EVERYWHERE:
            return len(self.segments) == len(self.channels)
        if show == MIXED:
            return len({found.active for found in self.segments}) == 2
        slug = show.removeprefix(MISSING)
        return all(found is None for channel, found in self.cells if channel.slug == slug)


@dataclass(frozen=True)
class Wanted:
    """What is looked for.

    `status`: "active", "inactive" or GONE. `show`: EVERYWHERE, MIXED (active in one, inactive in another), or MISSING
    and a slug. `only`: OVERRIDE or NO_LINK.
    """

    q: str = ""
    status: str = ""
    source: str = ""
    show: str = ""
    only: str = ""

    def matches(self, row: Row) -> bool:
        """Whether `row` is wanted, wherever it is and is not."""
        active = [found.active for found in row.segments]
        return (
            (not self.words or any(map(self._has_words, row.segments)))
            and (self.status not in ("active", "inactive") or all(active) == (self.status == "active"))
            and (self.status != GONE or any(found.is_gone for found in row.segments))
            and (not self.source or any(map(self._has_source, row.segments)))
            and (not self.only or any(map(self._is_only, row.segments)))
        )

    def _is_only(self, found: Found) -> bool:
        return bool(found.overridden) if self.only == OVERRIDE else not found.link

    def _has_words(self, found: Found) -> bool:
        return all(word in found.name_key or word in found.id_key for word in self.words)

    def _has_source(self, found: Found) -> bool:
        if self.source in KLAVIYO_KINDS:
            return found.klaviyo_kind == KLAVIYO_KINDS[self.source]
        return found.source == self.source

    @cached_property
    def lead(self) -> "Lead | None":
        """What a row is found by, which few segments may be; None if any of them will do."""
        if self.words:
            return Lead(lambda segments: segments.search(self.q), self._has_words)
        if self.source and self.source != CSV:  # of which there is an index
            return Lead(lambda segments: segments.of_any_source(self.source), self._has_source)
        if self.status == GONE:
            return Lead(SegmentQuerySet.gone, lambda found: found.is_gone)
        if self.only:
            return Lead(lambda segments: segments.with_detail(self.only), self._is_only)
        if self.status == "inactive" or self.show == MIXED:
            is_wanted = self.status == "inactive"  # else it is only that mixed rows are found by it
            return Lead(lambda segments: segments.with_status(False), lambda found: not found.active, is_wanted)
        return None

    def leading(self, segments: SegmentQuerySet) -> SegmentQuerySet:
        """Those of `segments` that a row is found by."""
        return self.lead.among(segments) if self.lead else segments

    def place(self, row: Row) -> Place:
        """Where `row`, which is wanted, stands: as the first of its segments that it is found by."""
        leads = filter(self.lead.is_one, row.segments) if self.lead else iter(row.segments)
        return next(leads, row.leader).place

    @cached_property
    def words(self) -> list[str]:
        """The words of `q`."""
        return words(self.q)

    @property
    def missing_in(self) -> str:
        """The slug of the channel that shall not have it; "" if none."""
        return self.show.removeprefix(MISSING) if self.show.startswith(MISSING) else ""


@dataclass(frozen=True)
class Lead:
    """What rows are found by: which segments that are `among` others, and whether one `is_one`.

    `is_wanted`: the same, whatever is shown by where rows are and are not.
    """

    among: Callable[[SegmentQuerySet], SegmentQuerySet]
    is_one: Callable[[Found], bool]
    is_wanted: bool = True


def shows(channels: Sequence[Channel]) -> dict[str, str]:
    """What can be shown, by where segments are and are not, and what that is called."""
    missing = {f"{MISSING}{channel.slug}": f"Missing in {channel}" for channel in channels}
    return {"": "All", **missing, EVERYWHERE: "In every channel", MIXED: "Active in one, inactive in another"}


@dataclass(frozen=True)
class Run:
    """Rows that follow each other by name: all, or those that are active, inactive or missing (None) in `channel`."""

    channel: Channel | None = None
    active: bool | None = None
    descending: bool = False

    @property
    def is_there(self) -> bool:
        """Whether its rows are in `channel`, and so stand as there."""
        return self.channel is not None and self.active is not None

    def holds(self, row: Row) -> bool:
        """Whether `row` is one of them."""
        if self.channel is None:
            return True
        found = row.at(self.channel)
        return self.active is None if found is None else found.active == self.active

    def may_hold(self, wanted: Wanted) -> bool:
        """Whether any row that is `wanted` can be one of them."""
        if self.channel is None:
            return True
        if self.active is None:
            return wanted.show != EVERYWHERE
        return self.channel.slug != wanted.missing_in and (self.active or wanted.status != "active")

    def place(self, row: Row, wanted: Wanted) -> Place:
        """Where `row` stands."""
        found = row.at(self.channel) if self.channel else None
        return found.place if found else wanted.place(row)


class Sort(NamedTuple):
    """An order to list rows in, and what "Sort by" calls it."""

    label: str
    runs: tuple[Run, ...]


def sorts(channels: Sequence[Channel]) -> dict[str, Sort]:
    """The orders there are: by name, or by the status in one of `channels`."""
    found = {
        "name": Sort("Segment name, A to Z", (Run(),)),
        "-name": Sort("Segment name, Z to A", (Run(descending=True),)),
    }
    for channel in channels:
        runs = tuple(Run(channel, active) for active in (True, False, None))
        found[f"in-{channel.slug}"] = Sort(f"Active in {channel} first", runs)
        found[f"-in-{channel.slug}"] = Sort(f"Missing in {channel} first", runs[::-1])
    return found
