"""The top of an uploaded file, as people are shown it before anything is done with it.

Goes in: a stream, and how to read it where somebody has said so. Comes out: its columns with
examples, its first lines as they are read, a suggested mapping, or why it cannot be read. Must not
know: jobs, requests.
"""

import codecs
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import BinaryIO, NamedTuple

from imports import dialect
from imports.dialect import HEAD, Dialect
from imports.fields import Field
from imports.header import late_header, late_header_message
from imports.mapping import Suggestion, suggest
from imports.reader import Limits, Row, Table
from imports.shown import shown
from imports.unreadable import UnreadableFile
from segments.values import AT_ENDS, Refused

EXAMPLES = 3
EXAMPLE_LENGTH = 60
RAW_LINES = 4
RAW_LENGTH = 500
FALLBACK = "utf-8"  # to show lines of a file whose encoding nobody knows

NOT_ASCII = re.compile(r"([^\x00-\x7f]+)")


class Example(NamedTuple):
    """A value of a column, and whether the field that it is meant for refuses it."""

    text: str
    bad: bool = False


@dataclass
class Column:
    """A column of the file: its number from 1, its header, and its values in the first rows."""

    number: int
    header: str
    values: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The header, or "Column 3" where it is empty."""
        return self.header or f"Column {self.number}"

    @cached_property
    def counts(self) -> Counter[str]:
        """How many of the first rows have which value; blank ones are left out."""
        return Counter(value for value in self.values if value)

    @property
    def filled(self) -> int:
        """The share of the first rows that are not blank, in percent."""
        return round(100 * self.counts.total() / len(self.values)) if self.values else 0

    def examples(self, field: Field | None = None) -> list[Example]:
        """Return the first different values; the last of them one that `field` refuses, if there is any."""
        first = [Example(text, bool(field) and _is_refused(field, text)) for text in islice(self.counts, EXAMPLES)]
        if field and not any(example.bad for example in first):
            bad = next(iter(self.refused_by(field)), None)
            if bad is not None:
                first = [*first[: EXAMPLES - 1], Example(bad, True)]
        return [Example(shown(example.text, EXAMPLE_LENGTH), example.bad) for example in first]

    def refused_by(self, field: Field) -> dict[str, int]:
        """Return the values that `field` refuses, each with the number of rows that have it."""
        return {text: rows for text, rows in self.counts.items() if _is_refused(field, text)}


def _is_refused(field: Field | None, text: str) -> bool:
    if field is None:
        return False
    try:
        field.clean(text)
    except Refused:
        return True
    return False


class Peek:
    """What the first rows of a file tell. `problem` says why there are none, if there are none.

    `late_header` is the line that holds the column names in truth, if it is not the first.
    """

    def __init__(self, stream: BinaryIO, limits: Limits, encoding: str = "", delimiter: str = "") -> None:
        """Read the top of `stream`; `encoding` and `delimiter` are taken as they are where given."""
        self.dialect = Dialect(encoding, delimiter)
        self.header: list[str] = []
        self.rows: list[Row] = []
        self.problem: UnreadableFile | None = None
        self.late_header: int | None = None
        try:
            self.dialect = dialect.detect(stream, encoding, delimiter)
            table = Table(stream, limits, self.dialect)
            self.header = table.header
            self.rows = table.sample()
            self.late_header = late_header(table, stream)
        except UnreadableFile as problem:
            self.problem = problem
        stream.seek(0)
        self._head = stream.read(HEAD)

    @cached_property
    def columns(self) -> list[Column]:
        """The columns of the header, with the values of the first rows."""
        columns = [Column(number, header) for number, header in enumerate(self.header, 1)]
        for _line, cells in self.rows:
            for column, cell in zip(columns, cells, strict=False):
                column.values.append(cell.strip(AT_ENDS))
            for column in columns[len(cells) :]:
                column.values.append("")
        return columns

    @cached_property
    def suggestions(self) -> dict[str, Suggestion]:
        """The suggested column of each field that has one."""
        return suggest(self.header, self.rows)

    @property
    def about_header(self) -> str:
        """What to do about column names that are not in the first line; "" if they are."""
        return late_header_message(self.late_header) if self.late_header else ""

    @property
    def raw_lines(self) -> list[list[tuple[str, bool]]]:
        """The first lines as they are read, in pieces: a piece is (text, whether it is other than plain English)."""
        name = self.dialect.encoding.replace("utf-8-bom", "utf-8") or FALLBACK
        text = codecs.getincrementaldecoder(name)(errors="replace").decode(self._head)
        first = islice((line.rstrip("\r\n") for line in dialect.lines(text)), RAW_LINES)
        return [
            [(piece, not piece.isascii()) for piece in NOT_ASCII.split(line[:RAW_LENGTH]) if piece] for line in first
        ]
