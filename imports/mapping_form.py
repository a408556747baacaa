"""The form of the mapping page, built from the declared fields.

Goes in: what was sent, or what the job says, and the top of the file. Comes out: a mapping as the
job stores it, and for each field what the page shows of it. Must not know: requests, responses.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from django import forms
from django.core.exceptions import ValidationError

from imports.dialect import DELIMITERS, ENCODINGS, FOUND
from imports.fields import SEGMENT_FIELDS, Field
from imports.mapping import BY_HEADER, Mapping
from imports.models import ImportJob
from imports.peek import EXAMPLE_LENGTH, Column, Example, Peek
from imports.shown import shown

COLUMN, VALUE, NONE = "column", "value", "none"
WORDS = 8  # unknown ones that are shown
SOURCES = ((COLUMN, "CSV column"), (VALUE, "Static value"), (NONE, "Leave unmapped"))


class Choice(NamedTuple):
    """One of the radio buttons or options of a field."""

    value: str
    label: str
    chosen: bool


class Row:
    """One field on the mapping page: where it may come from, what is chosen, and what that gives."""

    def __init__(self, form: "MappingForm", field: Field) -> None:
        self.field = field
        self._form = form
        self.source = form.text(f"{field.name}_from") or NONE
        number = form.text(f"{field.name}_column")
        self.value = form.text(f"{field.name}_value")
        self.number = int(number) if number.isdecimal() and len(number) < 6 else 0

    @property
    def sources(self) -> list[Choice]:
        """Where the field may come from."""
        return [Choice(value, label, value == self.source) for value, label in SOURCES]

    @property
    def columns(self) -> list[Choice]:
        """The columns of the file; those of equal headers are told apart by their numbers."""
        columns = self._form.peek.columns
        named = Counter(column.label for column in columns)
        return [
            Choice(
                str(c.number),
                f"{c.label} (column {c.number})" if named[c.label] > 1 else c.label,
                c.number == self.number,
            )
            for c in columns
        ]

    @property
    def choices(self) -> list[Choice]:
        """The static values to choose from; none where any text will do."""
        return [Choice(value, label, value == self.value) for value, label in self.field.choices]

    @property
    def column(self) -> Column | None:
        """The chosen column, if one is chosen."""
        columns = self._form.peek.columns
        return columns[self.number - 1] if self.source == COLUMN and 1 <= self.number <= len(columns) else None

    @property
    def errors(self) -> list[str]:
        """What is wrong with the choice."""
        return [str(message) for message in self._form.errors.get(f"{self.field.name}_from", ())]

    @property
    def reason(self) -> str:
        """Why the chosen column was suggested: "header", "values", or "" where it was not."""
        suggestion = self._form.peek.suggestions.get(self.field.name)
        if self.column is None or suggestion is None or suggestion.column != self.column.number:
            return ""
        return "header" if suggestion.reason == BY_HEADER else "values"

    @property
    def examples(self) -> list[Example]:
        """Some values of the chosen column."""
        return self.column.examples(self.field) if self.column else []

    @property
    def value_label(self) -> str:
        """The static value in words."""
        return next((choice.label for choice in self.choices if choice.chosen), self.value)

    @property
    def is_label(self) -> bool:
        """Whether this is a static Segment ID, which is a label and identifies nothing."""
        return self.field.name == "segment_id" and self.source == VALUE

    @property
    def unknown_words(self) -> dict[str, int]:
        """Of a column that may hold a few words only: those that are none of them, with their rows."""
        return self.column.refused_by(self.field) if self.column and self.field.choices else {}

    @property
    def shown_unknown_words(self) -> list[tuple[str, int]]:
        """The first of them, as they may be shown."""
        return [(shown(word, EXAMPLE_LENGTH), rows) for word, rows in islice(self.unknown_words.items(), WORDS)]


class MappingForm(forms.Form):
    """Says where each field comes from, how the file is read and what happens to duplicates.

    Built from the declared fields: for each there is `<name>_from`, `<name>_column` and
    `<name>_value`. It is always bound, to what was sent or to what the job says (`of_job`).
    """

    on_duplicate = forms.ChoiceField(choices=ImportJob.OnDuplicate.choices, required=False)
    encoding = forms.ChoiceField(choices=[*ENCODINGS.items(), *FOUND.items()], required=False)
    delimiter = forms.ChoiceField(choices=[*DELIMITERS.items()], required=False)

    def __init__(self, data: Any, peek: Peek, *, is_for_other_columns: bool = False) -> None:
        super().__init__(data)
        self.peek = peek
        self.is_for_other_columns = is_for_other_columns  # than those that the page shows
        for field in SEGMENT_FIELDS:
            self.fields[f"{field.name}_from"] = forms.ChoiceField(choices=SOURCES)
            self.fields[f"{field.name}_column"] = forms.CharField(required=False)
            self.fields[f"{field.name}_value"] = forms.CharField(required=False, strip=False)
        self.rows = [Row(self, field) for field in SEGMENT_FIELDS]

    @classmethod
    def of_job(cls, job: ImportJob, peek: Peek) -> "MappingForm":
        """Return the form as the job stands."""
        return cls(dict(_as_data(job)), peek)

    def for_other_columns(self, peek: Peek) -> "MappingForm":
        """Return the form for the file as it is read now: as it was if the columns are, else as suggested."""
        data = {name: self.data[name] for name in self.data}
        if peek.header != self.peek.header:
            data |= dict(_sources({name: {"column": found.column} for name, found in peek.suggestions.items()}))
        return MappingForm(data, peek, is_for_other_columns=True)

    def text(self, name: str) -> str:
        """Return what was sent for a field, as text."""
        return str(self.data.get(name) or "")

    def clean(self) -> dict[str, Any]:
        """Put `mapping` together; what is wrong with it is an error of the field."""
        cleaned = super().clean() or self.cleaned_data
        mapping = Mapping(
            {row.field.name: row.number for row in self.rows if row.source == COLUMN and row.number},
            {row.field.name: row.value for row in self.rows if row.source == VALUE},
        )
        for row in self.rows:
            if row.source == COLUMN and not row.number and not row.field.required:
                self._refuse(row.field.name, "Choose a column, or leave this unmapped.", "no_column")
            elif row.source == VALUE and not row.value.strip() and not row.field.required:
                self._refuse(row.field.name, "Give the value for all rows, or leave this unmapped.", "no_value")
        for error in mapping.errors(len(self.peek.header)):
            self._refuse(error.field, error.message, error.code)
        cleaned["mapping"] = mapping.to_json()
        return cleaned

    def _refuse(self, name: str, message: str, code: str) -> None:
        self.add_error(f"{name}_from", ValidationError(message, code=code))

    @property
    def reading(self) -> tuple[str, str]:
        """The chosen encoding and delimiter; "" where nothing (valid) was sent."""
        self.is_valid()
        return self.cleaned_data.get("encoding", ""), self.cleaned_data.get("delimiter", "")

    @property
    def mapping(self) -> dict[str, dict[str, Any]]:
        """The mapping as the job stores it, be it complete or not."""
        self.is_valid()
        mapping: dict[str, dict[str, Any]] = self.cleaned_data["mapping"]
        return mapping

    def says_what(self, job: ImportJob) -> bool:
        """Whether it says just what the job says."""
        wanted = (self.reading[0] or job.encoding, self.reading[1] or job.delimiter)
        return (
            (self.mapping, self.text("on_duplicate") or job.on_duplicate) == (job.mapping, job.on_duplicate)
            and wanted == (job.encoding, job.delimiter)
            and self.is_valid()
        )

    @property
    def encodings(self) -> list[Choice]:
        """The encodings to choose from, with the one that the file is read in."""
        now = self.peek.dialect.encoding
        found = {} if now in ENCODINGS or not now else {now: FOUND[now]}
        return [Choice(name, label, name == now) for name, label in (found | ENCODINGS).items()]

    @property
    def delimiters(self) -> list[Choice]:
        """The delimiters to choose from, with the one that separates the columns."""
        signs = {"\t": ""}
        return [
            Choice(sign, f"{label} {signs.get(sign, sign)}".strip(), sign == self.peek.dialect.delimiter)
            for sign, label in DELIMITERS.items()
        ]

    @property
    def matched(self) -> int:
        """How many fields have the column that was suggested for them."""
        return sum(1 for row in self.rows if row.reason)

    @property
    def unused(self) -> list[Column]:
        """The columns that no field takes."""
        used = {row.number for row in self.rows if row.source == COLUMN}
        return [column for column in self.peek.columns if column.number not in used]


def _as_data(job: ImportJob) -> Iterator[tuple[str, str]]:
    yield "on_duplicate", job.on_duplicate
    yield "encoding", job.encoding
    yield "delimiter", job.delimiter
    yield from _sources(job.mapping)


def _sources(mapping: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for field in SEGMENT_FIELDS:
        source = mapping.get(field.name) or {}
        yield f"{field.name}_column", str(source.get("column", ""))
        yield f"{field.name}_value", source.get("value", "")
        # A required field has to come from somewhere, and most often that is a column.
        yield f"{field.name}_from", next(iter(source), COLUMN if field.required else NONE)
