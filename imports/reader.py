"""A file's rows: a seekable stream of bytes in; a header, then (line, cells), out.

The rules are RULES.md "File", "Structure" and, for the ' in front of a formula's sign, "Going out
again". Memory is bounded, whatever the bytes; what cannot be read as a table raises UnreadableFile.
Must not know: Django, fields, values.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from imports import dialect
from imports.dialect import Dialect
from imports.faults import fault_in
from imports.lines import SIGNED, Lines
from imports.unreadable import UnreadableFile
from segments.values import AT_ENDS

SAMPLE = 1_000  # rows that a suggestion looks at
SAMPLE_SIZE = 1024 * 1024  # characters of them at most

Row = tuple[int, list[str]]

_NEVER = "\ud800"  # no decoder gives it: the delimiter of a file that has none
_MAY_BE_BLANK = frozenset(AT_ENDS) | {""}


@dataclass(frozen=True)
class Limits:
    """What a file may hold at most: data rows, columns, characters of a cell."""

    rows: int = 1_000_000
    columns: int = 500
    cell: int = 131_072


class Table:
    """One file read as a table.

    `header` is trimmed; an empty one stays "" (pages call it "Column N"). `header_line` is its
    physical line, as those of the rows are. `blank` is the number of blank records that the latest
    reading has passed, those above the header included.
    """

    def __init__(self, stream: BinaryIO, limits: Limits | None = None, how: Dialect | None = None) -> None:
        """Find out how to read `stream`, unless told `how`, and read its header.

        Raises UnreadableFile, also where there is no header or no row of data below it.
        """
        self.dialect = how or dialect.detect(stream)
        self.limits = limits or Limits()
        self.blank = 0
        self._stream = stream
        csv.field_size_limit(self.limits.cell)
        self.header_line, cells = next(self._records(), (0, []))
        if not self.header_line:
            raise UnreadableFile("empty_file", "There is nothing in the file. Export it again and upload that file.")
        if next(self.rows(), None) is None:
            raise UnreadableFile(
                "no_data_rows",
                "The file has column names and no rows below them. Export it again with its rows and upload that file.",
                self.header_line,
            )
        self.header = self._named(cells)

    def rows(self) -> Iterator[Row]:
        """Return the data rows that are not blank, each with the line where it begins; read anew on every call.

        Raises UnreadableFile where the file stops being a table, and for one row too many.
        """
        return islice(self._records(), 1, None)

    def sample(self) -> list[Row]:
        """Return the first rows: enough to judge the file by, few enough to keep."""
        rows, size = [], 0
        for row in islice(self.rows(), SAMPLE):
            size += sum(map(len, row[1]))
            if size > SAMPLE_SIZE:
                break
            rows.append(row)
        return rows

    def _named(self, cells: list[str]) -> list[str]:
        """Return the header in `cells`: single spaces, without the trailing columns that hold nothing at all."""
        # A header is a label, and no database stores a NUL.
        header = [" ".join(cell.strip(AT_ENDS).split()).replace("\0", "␀") for cell in cells]
        width = last_filled(header)
        if width < len(header):
            used = (last_filled(row) for _line, row in self.rows() if len(row) > width)
            width = min(len(header), max(used, default=width))
        if width > self.limits.columns:
            raise UnreadableFile(
                "too_many_columns",
                f"The file has {width:,} columns; {self.limits.columns:,} can be read. Remove what is not needed.",
                self.header_line,
            )
        return header[:width]

    def _records(self) -> Iterator[Row]:
        """Yield the records that are not blank, the header first, and count the others."""
        self.blank = 0
        lines = Lines(self._stream, self.dialect.encoding)
        source = iter(lines)
        above = len(list(islice(source, 1))) if self.dialect.sep_line else 0
        lines.record += above
        left = self.limits.rows + 1  # and the header
        delimiter = self.dialect.delimiter or _NEVER
        records = csv.reader(source, delimiter=delimiter, strict=True)
        following = lines.record
        try:
            for cells in records:
                line, following = following, records.line_num + above + 1
                lines.record = following
                if lines.signed:
                    cells = [cell[1:] if cell.startswith("'") and SIGNED.match(cell) else cell for cell in cells]
                if not cells or (cells[0][:1] in _MAY_BE_BLANK and not last_filled(cells)):
                    self.blank += 1
                    if self.blank <= self.limits.rows:
                        continue
                elif left:
                    left -= 1
                    yield line, cells
                    continue
                raise too_many_rows(line, self.limits.rows)
        except csv.Error:
            lines.cut = lines.cut or lines.record
        if lines.cut:
            again = Lines(self._stream, self.dialect.encoding)
            raise fault_in(again, lines.cut, delimiter, self.limits.cell)


def last_filled(cells: list[str]) -> int:
    """Return how many of `cells` there are up to the last that is not blank."""
    for number in range(len(cells), 0, -1):
        if cells[number - 1].strip(AT_ENDS):
            return number
    return 0


def too_many_rows(line: int, limit: int) -> UnreadableFile:
    """The refusal of a file with a row beyond the limit."""
    return UnreadableFile(
        "too_many_rows",
        f"The file has more than {limit:,} rows. Split it into smaller files and upload them one by one.",
        line,
    )
