"""Segments across channels: one row for each segment, whichever channels it is in.

Goes in: channels in their order, and what somebody looks for. Comes out: a Page of Rows, with the cursors of its
neighbours. Writes nothing, and must not know requests or templates.

The rule: segments of several channels with the same `identity_key` (the same segment ID or, without one, the same
folded name) are one row, whatever they are called. A row is named as in the first of the channels that has it, its
*leader*, and stands where that one stands: its place is the leader's (name_key, id). So each row has one place, is
found by walking through the channels' segments in the order that their index has, and passing over those that are no
leaders. A filter looks at the row as a whole: a search finds any of its segments, a source is that of
any, and a row is "active" if it is in all its channels, "inactive" if it is not in one of them.

Two ways lead to the same rows. If few segments can match, which the sizes of the channels, a search or a filter tell,
all their rows are read and counted. Otherwise the next segments of each channel are read, in order, and those kept
that match: at first a few more than a page, then LOOKED at. A page that is not full by then says that it looked only
so far, and the next one goes on from there: no page reads a channel whole.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from django.db import connection

from channels.models import Channel
from segments.forms import KLAVIYO_KINDS
from segments.models import Segment
from segments.pages import BY_NAME, Cursor, Run
from segments.queries import SegmentQuerySet, union_all
from segments.search import Search
from segments.values import words

FEW = 3_000  # segments that are read at once
LOOKED = 4_000  # segments of each channel that a page looks at before it is shown as it is
SORT = "across"  # what its cursors are made for
EVERYWHERE, MIXED, MISSING = "every", "mixed", "missing-"
IN_ORDER = Run(BY_NAME)

Place = tuple[str, int]


class Found(NamedTuple):
    """A segment as a row shows it."""

    pk: int
    channel_id: int
    identity_key: bytes
    name: str
    name_key: str
    segment_id: str
    id_key: str
    active: bool
    source: str
    klaviyo_kind: str

    @property
    def has_label(self) -> bool:
        """Whether `segment_id` is only a label."""
        return bool(self.segment_id) and self.identity_key[:1] == b"n"

    @property
    def place(self) -> Place:
        """Where it stands in the order of names."""
        return self.name_key, self.pk


COLUMNS = ", ".join(f"s.{column if column != 'pk' else 'id'}" for column in Found._fields)
# The segments found, each with all of its identity, itself included.
WITH_THEIR_LIKE = "SELECT x.id, {columns} FROM ({found}) x CROSS JOIN segments_segment s {where}"
OF_IDENTITY = "WHERE s.identity_key = x.identity_key AND s.channel_id IN ({channels})"


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
    """What is looked for. `show`: EVERYWHERE, MIXED (active in one, inactive in another), or MISSING and a slug."""

    q: str = ""
    status: str = ""
    source: str = ""
    show: str = ""

    def matches(self, row: Row) -> bool:
        """Whether `row` is wanted, wherever it is and is not."""
        active = [found.active for found in row.segments]
        return (
            any(map(self._has_words, row.segments))
            and (not self.status or all(active) == (self.status == "active"))
            and (not self.source or any(map(self._has_source, row.segments)))
        )

    def _has_words(self, found: Found) -> bool:
        return all(word in found.name_key or word in found.id_key for word in self.words)

    def _has_source(self, found: Found) -> bool:
        if self.source in KLAVIYO_KINDS:
            return found.klaviyo_kind == KLAVIYO_KINDS[self.source]
        return found.source == self.source

    @cached_property
    def words(self) -> list[str]:
        """The words of `q`."""
        return words(self.q)

    @property
    def missing_in(self) -> str:
        """The slug of the channel that shall not have it; "" if none."""
        return self.show.removeprefix(MISSING) if self.show.startswith(MISSING) else ""


def shows(channels: Sequence[Channel]) -> dict[str, str]:
    """What can be shown, by where segments are and are not, and what that is called."""
    missing = {f"{MISSING}{channel.slug}": f"Missing in {channel}" for channel in channels}
    return {"": "All", **missing, EVERYWHERE: "In every channel", MIXED: "Active in one, inactive in another"}


@dataclass(frozen=True)
class Page:
    """Rows, the number of the first one (from 0), and the cursors of the pages around it ("" if there is none).

    `counts` are the numbers of rows by what is shown, as far as they are known. `looked`: there may be more rows, but
    only so many segments were looked at.
    """

    rows: list[Row]
    start: int = 0
    previous: str = ""
    next: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    looked: bool = False

    @property
    def first(self) -> int:
        """The number of the first row, from 1."""
        return self.start + 1

    @property
    def end(self) -> int:
        """The number of the last row, from 1."""
        return self.start + len(self.rows)


def page_of(channels: Sequence[Channel], wanted: Wanted, cursor: str, size: int) -> Page:
    """Return the page of rows that `cursor` names, at most `size` long; the first if it names none."""
    at = Cursor.read(cursor, SORT)
    rows, counts = few(channels, wanted)
    horizon = None
    if rows is None:
        rows, horizon = walk(channels, wanted, at, size + 1)
    else:
        rows = _from(rows, at, size + 1)
    more = len(rows) > size
    rows = rows[:size]
    if at.backwards and not more and horizon is None and len(rows) < size:
        return page_of(channels, wanted, "", size)  # rows before it are gone: a short first page helps nobody
    edge = rows[-1].leader.place if more else horizon  # where the next page in this direction begins
    if at.backwards:
        rows.reverse()
    start = 0 if at.backwards and edge is None else at.start
    first, last = (rows[0].leader.place, rows[-1].leader.place) if rows else (_behind(at), horizon)
    before, after = (edge, last) if at.backwards else (first if at.place else None, edge)
    return Page(
        rows,
        start,
        _cursor(before, True, max(0, start - size)),
        _cursor(after, False, start + len(rows)),
        counts,
        looked=not more and horizon is not None,
    )


def _behind(at: Cursor) -> Place | None:
    """The place right behind that of the cursor: what comes before it begins with what stands there."""
    return (at.place[0], at.place[1] + 1) if at.place else None


def _cursor(place: Place | None, backwards: bool, start: int) -> str:
    return Cursor(0, place, backwards, start).text(SORT) if place else ""


def _from(rows: list[Row], at: Cursor, count: int) -> list[Row]:
    """The next `count` of `rows` from the cursor on, in its direction."""
    ordered = sorted(rows, key=lambda row: row.leader.place, reverse=at.backwards)
    return [row for row in ordered if _is_beyond(row.leader.place, at.place, at.backwards)][:count]


def _is_beyond(place: Place, start: tuple[object, ...], backwards: bool) -> bool:
    """Whether `place` comes after `start`; always, if there is none."""
    if not start:
        return True
    return place < start if backwards else place > start


def few(channels: Sequence[Channel], wanted: Wanted) -> tuple[list[Row] | None, dict[str, int]]:
    """Return all rows that are wanted, in no order, and the counts that are known with them; None if that is a lot."""
    candidates, whole = _candidates(channels, wanted)
    if candidates is None:
        return None, {}
    origins, rows = _read([candidates[: FEW + 1]], channels)
    if len(origins) > FEW:
        return None, {}
    rows = [row for row in rows if wanted.matches(row)]
    by_show = {show: [row for row in rows if row.is_shown(show)] for show in shows(channels)}
    shown = by_show[wanted.show]
    return shown, {show: len(by_show[show]) for show in by_show if whole or show == wanted.show}


def _candidates(channels: Sequence[Channel], wanted: Wanted) -> tuple[SegmentQuerySet | None, bool]:
    """Return segments among which each wanted row has one, if they may be few, and whether for whatever is shown."""
    every = Segment.objects.filter(channel__in=channels)
    if sum(channel.segment_count for channel in channels) <= FEW:
        return every, True
    enough = _enough(channels, wanted)
    if sum(channel.segment_count for channel in enough) <= FEW:
        return Segment.objects.filter(channel__in=enough), False
    if wanted.words:
        return Search(every, channels, wanted.q).rows, True
    if wanted.status == "inactive" or wanted.show == MIXED:
        inactive = every.filter(active=False)  # counted first: that costs an index a moment, and to read them does not
        is_few = inactive.capped_count(FEW) <= FEW
        return (inactive, wanted.status == "inactive") if is_few else (None, False)
    if wanted.source in KLAVIYO_KINDS:
        return every.of_klaviyo_kind(KLAVIYO_KINDS[wanted.source]), True
    return (every.with_source(wanted.source), True) if wanted.source else (None, False)


def _enough(channels: Sequence[Channel], wanted: Wanted) -> list[Channel]:
    """Return channels of which each wanted row is in one at least."""
    if wanted.show == EVERYWHERE:
        return [min(channels, key=lambda channel: channel.segment_count)]
    return [channel for channel in channels if channel.slug != wanted.missing_in]


def walk(channels: Sequence[Channel], wanted: Wanted, at: Cursor, count: int) -> tuple[list[Row], Place | None]:
    """Return the next `count` wanted rows from the cursor on, and up to where was looked; None if that is all."""
    led_by = channels[:1] if wanted.show == EVERYWHERE else _enough(channels, wanted)
    found: list[Row] = []
    place: Place | None = at.place or None
    for number in (2 * count, LOOKED):
        parts = [IN_ORDER.after(channel.segments.all(), list(place or ()), at.backwards)[:number] for channel in led_by]
        origins, rows = _read(parts, channels)
        horizon = _horizon(origins, number, at.backwards)
        within = [row for row in rows if horizon is None or not _is_beyond(row.leader.place, horizon, at.backwards)]
        kept = [row for row in within if wanted.matches(row) and row.is_shown(wanted.show)]
        found += _from(kept, Cursor(0, place or (), at.backwards), count - len(found))
        place = horizon
        if horizon is None or len(found) == count:
            break
    return found, place


def _horizon(origins: Iterable[Found], number: int, backwards: bool) -> Place | None:
    """Up to where all channels were read: the nearest end of those that may have more; None if none has."""
    by_channel: dict[int, list[Place]] = {}
    for found in origins:
        by_channel.setdefault(found.channel_id, []).append(found.place)
    full = [places for places in by_channel.values() if len(places) == number]
    if not full:
        return None
    return max(map(min, full)) if backwards else min(map(max, full))


def _read(parts: Iterable[SegmentQuerySet], channels: Sequence[Channel]) -> tuple[list[Found], list[Row]]:
    """Return the segments of `parts`, and the rows that they belong to, in one query."""
    inner, parameters = union_all(part.values_list("id", "identity_key") for part in parts)
    if not inner:
        return [], []
    where = OF_IDENTITY.format(channels=", ".join(["%s"] * len(channels)))
    sql = WITH_THEIR_LIKE.format(columns=COLUMNS, found=inner, where=where)
    with connection.cursor() as cursor:
        cursor.execute(sql, [*parameters, *(channel.pk for channel in channels)])
        return _rows(cursor.fetchall(), channels)


def _rows(
    records: Iterable[tuple[int, int, int, bytes, str, str, str, str, bool, str, str]], channels: Sequence[Channel]
) -> tuple[list[Found], list[Row]]:
    order = {channel.pk: number for number, channel in enumerate(channels)}
    origins: list[Found] = []
    seen: set[int] = set()
    together: dict[bytes, list[Found]] = {}
    for origin, pk, channel, key, name, name_key, segment_id, id_key, active, source, kind in records:
        found = Found(pk, channel, bytes(key), name, name_key, segment_id, id_key, bool(active), source, kind)
        if origin == pk:
            origins.append(found)
        if pk not in seen:
            seen.add(pk)
            together.setdefault(found.identity_key, []).append(found)
    rows = [
        Row(sorted(segments, key=lambda found: order[found.channel_id]), channels) for segments in together.values()
    ]
    return origins, rows
