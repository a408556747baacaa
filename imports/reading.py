"""A job's file, read, cleaned and staged: what a check and an import have in common.

Goes in: a job. Comes out: a Reading: the good rows staged for segments.changes, the others put aside,
and what there is to say of the file. Raises JobError where the file or the mapping is not good for
that. Must not know: what becomes of the rows.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from heapq import merge
from typing import Any, BinaryIO

from channels.models import Channel
from imports import dialect, header
from imports.dialect import ENCODINGS, FOUND
from imports.leftout import ErrorRow, LeftOutRows
from imports.mapping import SCIENTIFIC, Mapping, doubtful, looks_like_people, suggest
from imports.matching import limits
from imports.models import ImportJob
from imports.reader import Row as FileRow
from imports.reader import Table
from imports.shown import shown
from imports.stored import open_stored
from imports.unreadable import UnreadableFile
from jobs.models import JobError
from segments import changes
from segments.changes import Counts, Plan, Staged
from segments.values import RowError, SegmentValues

Row = tuple[int, SegmentValues]
VALUE_LENGTH = 40  # of a value that a warning names


@dataclass
class Reading:
    """One file that has been read and staged, and what was noticed on the way."""

    table: Table
    mapping: Mapping
    left_out: LeftOutRows
    staged: Staged
    warnings: list[dict[str, str]]
    blank: int
    ambiguous: dict[int, list[int]] = field(default_factory=dict)  # lines, by the channel's primary key

    @property
    def rows(self) -> int:
        """How many rows the file has, blank ones included: what the counts of each channel add up to."""
        return self.staged.rows + self.staged.twice + self.left_out.rows + self.blank

    def counts(self, planned: Counts) -> Counts:
        """Return the counts of one channel with the rows that were never staged."""
        return planned._replace(errors=planned.errors + self.left_out.rows)

    def facts(self) -> dict[str, Any]:
        """Return what the job's row says of the file."""
        return {
            **facts_of(self.table),
            "rows": self.rows,
            "blank": self.blank,
            "warnings": self.warnings,
            "progress": self.rows,
            "total": self.rows,
            "error_line": None,
        }

    def note_ambiguous(self, channel: Channel, plan: Plan) -> None:
        """Remember the rows of which only the channel's segments tell that they are errors."""
        if plan.counts.errors:
            self.ambiguous[channel.pk] = [row.line for row in plan.left_out() if row.outcome == "error"]

    def error_rows(self, channel: int | None = None) -> Iterator[ErrorRow]:
        """Yield every row with errors, in `channel` or in any, in line order."""
        rows: Iterator[ErrorRow] = iter(self.left_out)
        if self.ambiguous:
            rows = merge(rows, self._ambiguous_rows(), key=lambda row: row.line)
        return (row for row in rows if channel is None or row.channel in (None, channel))

    def _ambiguous_rows(self) -> Iterator[ErrorRow]:
        """Read the file again for the cells of those rows."""
        waiting = {channel: iter(lines) for channel, lines in self.ambiguous.items()}
        following = {channel: next(lines, None) for channel, lines in waiting.items()}
        for line, cells in self.table.rows():
            for channel, lines in waiting.items():
                if following[channel] == line:
                    following[channel] = next(lines, None)
                    yield ErrorRow(line, cells, [_ambiguous(self.mapping.texts(cells)["name"])], channel)


def _ambiguous(name: str) -> RowError:
    message = "Several segments have this name. Give the Segment ID of the one that is meant."
    return RowError("name", "ambiguous_match", message, name)


@contextmanager
def opened(job: ImportJob) -> Iterator[tuple[Table, BinaryIO]]:
    """Open the job's file as a table. Raises JobError if it is not there, was changed, or cannot be read."""
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(open_stored(job.file))
        except FileNotFoundError:
            raise JobError("file_missing", "The uploaded file is no longer there. Upload it again.") from None
        if hashlib.file_digest(stream, "sha256").hexdigest() != job.sha256:  # type: ignore[arg-type]  # it can readinto
            raise JobError("file_changed", "The stored file is not the one that was uploaded. Upload it again.")
        try:
            how = dialect.detect(stream, job.chosen_encoding, job.chosen_delimiter)
            yield Table(stream, limits(), how), stream
        except UnreadableFile as error:
            raise JobError(error.code, error.message, error.line) from error


@contextmanager
def staged_rows(job: ImportJob) -> Iterator[Reading]:
    """Read the job's file and stage its good rows."""
    mapping = Mapping.from_json(job.mapping)
    with opened(job) as (table, stream), LeftOutRows() as left_out:
        refuse_mapping(table, stream, mapping)
        sample = table.sample()
        notes = _Notes()
        good = notes.watching(mapping.clean_rows(table.rows(), len(table.header), left_out.add))
        beat = _beat_while_reading(job, stream, left_out)
        with changes.stage(good, label=mapping.is_label, on_batch=beat) as staged:
            warnings = [*_warnings_of(table), *_doubts(table, sample, mapping), *notes.warnings()]
            yield Reading(table, mapping, left_out, staged, warnings, table.blank)


def _beat_while_reading(job: ImportJob, stream: BinaryIO, left_out: LeftOutRows) -> Callable[[int], None]:
    """Return what tells how far the reading is; of how many rows is an estimate, unless a check has counted them."""

    def beat(staged: int) -> None:
        rows = staged + left_out.rows
        total = job.rows or round(rows * job.size / max(stream.tell(), 1))
        job.beat(rows, max(rows, total), "reading")

    return beat


def refuse_mapping(table: Table, stream: BinaryIO, mapping: Mapping) -> None:
    """Raise JobError if the rows of `table` cannot be read by `mapping`."""
    for error in mapping.errors(len(table.header)):
        if error.code != "name_unmapped":
            raise JobError(error.code, error.message)
        line = header.late_header(table, stream)
        if line:
            raise JobError("header_not_first_line", header.late_header_message(line), line)
        raise JobError(error.code, f"No column is called like a segment name. {error.message}", table.header_line)


class _Notes:
    """What good rows give reason to warn of."""

    def __init__(self) -> None:
        self.scientific = 0
        self.first = 0

    def watching(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield `rows` as they are, having looked at them."""
        for row in rows:
            if "E+" in row[1][1] and SCIENTIFIC.fullmatch(row[1][1]):
                self.scientific += 1
                self.first = self.first or row[0]
            yield row

    def warnings(self) -> Iterator[dict[str, str]]:
        """Yield what there is to say at the end."""
        if self.scientific:
            message = (
                f"{self.scientific:,} Segment IDs look like 1E+05, the first in line {self.first:,}: a spreadsheet has "
                "changed them. Format that column as text, put the IDs in again and upload the file again."
            )
            yield {"code": "id_scientific", "message": message}


def _warnings_of(table: Table) -> Iterator[dict[str, str]]:
    if table.dialect.guessed:
        name = ENCODINGS.get(table.dialect.encoding) or FOUND[table.dialect.encoding]
        message = f"The file does not say its encoding; it was read as {name}. Look whether é, ö or € are right."
        yield {"code": "encoding_guessed", "message": message}
    if looks_like_people(table.header):
        message = "The columns look like those of people. Access Audience keeps segments, never people."
        yield {"code": "looks_like_people", "message": message}


def _doubts(table: Table, sample: list[FileRow], mapping: Mapping) -> Iterator[dict[str, str]]:
    for doubt in doubtful(table.header, sample, mapping):
        header, value = table.header[doubt.column - 1], shown(doubt.value, VALUE_LENGTH)
        message = (
            f"The column “{header}” is not used: it holds “{value}”, which is neither active nor inactive, so every "
            f"new segment will be Active. To use it, match it with {doubt.field.label}; rows with other words are then "
            "left out and listed."
        )
        yield {"code": "status_not_matched", "message": message}


def facts_of(table: Table) -> dict[str, Any]:
    """Return what the job's row says of how the file is read and of its columns."""
    suggestion = suggest(table.header, table.sample())
    columns = {name: suggested.column for name, suggested in suggestion.items()}
    return {
        "encoding": table.dialect.encoding,
        "delimiter": table.dialect.delimiter,
        "header": table.header,
        "suggested_mapping": Mapping(columns).to_json(),
    }
