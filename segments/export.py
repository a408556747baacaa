"""Segments as a CSV file that a spreadsheet cannot be tricked by, and that imports again without a change.

Goes in: a QuerySet. Comes out: text in pieces, however many segments there are. RULES.md "Going out again" is the
source of the rules. Must not know: requests, files.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import chain
from typing import IO, Any

from segments.queries import SegmentQuerySet

HEADER = ("Segment name", "Segment ID", "Link", "Active status")
BOM = "\ufeff"
SEPARATORS = ",;\t|"
_BATCH = 2_000
_FORMULA = re.compile("'*[=+\\-@\t\r\n\x00＝＋－＠]")  # noqa: RUF001  # the full-width signs are meant


def formula_safe(cell: str) -> str:
    """Return `cell` so that no spreadsheet runs it: any `'`s and a sign that starts a formula get one more `'`."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


class RowWriter:
    """Writes rows of a CSV file; its cells are formula_safe already.

    Another spreadsheet may split at another separator than the file's: where a cell holds one, or a line break, its row
    is quoted whole, so that what stands behind it begins no cell.
    """

    def __init__(self, to: IO[str], delimiter: str = ",") -> None:
        self._others = re.compile(f"[{SEPARATORS.replace(delimiter, '')}\r\n]")
        self._plain, self._quoted = (
            csv.writer(to, delimiter=delimiter, lineterminator="\r\n", quoting=quoting)
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
        )

    def write(self, row: Iterable[str]) -> None:
        """Write a row."""
        cells = list(row)
        (self._quoted if any(map(self._others.search, cells)) else self._plain).writerow(cells)


def csv_pieces(segments: SegmentQuerySet) -> Iterator[str]:
    """The file, a few thousand rows at a time, in name order; segments whose ID is a label come last.

    They do so because a row finds a segment by its ID first: then the labels meet what is left.
    """
    return csv_of(HEADER, chain.from_iterable(_rows(segments.labelled(labelled)) for labelled in (False, True)))


def csv_of(header: Iterable[str], rows: Iterable[list[str]]) -> Iterator[str]:
    """A CSV file as spreadsheets read it best, a few thousand rows at a time; the cells are formula_safe already."""
    buffer = StringIO(newline="")
    writer = RowWriter(buffer)
    buffer.write(BOM)
    writer.write(header)
    for number, row in enumerate(rows, start=1):
        writer.write(row)
        if number % _BATCH == 0:
            yield _take(buffer)
    yield _take(buffer)


def _rows(segments: SegmentQuerySet) -> Iterator[list[str]]:
    values: Any = segments.order_by("name_key", "id").values_list("name", "segment_id", "link", "active")
    for *texts, active in values.iterator(chunk_size=_BATCH):
        yield [*map(formula_safe, texts), "Active" if active else "Inactive"]


def _take(buffer: StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
