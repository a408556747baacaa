"""Pages of a plan: any kind of row, from anywhere, without reading the rest."""

from collections.abc import Iterator
from itertools import islice
from uuid import uuid4

import pytest

from imports import planfile, stored
from imports.leftout import ErrorRow, LeftOutRows
from imports.mapping import Mapping
from imports.models import ImportJob
from imports.planfile import KINDS, Texts
from segments.changes import PlannedRow
from segments.values import RowError, SegmentValues

MAPPING = Mapping({"name": 1, "link": 2, "active": 3})
LETTERS = {"created": "c", "updated": "u", "unchanged": "=", "skipped": "s", "error": "e"}


def planned(line: int, outcome: str = "created") -> PlannedRow:
    code, of_line = ("duplicate_in_file", 2) if outcome == "skipped" else ("", None)
    before = SegmentValues("Old", "x-1", "", False) if outcome == "updated" else None
    return PlannedRow(line, outcome, code, of_line, None, before, SegmentValues(f"Segment {line}", active=True))


def error(line: int) -> ErrorRow:
    return ErrorRow(line, ["", "x", "maybe"], [RowError("name", "name_required", "Fill in a segment name.")])


@pytest.fixture
def job() -> Iterator[ImportJob]:
    job = ImportJob(pk=uuid4())
    yield job
    stored.remove(job, planfile.name_of(1))


def test_rows_and_errors_are_merged_in_line_order(job: ImportJob) -> None:
    rows = [planned(2), planned(4, "updated"), planned(5, "skipped"), planned(8, "unchanged")]
    planfile.write(job, 1, rows, [error(3), error(6), error(9)], MAPPING)
    lines = planfile.page(job, 1)
    assert [line.line for line in lines] == [2, 3, 4, 5, 6, 8, 9]
    assert [line.outcome for line in planfile.page(job, 1, "ready")] == ["created", "updated", "unchanged"]
    assert [line.line for line in planfile.page(job, 1, "errors", 1, 1)] == [6]


def test_a_row_tells_all_there_is_to_show(job: ImportJob) -> None:
    planfile.write(job, 1, [planned(2, "updated"), planned(5, "skipped")], [error(7)], MAPPING)
    updated, skipped, bad = planfile.page(job, 1)
    assert (updated.before, updated.after) == (Texts("Old", "x-1", "", False), Texts("Segment 2", "", "", True))
    assert (skipped.code, skipped.of_line) == ("duplicate_in_file", 2)
    assert (bad.code, bad.after) == ("name_required", Texts("", "", "x", "maybe"))
    assert bad.errors == [RowError("name", "name_required", "Fill in a segment name.")]


def test_passwords_are_masked(job: ImportJob) -> None:
    link = "https://tom:secret@example.com"
    row = ErrorRow(2, ["VIP", link, ""], [RowError("link", "url_credentials", "Take it out.", link)])
    planfile.write(job, 1, [], [row], MAPPING)
    (line,) = planfile.page(job, 1, "errors")
    assert line.after.link == line.errors[0].value == "https://tom:••••@example.com"


def test_a_row_that_only_the_plan_finds_wrong_is_there_once(job: ImportJob) -> None:
    ambiguous = ErrorRow(3, ["VIP", "", ""], [RowError("name", "ambiguous_match", "Several have it.", "VIP")], 1)
    planfile.write(job, 1, [planned(2), planned(3, "error")], [ambiguous], MAPPING)
    assert [(line.line, line.code) for line in planfile.page(job, 1)] == [(2, ""), (3, "ambiguous_match")]


def test_every_page_of_every_kind_is_right(job: ImportJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planfile, "SPAN", 500)  # some rows apart
    outcomes = (
        ["created"] * 300 + ["error"] + ["unchanged", "created"] * 50 + ["skipped"] + ["created"] * 200 + ["error"]
    )
    numbered = list(enumerate(outcomes, 2))
    rows = [planned(line, outcome) for line, outcome in numbered if outcome != "error"]
    planfile.write(job, 1, rows, [error(line) for line, outcome in numbered if outcome == "error"], MAPPING)
    for kind, letters in KINDS.items():
        expected = [line for line, outcome in numbered if LETTERS[outcome].encode() in letters]
        for offset in (0, 1, 7, 49, 50, 51, 299, 300, 301, 350, 600, 700):
            found = [line.line for line in planfile.page(job, 1, kind, offset, 25)]
            assert found == expected[offset : offset + 25], (kind, offset)


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_and_no_file_are_empty_pages(job: ImportJob, kind: str) -> None:
    assert planfile.page(job, 1, kind) == []
    planfile.write(job, 1, [], [], MAPPING)
    assert planfile.page(job, 1, kind) == []


def test_a_new_plan_takes_the_place_of_the_old(job: ImportJob) -> None:
    planfile.write(job, 1, [planned(2)], [], MAPPING)
    planfile.write(job, 1, [planned(3)], [], MAPPING)
    assert [line.line for line in planfile.page(job, 1)] == [3]


def test_rows_left_out_can_be_read_again_and_again() -> None:
    with LeftOutRows() as rows:
        rows.add(2, ["\ud83d\0é", "x\ny"], [RowError("name", "name_required", "Fill in.", "\0")])
        rows.add(5, [], [])
        assert rows.rows == 2
        assert [row.line for row in islice(rows, 1)] == [2]
        assert list(rows) == list(rows)
        assert next(iter(rows)).cells == ["\ud83d\0é", "x\ny"]
