"""The rows of one file that have errors: put aside as they are met, to be told of afterwards.

Goes in: rows with their errors, in line order. Comes out: the same, again and again; they are in a
temporary file, so that a file of nothing but errors needs no more memory than a good one. Must not
know: databases, storage, what becomes of the rows.
"""

import json
from collections.abc import Iterator
from tempfile import TemporaryFile
from types import TracebackType
from typing import NamedTuple, Self

from segments.values import RowError


class ErrorRow(NamedTuple):
    """One row that is not imported: its cells as they were read, and why. `channel` None: in none of them."""

    line: int
    cells: list[str]
    errors: list[RowError]
    channel: int | None = None


class LeftOutRows:
    """A list of ErrorRow in a temporary file, gone at the end of the `with`. `rows` is how many there are."""

    def __init__(self) -> None:
        self.rows = 0
        self._file = TemporaryFile("w+", encoding="ascii", newline="\n")  # noqa: SIM115  # closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()

    def add(self, line: int, cells: list[str], errors: list[RowError]) -> None:
        """Put one row aside; lines come in order."""
        self.rows += 1
        self._file.write(json.dumps((line, cells, errors)))
        self._file.write("\n")

    def __iter__(self) -> Iterator[ErrorRow]:
        """Yield the rows in line order. One reading at a time, and none while rows are added."""
        self._file.seek(0)
        for text in self._file:
            line, cells, errors = json.loads(text)
            yield ErrorRow(line, cells, [RowError(*error) for error in errors])
