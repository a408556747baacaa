"""Where the column names of a file are, if they are not in its first line.

Goes in: a table that was opened, its stream. Comes out: a line. Must not know: jobs, requests.
"""

from itertools import islice
from typing import BinaryIO

from imports import dialect
from imports.mapping import looks_like_header, suggest
from imports.reader import Table
from imports.unreadable import UnreadableFile

WITHIN = 20  # rows in which they are looked for


def late_header(table: Table, stream: BinaryIO) -> int | None:
    """Return the line below the first record that holds the column names in truth, whatever its delimiter."""
    if suggest(table.header):
        return None
    for delimiter in dialect.DELIMITERS:
        try:
            how = table.dialect._replace(delimiter=delimiter)
            other = table if how == table.dialect else Table(stream, table.limits, how)
            for line, cells in islice(other.rows(), WITHIN):
                if looks_like_header(cells):
                    return line
        except UnreadableFile:
            continue
    return None


def late_header_message(line: int) -> str:
    """Say that they are in `line`, and what to do."""
    return f"The column names seem to be in line {line:,}. Delete the lines above it and try again."
