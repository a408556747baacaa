"""Pages of segments across channels, and all of them for a file.

Goes in: channels, what is wanted, a sort, a cursor. Comes out: a Page with the cursors of its neighbours, or rows one
after another. Must not know: requests, databases. As segments.pages, but that a page may end before it is full.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from channels.models import Channel
from segments import pages
from segments.across.rows import Rows
from segments.across.rules import Place, Row, Run, Wanted, sorts
from segments.export import formula_safe
from segments.pages import Cursor

BATCH = 1_000  # rows of a file that are read at once

Mark = tuple[int, Place]  # the number of a run, and a place in it


@dataclass(frozen=True)
class Page(pages.Page[Row]):
    """A page as any, and more.

    `counts` are the numbers of rows by what is shown, as far as they are known. `looked`: there may be more rows, but
    only so many segments were looked at.
    """

    counts: dict[str, int] = field(default_factory=dict)
    looked: bool = False


def page_of(channels: Sequence[Channel], wanted: Wanted, sort: str, cursor: str, size: int) -> Page:
    """Return the page of rows that `cursor` names, at most `size` long; the first if it names none."""
    runs = sorts(channels)[sort].runs
    return _page(Rows(channels, wanted), runs, sort, Cursor.read(cursor, _made_for(sort)), size)


def _page(rows: Rows, runs: Sequence[Run], sort: str, at: Cursor, size: int) -> Page:
    found, edge = _walk(rows, runs, at, size + 1)
    more = len(found) > size
    found = found[:size]
    if at.backwards and not more and edge is None and len(found) < size:
        return _page(rows, runs, sort, Cursor(), size)  # rows before it are gone: a short first page helps nobody
    looked = not more and edge is not None
    marks = [(number, runs[number].place(row, rows.wanted)) for number, row in found]
    edge = marks[-1] if more else edge  # where the next page in this direction begins
    if at.backwards:
        found.reverse()
        marks.reverse()
    start = 0 if at.backwards and edge is None else at.start
    first, last = (marks[0], marks[-1]) if marks else (_behind(at, runs), edge)
    before, after = (edge, last) if at.backwards else (first if at.place else None, edge)
    return Page(
        [row for _, row in found],
        start,
        _cursor(sort, before, True, max(0, start - size)),
        _cursor(sort, after, False, start + len(found)),
        rows.counts(),
        looked,
    )


def _walk(rows: Rows, runs: Sequence[Run], at: Cursor, count: int) -> tuple[list[tuple[int, Row]], Mark | None]:
    """Return up to `count` rows from the cursor on, each with the number of its run, and up to where was looked."""
    found: list[tuple[int, Row]] = []
    for number in range(at.run, -1, -1) if at.backwards else range(at.run, len(runs)):
        if not runs[number].may_hold(rows.wanted):
            continue
        place = at.place if number == at.run and at.place else None
        some, horizon = rows.next(runs[number], place, at.backwards, count - len(found))
        found += [(number, row) for row in some]
        if len(found) == count or horizon is not None:
            return found, (number, horizon) if horizon is not None else None
    return found, None


def _behind(at: Cursor, runs: Sequence[Run]) -> Mark | None:
    """The place right behind that of the cursor: what comes before it begins with what stands there."""
    step = -1 if runs[at.run].descending else 1
    return (at.run, (at.place[0], at.place[1] + step)) if at.place else None


def _cursor(sort: str, mark: Mark | None, backwards: bool, start: int) -> str:
    return Cursor(*mark, backwards, start).text(_made_for(sort)) if mark else ""


def _made_for(sort: str) -> str:
    return f"across {sort}"


def csv_rows(channels: Sequence[Channel], wanted: Wanted, sort: str) -> Iterator[list[str]]:
    """All rows that are wanted, as the cells of a file: name, segment ID, and the status in each channel.

    Read part by part, as they are by then: what somebody changes meanwhile may be found twice, or not at all.
    """
    rows = Rows(channels, wanted)
    for run in sorts(channels)[sort].runs:
        place: Place | None = None
        while run.may_hold(wanted):
            found, horizon = rows.next(run, place, False, BATCH)
            yield from map(_cells, found)
            if len(found) < BATCH and horizon is None:
                break
            place = run.place(found[-1], wanted) if len(found) == BATCH else horizon


def _cells(row: Row) -> list[str]:
    statuses = ["" if found is None else "Active" if found.active else "Inactive" for _, found in row.cells]
    return [formula_safe(row.leader.name), formula_safe(row.leader.segment_id), *statuses]
