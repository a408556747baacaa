"""Which column or static value fills which field: a header in, a suggestion; rows in, SegmentValues out.

Columns are numbered from 1 and mapped by number, as headers may be equal or empty (RULES.md
"Suggested mapping", "Structure"). Must not know: Django, files, channels.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from imports.fields import PEOPLE_HEADERS, SEGMENT_FIELDS, Field
from imports.reader import Row, last_filled
from segments.values import AT_ENDS, Refused, RowError, SegmentValues, clean

BY_HEADER = "header"  # reasons of a suggestion
BY_VALUES = "values"

ERROR_FILE_HEADERS = ["Line", "Error"]  # the first two columns of our own error file

SCIENTIFIC = re.compile(r"[0-9](?:[.,][0-9]+)?E\+[0-9]+")  # what Excel makes of a long number

LeftOut = Callable[[int, list[str], list[RowError]], None]


class Suggestion(NamedTuple):
    """A column for a field, and why: its header, or its header together with its values."""

    column: int
    reason: str


@dataclass(frozen=True)
class Mapping:
    """Where each field's text comes from: a column's number or a static value; in neither, it is unmapped."""

    columns: dict[str, int] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Mapping":
        """Return the mapping that `{field: {"column": n} | {"value": text} | {}}` describes."""
        return cls(
            {name: source["column"] for name, source in data.items() if "column" in source},
            {name: source["value"] for name, source in data.items() if "value" in source},
        )

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Return the form in which a mapping is stored, with every field in it."""
        return {f.name: self._source(f.name) for f in SEGMENT_FIELDS}

    def _source(self, name: str) -> dict[str, Any]:
        if name in self.columns:
            return {"column": self.columns[name]}
        return {"value": self.values[name]} if name in self.values else {}

    @property
    def is_label(self) -> bool:
        """Whether the Segment ID is a static value: a label, which never identifies (RULES.md "Matching")."""
        return bool(self.values.get("segment_id", "").strip(AT_ENDS))

    def errors(self, width: int) -> list[RowError]:
        """Return what is wrong with the mapping itself, for a file of `width` columns."""
        found = []
        for f in SEGMENT_FIELDS:
            column = self.columns.get(f.name)
            if column is not None and not 1 <= column <= width:
                found.append(RowError(f.name, "no_such_column", f"The file has no column {column}.", str(column)))
            elif f.required and column is None and not self.values.get(f.name, "").strip(AT_ENDS):
                message = f"Say which column holds the {f.label.lower()}, or give one value for all rows."
                found.append(RowError(f.name, f"{f.name}_unmapped", message))
            elif f.name in self.values:
                found += _static_error(f, self.values[f.name])
        return found

    def clean_rows(self, rows: Iterable[Row], width: int, left_out: LeftOut) -> Iterator[tuple[int, SegmentValues]]:
        """Yield (line, values) of each good row; hand `left_out` the line, cells and errors of each other.

        `width` is the number of columns of the header. A row of fewer cells has blank ones at its end.
        """
        # Behind a row's cells come a blank, for what is unmapped, and the static values: one itemgetter serves all.
        extra = ["", *self.values.values()]
        places = {name: width + number for number, name in enumerate(self.values, 1)}
        places |= {name: column - 1 for name, column in self.columns.items()}
        pick = itemgetter(*(places.get(f.name, width) for f in SEGMENT_FIELDS))
        for line, cells in rows:
            if len(cells) == width:
                values = clean(*pick(cells + extra))
            elif len(cells) < width:
                values = clean(*pick(cells + [""] * (width - len(cells)) + extra))
            elif last_filled(cells) <= width:
                values = clean(*pick(cells[:width] + extra))
            else:
                values = [too_many_cells(cells, width)]
            if type(values) is SegmentValues:
                yield line, values
            else:
                left_out(line, cells, values)  # type: ignore[arg-type]  # mypy does not narrow by type()

    def texts(self, cells: list[str]) -> dict[str, str]:
        """Return the text of each field in one row, as it was read and trimmed."""
        found = {name: cells[column - 1] if column <= len(cells) else "" for name, column in self.columns.items()}
        return {f.name: (found | self.values).get(f.name, "").strip(AT_ENDS) for f in SEGMENT_FIELDS}


def _static_error(f: Field, value: str) -> list[RowError]:
    try:
        f.clean(value)
    except Refused as refused:
        return [RowError(f.name, refused.code, refused.message, value)]
    return []


def too_many_cells(cells: list[str], width: int) -> RowError:
    """Return the error of a row with something beyond the last column: a delimiter has shifted it."""
    return RowError(
        "",
        "too_many_cells",
        f"The row has {last_filled(cells)} cells and the header {width}. "
        'Put a value that has a delimiter in it between quotes (").',
        " ".join(cells[width:]).strip(AT_ENDS),
    )


def suggest(header: Sequence[str], sample: Iterable[Row] = ()) -> dict[str, Suggestion]:
    """Return the suggested column of each field that has one."""
    names = [_plain(text) for text in header]
    first = {name: number for number, name in reversed(list(enumerate(names, 1)))}
    if is_error_file(header):
        first = {name: number for name, number in first.items() if number > len(ERROR_FILE_HEADERS)}
    rows = list(sample)
    found = {}
    for f in SEGMENT_FIELDS:
        column = next((first[name] for name in f.headers if name in first), None)
        if column:
            found[f.name] = Suggestion(column, BY_HEADER)
            continue
        maybe = [first[name] for name in f.headers_if_clean if name in first]
        column = next((column for column in maybe if _all_clean(f, column, rows)), None)
        if column:
            found[f.name] = Suggestion(column, BY_VALUES)
    return found


class Doubtful(NamedTuple):
    """A column that is called like a field but was not suggested for it, as some of its values are none of its."""

    field: Field
    column: int
    value: str  # the first that it is not


def doubtful(header: Sequence[str], sample: Iterable[Row], mapping: Mapping) -> Iterator[Doubtful]:
    """Yield the columns that nobody matched and that hold values of a field beside others."""
    names = [_plain(text) for text in header]
    rows = list(sample)
    for f in SEGMENT_FIELDS:
        if f.name in mapping.columns or f.name in mapping.values:
            continue
        for column, name in enumerate(names, 1):
            if name in f.headers_if_clean and column not in mapping.columns.values():
                texts = [cells[column - 1].strip(AT_ENDS) for _line, cells in rows if column <= len(cells)]
                filled = [text for text in texts if text]
                bad = [text for text in filled if _static_error(f, text)]
                if bad and len(bad) < len(filled):
                    yield Doubtful(f, column, bad[0])


def _all_clean(f: Field, column: int, rows: list[Row]) -> bool:
    filled = 0
    for _line, cells in rows:
        text = cells[column - 1].strip(AT_ENDS) if column <= len(cells) else ""
        if text:
            filled += 1
            if _static_error(f, text):
                return False
    return filled > 0


def _plain(header: str) -> str:
    return " ".join(header.casefold().replace("_", " ").split())


def is_error_file(header: Sequence[str]) -> bool:
    """Whether this is our own error file come back: its Line and Error are no fields, but are counted."""
    return list(header[: len(ERROR_FILE_HEADERS)]) == ERROR_FILE_HEADERS


def looks_like_people(header: Sequence[str]) -> bool:
    """Whether the headers are those of people: two kinds of email, phone, first and last name."""
    return sum(any(_is_of(text, kind) for text in header) for kind in PEOPLE_HEADERS) >= 2


def is_of_people(header: str) -> bool:
    """Whether a column with this header is one that lists of people have."""
    return any(_is_of(header, kind) for kind in PEOPLE_HEADERS)


def _is_of(header: str, kind: set[str]) -> bool:
    return _plain(header).replace("-", " ") in kind


def looks_like_header(cells: Sequence[str]) -> bool:
    """Whether a row below the first is the header in truth: at least two of its cells are headers of fields."""
    return len(suggest(cells)) >= 2
