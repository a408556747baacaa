"""Which column is suggested for which field, and what becomes of a row's cells."""

from typing import Any

import pytest
from hypothesis import given, strategies

from imports.fields import SEGMENT_FIELDS
from imports.mapping import BY_HEADER, BY_VALUES, Mapping, doubtful, looks_like_header, looks_like_people, suggest
from imports.shown import shown
from segments.values import RowError, SegmentValues

HEADER = ["Segment name", "Segment ID", "Link", "Active"]
ALL = Mapping({"name": 1, "segment_id": 2, "link": 3, "active": 4})


def columns(header: list[str], *rows: list[str]) -> dict[str, int]:
    sample = list(enumerate(rows, 2))
    return {name: suggestion.column for name, suggestion in suggest(header, sample).items()}


def cleaned(mapping: Mapping, *rows: list[str], width: int = 4) -> tuple[list[Any], list[tuple[int, str, str]]]:
    errors: list[tuple[int, str, str]] = []

    def left_out(line: int, cells: list[str], found: list[RowError]) -> None:
        assert cells == rows[line - 2]
        errors.extend((line, error.field, error.code) for error in found)

    return list(mapping.clean_rows(list(enumerate(rows, 2)), width, left_out)), errors


@pytest.mark.parametrize(("field", "header"), [(f.name, header) for f in SEGMENT_FIELDS for header in f.headers])
def test_every_declared_header_suggests_its_field(field: str, header: str) -> None:
    assert columns(["Subscribers", header]) == {field: 2}
    assert columns([header.upper().replace(" ", "_")]) == {field: 1}


@pytest.mark.parametrize(
    "header", ["First Name", "Last name", "Email", "Phone", "Description", "tags", "Line", "Error", ""]
)
def test_headers_of_other_things_suggest_nothing(header: str) -> None:
    assert columns([header]) == {}


def test_the_first_header_of_the_list_wins_and_of_equal_ones_the_first_column() -> None:
    assert columns(["id", "name", "list_id", "Segment Name"]) == {"name": 4, "segment_id": 1}
    assert columns(["Name", "ID", "Name"]) == {"name": 1, "segment_id": 2}


def test_status_and_state_are_suggested_only_for_words_of_active_status() -> None:
    assert columns(["name", "Status"], ["VIP", "Active"], ["Lapsed", ""]) == {"name": 1, "active": 2}
    assert columns(["name", "Status"], ["VIP", "Active"], ["Lapsed", "finished"]) == {"name": 1}
    assert columns(["name", "state"], ["VIP", ""]) == {"name": 1}
    assert columns(["name", "state", "active"], ["VIP", "on", "no"]) == {"name": 1, "active": 3}
    assert suggest(["name", "state"], [(2, ["VIP", "on"])])["active"].reason == BY_VALUES
    assert suggest(["name"])["name"].reason == BY_HEADER


def test_line_and_error_of_our_error_file_are_no_fields_but_are_counted() -> None:
    assert columns(["Line", "Error", "Segment name", "ID"]) == {"name": 3, "segment_id": 4}


@pytest.mark.parametrize(
    ("header", "people"),
    [
        (["Email Address", "First Name", "Last Name"], True),
        (["E-Mail", "Phone_Number"], True),
        (["email", "Segment name"], False),
        (["First name", "Email Name"], False),
        (HEADER, False),
    ],
)
def test_two_kinds_of_personal_headers_look_like_people(header: list[str], people: bool) -> None:
    assert looks_like_people(header) is people


def test_a_row_with_two_known_headers_looks_like_the_header() -> None:
    assert looks_like_header(["Segment name", "Segment ID", "Members"])
    assert not looks_like_header(["Report", "November"])
    assert not looks_like_header(["Title", "42"])


def test_cells_become_values_by_column_number() -> None:
    good, errors = cleaned(ALL, [" VIP ", "v-1", "https://example.com", "No"], ["Lapsed", "", "", ""])
    assert good == [(2, SegmentValues("VIP", "v-1", "https://example.com", False)), (3, SegmentValues("Lapsed"))]
    assert errors == []


def test_a_static_value_holds_for_every_row_and_unmapped_is_blank() -> None:
    mapping = Mapping({"name": 4}, {"active": "false", "segment_id": "spring"})
    good, _ = cleaned(mapping, ["x", "y", "not a link", "VIP"], ["x", "", "", "Lapsed"])
    assert good == [(2, SegmentValues("VIP", "spring", "", False)), (3, SegmentValues("Lapsed", "spring", "", False))]
    assert mapping.is_label
    assert not Mapping({"name": 1}, {"segment_id": "  "}).is_label
    assert not ALL.is_label


def test_missing_cells_are_blank_and_blank_extra_cells_are_fine() -> None:
    good, errors = cleaned(ALL, ["VIP"], ["Lapsed", "l-1", "", "", "", " \u200b"], [])
    assert good == [(2, SegmentValues("VIP")), (3, SegmentValues("Lapsed", "l-1"))]
    assert errors == [(4, "name", "name_required")]


def test_a_static_value_is_not_read_from_the_extra_cells() -> None:
    mapping = Mapping({"name": 1}, {"link": "https://example.com"})
    good, _ = cleaned(mapping, ["VIP", "", "", "", " ", ""], ["Lapsed"])
    assert [values.link for _line, values in good] == ["https://example.com"] * 2


def test_too_many_cells_is_the_only_error_of_its_row() -> None:
    assert cleaned(ALL, ["Shoes", " bags", "javascript:x", "maybe", "true"]) == ([], [(2, "", "too_many_cells")])


def test_a_row_may_have_several_errors() -> None:
    _, errors = cleaned(ALL, ["", "x\0", "ftp://x", "maybe"])
    assert errors == [
        (2, "name", "name_required"),
        (2, "segment_id", "control_character"),
        (2, "link", "url_scheme"),
        (2, "active", "active_unknown"),
    ]


@pytest.mark.parametrize(
    ("mapping", "codes"),
    [
        (ALL, []),
        (Mapping({"name": 1}, {"active": "yes"}), []),
        (Mapping(values={"name": "VIP"}), []),
        (Mapping({"link": 2}), ["name_unmapped"]),
        (Mapping({"link": 2}, {"name": " "}), ["name_unmapped"]),
        (Mapping({"name": 5}), ["no_such_column"]),
        (Mapping({"name": 0}), ["no_such_column"]),
        (Mapping({"name": 1}, {"active": "maybe", "link": "x"}), ["url_scheme", "active_unknown"]),
    ],
)
def test_a_mapping_says_what_is_wrong_with_itself(mapping: Mapping, codes: list[str]) -> None:
    assert [error.code for error in mapping.errors(width=4)] == codes


def test_a_mapping_is_stored_with_every_field() -> None:
    mapping = Mapping({"name": 1}, {"active": "true"})
    stored = {"name": {"column": 1}, "segment_id": {}, "link": {}, "active": {"value": "true"}}
    assert mapping.to_json() == stored
    assert Mapping.from_json(stored) == mapping
    assert Mapping.from_json({}) == Mapping()


@given(
    strategies.lists(strategies.lists(strategies.text(max_size=5), max_size=6), max_size=10),
    strategies.dictionaries(strategies.sampled_from([f.name for f in SEGMENT_FIELDS]), strategies.integers(1, 4)),
    strategies.dictionaries(strategies.sampled_from([f.name for f in SEGMENT_FIELDS]), strategies.text(max_size=5)),
)
def test_every_row_ends_as_values_or_as_errors(
    rows: list[list[str]], columns: dict[str, int], static: dict[str, str]
) -> None:
    static = {name: text for name, text in static.items() if name not in columns}
    good, errors = cleaned(Mapping(columns, static), *rows)
    assert len({line for line, _values in good} | {line for line, _field, _code in errors}) == len(rows)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("https://tom:secret@example.com/a", "https://tom:••••@example.com/a"),
        ("https://tom:se@cret@example.com", "https://tom:••••@example.com"),
        ("//:secret@example.com", "//:••••@example.com"),
        ("https://tom@example.com", "https://tom@example.com"),
        ("https://example.com/a:b@c", "https://example.com/a:b@c"),
        ("a\0b", "a␀b"),
        ("x" * 300, "x" * 200),
    ],
)
def test_what_is_shown_of_a_cell_has_no_password_and_200_characters(text: str, safe: str) -> None:
    assert shown(text) == safe


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["active", "inactive", "archived"], ["archived"]),
        (["draft", "published"], []),
        (["active", "inactive", ""], []),
    ],
)
def test_a_status_column_with_a_word_that_is_none_is_told_of(values: list[str], told: list[str]) -> None:
    header, rows = ["Name", "Status"], [(line, ["VIP", value]) for line, value in enumerate(values, 2)]
    mapping = Mapping({name: found.column for name, found in suggest(header, rows).items()})
    assert [doubt.value for doubt in doubtful(header, rows, mapping)] == told
