"""What an import would do, row by row: a page of the check's own plan.

Goes in: a checked import, and which rows are asked for. Comes out: rows and counts. Must not know:
requests, how a plan is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.core.paginator import Page, Paginator

from imports import planfile
from imports.fields import SEGMENT_FIELDS
from imports.mapping import Mapping as ColumnMapping
from imports.models import ImportChannel, ImportJob
from imports.planfile import PlanLine
from jobs.models import Status

ROWS = 25
SHOWN = 120  # characters of a cell
FILTERS = (("all", "All"), ("ready", "Ready"), ("skipped", "Skipped"), ("errors", "With errors"))
REASONS = {
    "same_id": "Skipped: the same Segment ID “{0.after.segment_id}” as line {0.of_line:,}",
    "same_name": "Skipped: by its name the same segment as line {0.of_line:,}",
    "already_exists": "Skipped: it is there already",
    "ambiguous_match": "Left out: several segments have this name. Give its Segment ID.",
}


class Cell(NamedTuple):
    """A value of a row as it would be saved; of a row with errors, as it is in the file."""

    name: str
    label: str
    text: str
    before: str  # "" where it does not change
    is_bad: bool


class PreviewRow:
    """One row of the plan in words."""

    def __init__(self, line: PlanLine, id_is_label: bool = False) -> None:
        self.plan = line
        self._id_is_label = id_is_label

    @property
    def cells(self) -> list[Cell]:
        """Its values, one for each field."""
        bad = {error.field for error in self.plan.errors}
        after = _in_words(self.plan, self.plan.after)
        before = (
            _in_words(self.plan, self.plan.before) if self.plan.outcome == "updated" and self.plan.before else after
        )
        return [
            Cell(f.name, f.label, text, was if was != text else "", f.name in bad)
            for f, text, was in zip(SEGMENT_FIELDS, after, before, strict=True)
        ]

    @property
    def why(self) -> str:
        """Why it is left out or skipped; "" if it is neither."""
        if self.plan.errors:
            return "Left out: " + " ".join(error.message for error in self.plan.errors)
        code = self.plan.code
        if code == "duplicate_in_file":
            code = "same_id" if self.plan.after.segment_id and not self._id_is_label else "same_name"
        return REASONS[code].format(self.plan) if code in REASONS else ""


def _in_words(line: PlanLine, texts: planfile.Texts) -> list[str]:
    active = texts.active
    if isinstance(active, bool) or (active is None and line.outcome != "error"):
        active = "Inactive" if active is False else "Active"
    return [text[:SHOWN] for text in (texts.name, texts.segment_id, texts.link, active or "")]


class PlanRows:
    """The rows of one kind in one channel, for a Paginator: counted already, read by the page."""

    def __init__(self, target: ImportChannel, kind: str) -> None:
        self._target = target
        self._kind = kind

    def count(self) -> int:
        """How many there are."""
        return self._target.rows_of(self._kind)

    __len__ = count

    def __getitem__(self, rows: slice) -> list[PreviewRow]:
        job, channel = self._target.job, self._target.channel_id
        is_label = ColumnMapping.from_json(job.mapping).is_label
        lines = planfile.page(job, channel, self._kind, rows.start, rows.stop - rows.start)
        return [PreviewRow(line, is_label) for line in lines]


class Filter(NamedTuple):
    """One of the links above the rows."""

    show: str
    label: str
    rows: int


@dataclass
class Preview:
    """A page of what would become of the rows in one channel."""

    target: ImportChannel
    targets: list[ImportChannel]
    show: str
    page: "Page[Any]"

    @classmethod
    def of(cls, job: ImportJob, query: Mapping[str, str]) -> "Preview | None":
        """Return the page that `query` asks for (`to`, `show`, `page`); None where there is no plan to show."""
        if job.status != Status.READY:
            return None
        targets = list(job.targets.all())
        target = next((t for t in targets if t.channel.slug == query.get("to")), targets[0])
        show = query.get("show", "")
        if show not in dict(FILTERS) or not target.rows_of(show):
            show = "all"
        rows: Any = PlanRows(target, show)
        page = Paginator(rows, ROWS).get_page(query.get("page"))
        return cls(target, targets, show, page)

    @property
    def filters(self) -> list[Filter]:
        """The kinds of rows that there are, each with its number."""
        counted = [Filter(show, label, self.target.rows_of(show)) for show, label in FILTERS]
        return [each for each in counted if each.rows or each.show != "skipped"]

    @property
    def query(self) -> str:
        """What links to other pages of these rows keep."""
        return f"to={self.target.channel.slug}&show={self.show}&"

    @property
    def is_worth_it(self) -> bool:
        """Whether there is anything to import: not every row has an error."""
        return any(target.rows_of("all") > target.errors for target in self.targets)
