"""What an import will do, row by row, in a file: written once, in line order, and read page by page.

Goes in: planned rows and rows with errors of one channel. Comes out: any page of any kind of row,
without reading the rest. Memory is bounded, however many rows there are. Must not know: how rows are
planned, what a page looks like.

The file is one line a row, a letter for its outcome and JSON; behind them the index, JSON too; at
the end the index's position in 20 digits. For each kind of row the index has entries (rows of the
kind so far, position): its first row, and each that is SPAN bytes or more behind the latest entry.
So there is little to read between two entries, and what has no such rows is jumped over.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple

from imports import stored
from imports.leftout import ErrorRow
from imports.mapping import Mapping
from imports.models import ImportJob
from imports.shown import shown
from segments.changes import PlannedRow
from segments.values import RowError

SPAN = 64 * 1024
TAIL = 20

OUTCOMES = {"created": b"c", "updated": b"u", "unchanged": b"=", "skipped": b"s", "error": b"e"}
NAMES = {letter: outcome for outcome, letter in OUTCOMES.items()}
# What a page can show: the letters of the rows that belong to each kind.
KINDS = {
    "all": b"cu=se",
    "ready": b"cu=",
    "created": b"c",
    "updated": b"u",
    "unchanged": b"=",
    "skipped": b"s",
    "errors": b"e",
}
_KINDS_OF = {letter: [kind for kind, letters in KINDS.items() if letter in letters] for letter in OUTCOMES.values()}


class Texts(NamedTuple):
    """Values to show. `active` is the text of the cell where the row has errors; None: as it is, or Active if new."""

    name: str
    segment_id: str
    link: str
    active: bool | str | None


class PlanLine(NamedTuple):
    """One row: what becomes of it, why (`code`, `errors`), the segment before (None: there is none) and after.

    `of_line` is the line that a double repeats. Texts of a row with errors are those of the file,
    cut to 200 characters, passwords masked.
    """

    line: int
    outcome: str  # created, updated, unchanged, skipped, error
    code: str
    of_line: int | None
    before: Texts | None
    after: Texts
    errors: list[RowError]


def name_of(channel: int) -> str:
    """Return the name of the file for the channel with that primary key."""
    return f"plan-{channel}.jsonl"


def write(
    job: ImportJob, channel: int, planned: Iterable[PlannedRow], errors: Iterable[ErrorRow], mapping: Mapping
) -> None:
    """Store the plan for one channel; both go in and come out in line order."""
    with TemporaryFile() as content:
        index, position = _Index(), 0
        for letter, row in _merged(planned, errors, mapping):
            index.note(letter, position)
            position += content.write(letter + json.dumps(row, separators=(",", ":")).encode() + b"\n")
        content.write(json.dumps(index.entries).encode())
        content.write(b"\n%0*d" % (TAIL, position))
        stored.replace(job, name_of(channel), content)


def page(job: ImportJob, channel: int, kind: str = "all", offset: int = 0, limit: int = 50) -> list[PlanLine]:
    """Return up to `limit` rows of `kind` (see KINDS), from the `offset`-th on; none if there is no such file."""
    try:
        content = stored.open_stored(stored.name_of(job, name_of(channel)))
    except FileNotFoundError:
        return []
    with content:
        return [_plan_line(text) for text in _lines(content, kind, offset, limit)]


class _Index:
    """Where rows are: see the module."""

    def __init__(self) -> None:
        self.entries: dict[str, list[tuple[int, int]]] = {kind: [] for kind in KINDS}
        self._rows = dict.fromkeys(KINDS, 0)
        self._from = dict.fromkeys(KINDS, 0)  # where the next entry of each kind is due

    def note(self, letter: bytes, position: int) -> None:
        """Take in the next row: its letter, and where it begins."""
        for kind in _KINDS_OF[letter]:
            if position >= self._from[kind]:
                self.entries[kind].append((self._rows[kind], position))
                self._from[kind] = position + SPAN
            self._rows[kind] += 1


def _lines(content: BinaryIO, kind: str, offset: int, limit: int) -> Iterator[bytes]:
    entries = _entries(content, kind)
    letters = KINDS[kind]
    at = bisect_right(entries, offset, key=lambda entry: entry[0]) - 1
    if at < 0:
        return
    rows, position = entries[at]
    content.seek(position)
    while rows < offset + limit:
        if at + 1 < len(entries) and rows == entries[at + 1][0]:
            at += 1
            content.seek(entries[at][1])
        text = content.readline()
        if not text.startswith(tuple(OUTCOMES.values())):
            return  # the index: there are no more rows
        if text[0] in letters:
            if rows >= offset:
                yield text
            rows += 1


def _entries(content: BinaryIO, kind: str) -> list[tuple[int, int]]:
    end = content.seek(0, 2)
    content.seek(end - TAIL)
    content.seek(int(content.read(TAIL)))
    entries: list[tuple[int, int]] = json.loads(content.readline())[kind]
    return entries


def _merged(
    planned: Iterable[PlannedRow], errors: Iterable[ErrorRow], mapping: Mapping
) -> Iterator[tuple[bytes, tuple[object, ...]]]:
    """Yield letter and content of every row, in line order."""
    left_out = iter(errors)
    next_error = next(left_out, None)
    for line, outcome, code, of_line, _target, before, after in planned:
        while next_error and next_error.line < line:
            yield b"e", _of_error(next_error, mapping)
            next_error = next(left_out, None)
        if outcome != "error":  # else it is among the errors
            yield OUTCOMES[outcome], (line, code, of_line, before, after, ())
    while next_error:
        yield b"e", _of_error(next_error, mapping)
        next_error = next(left_out, None)


def _of_error(row: ErrorRow, mapping: Mapping) -> tuple[object, ...]:
    texts = [shown(text) for text in mapping.texts(row.cells).values()]
    errors = [error._replace(value=shown(error.value)) for error in row.errors]
    return row.line, row.errors[0].code, None, None, texts, errors


def _plan_line(text: bytes) -> PlanLine:
    line, code, of_line, before, after, errors = json.loads(text[1:])
    return PlanLine(
        line,
        NAMES[text[:1]],
        code,
        of_line,
        before and Texts(*before),
        Texts(*after),
        [RowError(*error) for error in errors],
    )
