"""Pages of segments that stay quick at a million rows.

Goes in: segments, a sort and a cursor (text out of the address). Comes out: a Page, with the cursors of
its neighbours. A page starts behind a row, not at a number: `(name_key, id) > (…)` is one index look-up where OFFSET
reads everything before it. Must not know: requests, templates, channels.

A sort is a row of runs, each in the order of one index: "Active first" is the active ones by name, then the
inactive ones by name. So sorting by a column of few values needs no index of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from django.core import signing
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Lookup, Q
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from django.db.models.lookups import GreaterThan, LessThan
from django.db.models.sql.compiler import SQLCompiler

from segments.models import Segment, Source
from segments.queries import SegmentQuerySet, of_source

BY_NAME = ("name_key", "id")
BY_ID = ("id_key", "id")
BY_UPDATE = ("updated_at", "id")

SIZES = (25, 50, 100)
_SALT = "segments.pages"


class RowGreaterThan(TupleGreaterThan):
    """`(a, b) > (x, y)` on SQLite too, where Django would write it with OR, which no index serves."""

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        """The comparison of rows, which SQLite has had since 3.15."""
        return GreaterThan.as_sql(self, compiler, connection)


class RowLessThan(TupleLessThan):
    """`(a, b) < (x, y)` on SQLite too."""

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        """The comparison of rows, which SQLite has had since 3.15."""
        return LessThan.as_sql(self, compiler, connection)


@dataclass(frozen=True)
class Run:
    """Rows that follow each other in the order of one index; the last column of `key` is unique."""

    key: tuple[str, ...]
    where: Q = Q()  # noqa: RUF009  # a Q is not changed by filtering with it
    descending: bool = False

    def after(self, rows: SegmentQuerySet, place: list[Any], backwards: bool) -> SegmentQuerySet:
        """Those of `rows` that come after `place` (values of `key`); all if it is empty; or before it, backwards."""
        falling = self.descending != backwards
        rows = rows.filter(self.where).order_by(*(f"-{column}" if falling else column for column in self.key))
        return rows.filter(self.beyond(place, backwards)) if place else rows

    def beyond(self, place: Sequence[Any], backwards: bool) -> "Lookup[Any]":
        """The condition that a row comes after `place`; or before it, backwards."""
        comparison = RowLessThan if self.descending != backwards else RowGreaterThan
        return comparison(Tuple(*map(F, self.key)), list(place))

    def place(self, row: Segment) -> list[Any]:
        """The values of `key` in `row`, as JSON takes them."""
        found = [getattr(row, column) for column in self.key]
        return [value.isoformat() if isinstance(value, datetime) else value for value in found]


@dataclass(frozen=True)
class Sort:
    """An order to list segments in, and what "Sort by" calls it."""

    label: str
    runs: tuple[Run, ...]


def _one_after_another(*conditions: Q) -> tuple[Run, ...]:
    return tuple(Run(BY_NAME, where) for where in conditions)


_WITH_ID, _WITHOUT_ID = Q(id_key__gt=""), Run(BY_NAME, Q(id_key=""))
_SOURCES = [of_source(source) for source in (Source.CSV, Source.KLAVIYO, Source.MANUAL)]

SORTS = {
    "name": Sort("Segment name, A to Z", (Run(BY_NAME),)),
    "-name": Sort("Segment name, Z to A", (Run(BY_NAME, descending=True),)),
    "-updated": Sort("Newest change first", (Run(BY_UPDATE, descending=True),)),
    "updated": Sort("Oldest change first", (Run(BY_UPDATE),)),
    "status": Sort("Active first", _one_after_another(Q(active=True), Q(active=False))),
    "-status": Sort("Inactive first", _one_after_another(Q(active=False), Q(active=True))),
    "segment_id": Sort("Segment ID, A to Z", (Run(BY_ID, _WITH_ID), _WITHOUT_ID)),
    "-segment_id": Sort("Segment ID, Z to A", (Run(BY_ID, _WITH_ID, descending=True), _WITHOUT_ID)),
    "source": Sort("Source, A to Z", _one_after_another(*_SOURCES)),
    "-source": Sort("Source, Z to A", _one_after_another(*reversed(_SOURCES))),
}


@dataclass(frozen=True)
class Cursor:
    """Where a page begins: behind (or, backwards, before) a place in a run. `start` is its first row's number."""

    run: int = 0
    place: tuple[Any, ...] = ()
    backwards: bool = False
    start: int = 0

    def text(self, sort: str) -> str:
        """The cursor for an address, signed: what comes back is what was sent."""
        value = [sort, self.run, list(self.place), self.backwards, self.start]
        return signing.dumps(value, salt=_SALT, compress=True)

    @classmethod
    def read(cls, text: str, sort: str) -> "Cursor":
        """The cursor in `text`, or the beginning if it is of another sort or not ours."""
        try:
            made_for, run, place, backwards, start = signing.loads(text, salt=_SALT)
        except signing.BadSignature:
            return cls()
        return cls(run, tuple(place), backwards, start) if made_for == sort else cls()


Shown = TypeVar("Shown")


@dataclass(frozen=True)
class Page(Generic[Shown]):
    """Rows, the number of the first one (from 0), and the cursors of the pages around it ("" if there is none)."""

    rows: list[Shown]
    start: int
    previous: str
    next: str

    @property
    def first(self) -> int:
        """The number of the first row, from 1."""
        return self.start + 1

    @property
    def end(self) -> int:
        """The number of the last row, from 1."""
        return self.start + len(self.rows)

    @property
    def is_all(self) -> bool:
        """Whether nothing comes before or after it."""
        return not (self.previous or self.next)


class Rows(Protocol):
    """What pages are made of: a QuerySet, or a search that knows shorter ways."""

    def following(self, run: Run, place: list[Any], backwards: bool, count: int) -> list[Segment]:
        """Return the next `count` of them in the order of `run`, as Run.after() has it."""


def page_of(rows: Rows, sort: str, cursor: str, size: int) -> Page[Segment]:
    """Return the page of `rows` that `cursor` names, at most `size` long; the first if it names none."""
    at = Cursor.read(cursor, sort)
    found = list(_walk(rows, sort, at, size + 1))
    more = len(found) > size
    found = found[:size]
    if at.place and not found and not at.backwards:  # all that stood there is gone, or matches no more
        back = Cursor(at.run, _behind(at, sort), True, max(0, at.start - size))
        return replace(page_of(rows, sort, back.text(sort), size), next="")
    if at.backwards:
        if not more and len(found) < size:  # rows before it were deleted: a short first page helps nobody
            return page_of(rows, sort, "", size)
        found.reverse()
    start = 0 if at.backwards and not more else at.start
    before, after = (more, True) if at.backwards else (bool(at.place), more)
    previous = cursor_before(sort, found[0][1], found[0][0], max(0, start - size)) if before and found else ""
    following = cursor_after(sort, found[-1][1], found[-1][0], start + len(found)) if after and found else ""
    return Page([row for _, row in found], start, previous, following)


def _walk(rows: Rows, sort: str, at: Cursor, count: int) -> Iterator[tuple[int, Segment]]:
    """Up to `count` rows from the cursor on, each with the number of its run; one query per run that is needed."""
    runs = SORTS[sort].runs
    numbers = range(at.run, -1, -1) if at.backwards else range(at.run, len(runs))
    for number in numbers:
        run = runs[number]
        place = list(at.place) if number == at.run else []
        part = rows.following(run, place, at.backwards, count)
        yield from ((number, row) for row in part)
        count -= len(part)
        if not count:
            return


def _behind(at: Cursor, sort: str) -> tuple[Any, ...]:
    """The place right behind that of the cursor: what comes before it begins with what stands there."""
    *values, last = at.place
    return (*values, last - 1 if SORTS[sort].runs[at.run].descending else last + 1)


def cursor_after(sort: str, row: Segment, run: int = 0, start: int = 0) -> str:
    """The cursor of the page that begins behind `row`, which is of the run of that number in `sort`."""
    return Cursor(run, tuple(SORTS[sort].runs[run].place(row)), False, start).text(sort)


def cursor_before(sort: str, row: Segment, run: int = 0, start: int = 0) -> str:
    """The cursor of the page that ends before `row`."""
    return Cursor(run, tuple(SORTS[sort].runs[run].place(row)), True, start).text(sort)
