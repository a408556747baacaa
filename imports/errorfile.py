"""The rows with errors as a CSV file, to be mended and uploaded again: RULES.md "Going out again".

Goes in: a header, rows as they were read, in line order, and what separated their cells. Comes out: `errors.csv` of the
job in storage, separated likewise, or none if no row has an error. Line and Error are the first two columns, so that
rows with too many cells stay aligned. Must not know: databases.
"""

import io
from collections.abc import Iterable
from tempfile import TemporaryFile

from imports import stored
from imports.fields import SEGMENT_FIELDS
from imports.leftout import ErrorRow
from imports.mapping import ERROR_FILE_HEADERS, is_error_file
from imports.models import ImportJob
from segments.export import RowWriter, formula_safe
from segments.values import RowError

NAME = "errors.csv"
LABELS = {field.name: field.label for field in SEGMENT_FIELDS}


def write(job: ImportJob, header: list[str], rows: Iterable[ErrorRow], delimiter: str) -> None:
    """Store the job's error file; what an error file that came back said of line and error is replaced."""
    first = len(ERROR_FILE_HEADERS) if is_error_file(header) else 0
    with TemporaryFile() as content:
        text = io.TextIOWrapper(content, encoding="utf-8-sig", newline="", write_through=True)
        writer = RowWriter(text, delimiter or ",")
        writer.write([*ERROR_FILE_HEADERS, *map(formula_safe, header[first:])])
        written = 0
        for row in rows:
            written += 1
            writer.write([str(row.line), in_words(row.errors), *map(formula_safe, row.cells[first:])])
        text.flush()
        if written:
            stored.replace(job, NAME, content)
        else:
            stored.remove(job, NAME)
        text.detach()


def in_words(errors: Iterable[RowError]) -> str:
    """Return the errors of one row as text: the field and what to do, one after the other."""
    return " ".join(f"{LABELS[e.field]}: {e.message}" if e.field else e.message for e in errors)
