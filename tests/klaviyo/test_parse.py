"""Klaviyo's objects become values, or an error of their own: hostile names are data."""

from typing import Any

import pytest

from integrations.klaviyo.parse import Found, Unusable, link_to, parse
from segments.values import SegmentValues

WEB = "https://www.klaviyo.com"


def segment(**changes: Any) -> dict[str, Any]:
    return {"type": "segment", "id": "Tq7RkM", "attributes": {"name": "VIP", "is_active": True}} | changes


def named(name: Any) -> Found | Unusable:
    return parse("segments", segment(attributes={"name": name}), WEB)


def test_a_segment_has_its_klaviyo_id_as_segment_id_and_a_link() -> None:
    values = SegmentValues("VIP", "Tq7RkM", "https://www.klaviyo.com/lists/Tq7RkM")
    assert parse("segments", segment(), WEB) == Found("segment", values, "")


def test_a_list_has_the_same_kind_of_link() -> None:
    found = parse("lists", segment(type="list"), WEB)
    assert isinstance(found, Found)
    assert (found.kind, found.values.link) == ("list", link_to(WEB, "Tq7RkM"))


@pytest.mark.parametrize("name", [None, "", "  \t", "\u200b\ufeff"])
def test_a_blank_name_says_which_segment_it_is(name: str | None) -> None:
    found = named(name)
    assert isinstance(found, Found)
    assert found.values.name == "Unnamed segment (Tq7RkM)"


@pytest.mark.parametrize(
    "name",
    [
        "=1+1",
        "<script>alert(1)</script>",
        "'; DROP TABLE x; --",
        "{{ 7*7 }}",
        "%s %(a)s",
        "\U0001f469\u200d\U0001f680",
        "null",
    ],
)
def test_hostile_names_are_data(name: str) -> None:
    found = named(name)
    assert isinstance(found, Found)
    assert found.values.name == name


def test_names_are_cleaned_as_at_every_door() -> None:
    found = named("  VIP \n customers ")
    assert isinstance(found, Found)
    assert found.values.name == "VIP customers"


@pytest.mark.parametrize(
    ("name", "code"), [("x" * 256, "name_too_long"), ("a\0b", "control_character"), (5, "unexpected_object")]
)
def test_a_name_that_cannot_be_taken_is_an_error_of_that_object(name: Any, code: str) -> None:
    unusable = named(name)
    assert isinstance(unusable, Unusable)
    assert (unusable.id, unusable.errors[0].code) == ("Tq7RkM", code)
    for text in (unusable.name, unusable.errors[0].value):  # can be kept and shown
        assert "\0" not in text.encode().decode()


@pytest.mark.parametrize(
    "item",
    [
        None,
        5,
        "text",
        [],
        {},
        segment(id=None),
        segment(id=""),
        segment(id=" \u200b"),
        segment(id="x" * 65),
        segment(type="list"),
        segment(attributes=None),
        segment(attributes=[]),
        segment(id="a\0b"),
    ],
)
def test_an_object_that_is_none_is_an_error_of_its_own(item: Any) -> None:
    unusable = parse("segments", item, WEB)
    assert isinstance(unusable, Unusable)
    assert unusable.errors


@pytest.mark.parametrize(
    ("attributes", "state"),
    [
        ({}, ""),
        ({"is_active": False}, "inactive"),
        ({"is_active": True, "is_processing": True, "is_starred": True}, "processing starred"),
        ({"is_active": False, "is_starred": True}, "inactive starred"),
        ({"is_active": "no", "is_starred": 1}, ""),
    ],
)
def test_klaviyos_own_state_is_told(attributes: dict[str, Any], state: str) -> None:
    found = parse("segments", segment(attributes={"name": "VIP", **attributes}), WEB)
    assert isinstance(found, Found)
    assert found.state == state


def test_an_id_cannot_lead_the_link_elsewhere() -> None:
    assert link_to(WEB, "../x?y#z") == "https://www.klaviyo.com/lists/..%2Fx%3Fy%23z"
