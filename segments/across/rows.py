"""The rows of segments across channels, as they are found in the database: the next ones, and how many there are.

Goes in: channels, what is wanted, a run of rows and a place in it. Comes out: Rows. Must not know: requests, cursors.

Two ways lead to the same rows. If few segments can match, which the sizes of the channels, a search or a filter tell,
all their rows are read and counted. Otherwise the next segments are read in their order, and those kept that match: at
first a few more than a page, then LOOKED at. Who asks is told how far was looked, and can go on from there: nothing
reads a channel whole, but for a search without an index.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import Count

from channels.models import Channel
from segments.across.rules import EVERYWHERE, Found, Place, Row, Run, Wanted, shows
from segments.models import Segment
from segments.pages import BY_NAME
from segments.pages import Run as InOrder
from segments.queries import COUNT_CAP, SegmentQuerySet, union_all
from segments.search import index
from segments.search.index import FIRST, LAST

FEW = 1_000  # segments that are read at once
LOOKED = 4_000  # segments of each channel that are looked at before a page is shown as it is
NEAR = 10  # times as many segments as rows, of each channel, that are looked at for a common word
AHEAD = 400  # matches of it that are looked at after that, before a page is shown as it is

COLUMNS = ", ".join(f"s.{column if column != 'pk' else 'id'}" for column in Found._fields)
# The segments found, each with all of its identity, itself included.
WITH_THEIR_LIKE = "SELECT x.id, {columns} FROM ({found}) x CROSS JOIN segments_segment s {where}"
OF_IDENTITY = "WHERE s.identity_key = x.identity_key AND s.channel_id IN ({channels})"


class Rows:
    """The rows that are `wanted` of `channels`."""

    def __init__(self, channels: Sequence[Channel], wanted: Wanted) -> None:
        self.channels = channels
        self.wanted = wanted
        self.cap = COUNT_CAP * len(channels)  # of more segments some channel has more than COUNT_CAP: as many rows
        self.known = index.candidates(channels, wanted.words, self.cap)
        keys = self.known.keys
        self.keys = keys if keys is not None and len(keys) <= COUNT_CAP else None
        self.is_common = self.known.too_many or (keys is not None and self.keys is None)

    def next(self, run: Run, place: Place | None, backwards: bool, count: int) -> tuple[list[Row], Place | None]:
        """Return the next `count` rows of `run` from `place` on, and up to where was looked; None if that is all."""
        falling = run.descending != backwards
        if self.few is not None:
            return self._in_order(self.few, run, place, falling)[:count], None
        found: list[Row] = []
        looks = [(self._look, 2 * count), (self._look, LOOKED)]
        if self.is_common and not run.is_there and index.narrows(self.wanted.words):
            looks = [(self._look, NEAR * count), (self._look_by_index, AHEAD)]
        for look, number in looks:
            rows, horizon = look(run, place, falling, number)
            rows = [row for row in rows if self.wanted.matches(row) and row.is_shown(self.wanted.show)]
            rows = self._in_order(rows, run, place, falling)
            if horizon is not None:
                rows = [row for row in rows if not _is_beyond(run.place(row, self.wanted), horizon, falling)]
            found += rows[: count - len(found)]
            place = horizon
            if horizon is None or len(found) == count:
                break
        return found, place

    def _in_order(self, rows: Iterable[Row], run: Run, place: Place | None, falling: bool) -> list[Row]:
        """Those of `rows` that are of `run` and come after `place`."""
        placed = [(run.place(row, self.wanted), row) for row in rows if run.holds(row)]
        beyond = [each for each in placed if place is None or _is_beyond(each[0], place, falling)]
        return [row for _, row in sorted(beyond, key=lambda each: each[0], reverse=falling)]

    @cached_property
    def few(self) -> list[Row] | None:
        """All rows that are wanted, in no order, if they are few."""
        return None if self._few is None else [row for row in self._few if row.is_shown(self.wanted.show)]

    @cached_property
    def _few(self) -> list[Row] | None:
        """The same, with others that are not where they should be."""
        candidates = self._candidates()
        if candidates is None:
            return None
        _, rows = self._read([candidates])
        return [row for row in rows if self.wanted.matches(row)]

    def _candidates(self) -> SegmentQuerySet | None:
        """Segments among which each wanted row has one, if they are few."""
        if self._are_few(self.channels):
            return self._every
        smallest = min(self.channels, key=lambda channel: channel.segment_count)
        enough = [smallest] if self.wanted.show == EVERYWHERE else self._enough
        if self._are_few(enough):
            return Segment.objects.filter(channel__in=enough)
        if not self.wanted.lead or self.is_common:
            return None
        keys = list(self._leading.values_list("pk", flat=True)[: FEW + 1])
        return Segment.objects.filter(pk__in=keys) if len(keys) <= FEW else None

    @staticmethod
    def _are_few(channels: Iterable[Channel]) -> bool:
        return sum(channel.segment_count for channel in channels) <= FEW

    @property
    def _every(self) -> SegmentQuerySet:
        return Segment.objects.filter(channel__in=self.channels)

    @property
    def _leading(self) -> SegmentQuerySet:
        """The segments that rows are found by."""
        leading = self.wanted.leading(self._every)
        return leading if self.keys is None else leading.filter(pk__in=self.keys)

    @property
    def _enough(self) -> list[Channel]:
        """Channels of which each wanted row is in one at least."""
        if self.wanted.show == EVERYWHERE and not self.wanted.lead:
            return list(self.channels[:1])
        return [channel for channel in self.channels if channel.slug != self.wanted.missing_in]

    def counts(self) -> dict[str, int]:
        """The numbers of rows by what is shown, as far as they are soon known; of very many, COUNT_CAP + 1."""
        if self._few is not None:
            by_show = {show: sum(row.is_shown(show) for row in self._few) for show in shows(self.channels)}
            whole = self._are_few(self.channels) or (self.wanted.lead and self.wanted.lead.is_wanted)
            return by_show if whole else {self.wanted.show: by_show[self.wanted.show]}
        count = None if self.wanted.show else self._count()
        return {} if count is None else {"": count}

    def _count(self) -> int | None:
        """How many rows have a segment that is looked for, by one filter at most; None if that cannot be told soon."""
        wanted = self.wanted
        if wanted.status == "active" or sum(map(bool, (wanted.words, wanted.status, wanted.source, wanted.only))) > 1:
            return None
        narrows = wanted.words or wanted.status or wanted.source or wanted.only
        if self.known.too_many or (not narrows and max(each.segment_count for each in self.channels) > COUNT_CAP):
            return COUNT_CAP + 1
        segments = wanted.leading(self._every).of_any_source(wanted.source)
        if self.known.keys is not None:
            segments = segments.filter(pk__in=self.known.keys)
        some = segments.values("identity_key")[: self.cap + 1]
        found = some.aggregate(segments=Count("*"), rows=Count("identity_key", distinct=True))
        return COUNT_CAP + 1 if found["segments"] > self.cap else min(int(found["rows"]), COUNT_CAP + 1)

    def _look(self, run: Run, place: Place | None, falling: bool, number: int) -> tuple[list[Row], Place | None]:
        """Return rows of the next segments from `place` on, and up to where those are all there are; None: to the end.

        Of the segments of each channel, or of a search, so many are read.
        """
        if run.channel and run.is_there:
            sources = [run.channel.segments.filter(active=bool(run.active))]
        elif self.keys is not None:
            sources = [self._leading]
        else:
            channels = [channel for channel in self._enough if channel != run.channel]
            sources = [channel.segments.all() for channel in channels]
            if not self.is_common:  # else not many need to be read until some match
                sources = list(map(self.wanted.leading, sources))
        order = InOrder(BY_NAME)
        origins, rows = self._read(order.after(source, list(place or ()), falling)[:number] for source in sources)
        by_source: dict[int, list[Place]] = {}
        for found in origins:
            by_source.setdefault(found.channel_id if len(sources) > 1 else 0, []).append(found.place)
        full = [places for places in by_source.values() if len(places) == number]
        if not full:
            return rows, None
        return rows, max(map(min, full)) if falling else min(map(max, full))

    def _look_by_index(
        self, run: Run, place: Place | None, falling: bool, number: int
    ) -> tuple[list[Row], Place | None]:
        """The same for a word that is common: the index knows its next matches."""
        behind = place or (LAST if falling else FIRST)
        keys, last = index.next_known(self.channels, self.wanted.words, behind, falling, number)
        matching = Segment.objects.filter(pk__in=[*keys, *self.known.outdated]).search(self.wanted.q)
        _, rows = self._read([matching])
        return rows, last

    def _read(self, parts: Iterable[SegmentQuerySet]) -> tuple[list[Found], list[Row]]:
        """Return the segments of `parts`, and the rows that they belong to, in one query."""
        inner, parameters = union_all(part.values_list("id", "identity_key") for part in parts)
        if not inner:
            return [], []
        where = OF_IDENTITY.format(channels=", ".join(["%s"] * len(self.channels)))
        sql = WITH_THEIR_LIKE.format(columns=COLUMNS, found=inner, where=where)
        with connection.cursor() as cursor:
            cursor.execute(sql, [*parameters, *(channel.pk for channel in self.channels)])
            return _rows(cursor.fetchall(), self.channels)


def _is_beyond(place: Place, other: Place, falling: bool) -> bool:
    return place < other if falling else place > other


def _rows(records: Iterable[Sequence[Any]], channels: Sequence[Channel]) -> tuple[list[Found], list[Row]]:
    order = {channel.pk: number for number, channel in enumerate(channels)}
    origins: list[Found] = []
    seen: set[int] = set()
    together: dict[bytes, list[Found]] = {}
    for origin, pk, channel, key, name, name_key, segment_id, id_key, active, *more in records:
        found = Found(pk, channel, bytes(key), name, name_key, segment_id, id_key, bool(active), *more)
        if origin == pk:
            origins.append(found)
        if pk not in seen:
            seen.add(pk)
            together.setdefault(found.identity_key, []).append(found)
    rows = [
        Row(sorted(segments, key=lambda found: order[found.channel_id]), channels) for segments in together.values()
    ]
    return origins, rows
