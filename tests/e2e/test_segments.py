"""The Segments tab in a browser: add, search, switch, edit, delete, undo; also on a phone and without JavaScript."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from segments import changes
from segments.models import Segment
from segments.values import SegmentValues
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/channels/email/segments/"


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def names(page: Page) -> Locator:
    return page.locator("#segments tbody .nm")


def toast(page: Page, text: str) -> Locator:
    return page.locator("#toasts .toast-aa").filter(has_text=text)


def choose(page: Page, name: str, action: str) -> None:
    row(page, name).get_by_role("button", name="More actions").click()
    row(page, name).get_by_role("link", name=action).click()


@pytest.fixture
def four(transactional_db: None) -> list[Segment]:
    """Segments in Email: one inactive, one with an ID and a link."""
    return [
        SegmentFactory(name="Active subscribers"),
        SegmentFactory(name="Cart abandoners", segment_id="Xk9PdQ", link="https://a.example/x"),
        SegmentFactory(name="Decaf buyers"),
        SegmentFactory(name="Holiday 2025", active=False),
    ]


def test_adding_the_first_segment_and_another(page: Page) -> None:
    page.goto(LIST)
    expect(page.get_by_role("heading", name="No segments in Email yet")).to_be_visible()
    page.get_by_role("link", name="Add segment").click()
    panel = page.get_by_role("dialog", name="Add segment")
    expect(panel.get_by_label("Segment name")).to_be_focused()
    panel.get_by_label("Segment name").fill("VIP")
    panel.get_by_label("Segment ID").fill("v-1")
    panel.get_by_label("Link").fill("https://www.klaviyo.com/lists/v-1")
    panel.get_by_role("button", name="Add segment", exact=True).click()
    expect(row(page, "VIP")).to_contain_text("v-1")
    expect(toast(page, "“VIP” is added to Email.")).to_be_visible()

    page.get_by_role("link", name="Add segment").click()
    panel.get_by_label("Segment name").fill("Second")
    panel.get_by_role("button", name="Add and start another").click()
    expect(panel.get_by_label("Segment name")).to_have_value("")
    expect(names(page)).to_have_text(["Second", "VIP"])
    panel.get_by_label("Segment name").fill("Third")
    panel.get_by_role("button", name="Add segment", exact=True).click()
    expect(panel).to_have_count(0)
    expect(names(page)).to_have_text(["Second", "Third", "VIP"])
    expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Email")).to_contain_text("3")


def test_errors_take_the_focus_and_lead_to_their_fields(page: Page, four: list[Segment]) -> None:
    page.goto(LIST)
    page.get_by_role("link", name="Add segment").click()
    panel = page.get_by_role("dialog", name="Add segment")
    expect(panel.get_by_label("Segment name")).to_be_focused()  # by itself, and not while we type elsewhere
    panel.get_by_label("Link").fill("klaviyo.com/x")
    panel.get_by_role("button", name="Add segment", exact=True).click()
    summary = panel.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("Fix 2 fields to add this segment")
    summary.get_by_role("link", name="Link: Start the link with https://").click()
    expect(panel.get_by_label("Link")).to_be_focused()
    expect(panel.get_by_label("Link")).to_have_accessible_description(re.compile("Start the link with https://"))

    panel.get_by_label("Segment name").fill("Cart abandoners")
    panel.get_by_label("Link").fill("")
    panel.get_by_role("button", name="Add segment", exact=True).click()
    expect(panel.get_by_role("alert")).to_contain_text("already in Email with ID Xk9PdQ. Add anyway?")
    panel.get_by_role("button", name="Add anyway").click()
    expect(names(page).filter(has_text="Cart abandoners")).to_have_count(2)


def test_leaving_a_changed_form_asks_first(page: Page, four: list[Segment]) -> None:
    page.goto(LIST)
    page.get_by_role("link", name="Add segment").click()
    panel = page.get_by_role("dialog", name="Add segment")
    panel.get_by_label("Segment name").press_sequentially("half typed")
    page.once("dialog", lambda question: question.dismiss())
    page.keyboard.press("Escape")
    expect(panel.get_by_label("Segment name")).to_have_value("half typed")
    page.once("dialog", lambda question: question.accept())
    panel.get_by_role("link", name="Cancel").click()
    expect(panel).to_have_count(0)
    expect(page.get_by_role("link", name="Add segment")).to_be_focused()


def test_search_and_filters_find_as_one_types_and_are_in_the_address(page: Page, four: list[Segment]) -> None:
    page.goto(LIST)
    search = page.get_by_label("Search by segment name or ID")
    search.press_sequentially("xk9")
    expect(names(page)).to_have_text(["Cart abandoners"])
    expect(search).to_be_focused()
    expect(page.locator("#count")).to_have_text("1 of 4 segments")
    expect(page).to_have_url(re.compile(r"\?q=xk9"))
    search.fill("")
    expect(names(page)).to_have_count(4)
    page.get_by_label("Active status").select_option("Inactive")
    expect(names(page)).to_have_text(["Holiday 2025"])
    page.go_back()
    expect(names(page)).to_have_count(4)
    search.fill("no such thing")
    expect(page.get_by_role("heading", name="No segment in Email matches “no such thing”")).to_be_visible()
    page.get_by_role("link", name="Clear search and filters").click()
    expect(names(page)).to_have_count(4)


def test_columns_sort_and_the_search_keeps_the_order(page: Page, four: list[Segment]) -> None:
    page.goto(LIST)
    page.get_by_role("link", name="Segment name").click()
    expect(names(page)).to_have_text(["Holiday 2025", "Decaf buyers", "Cart abandoners", "Active subscribers"])
    expect(page.get_by_role("columnheader", name="Segment name")).to_have_attribute("aria-sort", "descending")
    expect(page.get_by_role("link", name="Segment name")).to_be_focused()
    page.get_by_label("Search by segment name or ID").fill("a")
    expect(page.locator("#count")).to_have_text("4 of 4 segments")
    expect(names(page).first).to_have_text("Holiday 2025")


def test_the_order_is_chosen_again_and_again_on_a_phone(phone: Page, four: list[Segment]) -> None:
    phone.goto(LIST)
    for _ in range(2):
        phone.get_by_label("Sort by").select_option("-name")
        expect(names(phone).first).to_have_text("Holiday 2025")
        phone.get_by_label("Sort by").select_option("name")
        expect(names(phone).first).to_have_text("Active subscribers")


def test_pages_turn_forwards_and_back(page: Page) -> None:
    for number in range(60):
        SegmentFactory(name=f"Segment {number:02}")
    page.goto(LIST)
    page.get_by_role("link", name="Next page").click()
    expect(page.locator(".foot")).to_contain_text("Showing 26–50 of 60")
    page.get_by_role("link", name="Next page").click()
    expect(names(page)).to_have_count(10)
    page.get_by_role("link", name="Previous page").click()
    expect(names(page).first).to_have_text("Segment 25")
    page.go_back()
    expect(names(page).first).to_have_text("Segment 50")
    page.get_by_label("Rows per page").select_option("100")
    expect(names(page)).to_have_count(60)
    page.goto(LIST)
    expect(names(page)).to_have_count(60)


def test_undo_of_a_message_can_be_used_while_a_dialog_is_open(page: Page, four: list[Segment]) -> None:
    page.goto(LIST)
    row(page, "Decaf buyers").get_by_role("switch").press("Space")
    undo = toast(page, "“Decaf buyers” is now inactive").get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    page.get_by_role("link", name="Add segment").click()
    panel = page.get_by_role("dialog", name="Add segment")
    panel.get_by_role("button", name="Add segment", exact=True).click()
    expect(panel.get_by_role("alert")).to_be_visible()  # shown anew, with what is wrong
    undo.click()
    expect(toast(page, "is undone")).to_be_visible()
    assert Segment.objects.get(name="Decaf buyers").active


def test_a_message_outlives_the_dialog_that_it_was_shown_in(page: Page, four: list[Segment]) -> None:
    page.goto(LIST)
    row(page, "Decaf buyers").get_by_role("switch").press("Space")
    expect(toast(page, "is now inactive")).to_be_visible()
    page.get_by_role("link", name="Add segment").click()
    expect(page.get_by_role("dialog", name="Add segment")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Add segment")).to_be_hidden()
    expect(page.get_by_role("link", name="Add segment")).to_be_focused()
    expect(toast(page, "is now inactive")).to_be_visible()


def test_switch_works_in_place_and_its_message_undoes_it(page: Page, four: list[Segment]) -> None:
    page.goto(LIST)
    switch = row(page, "Decaf buyers").get_by_role("switch")
    switch.focus()
    page.keyboard.press("Space")
    expect(row(page, "Decaf buyers")).to_contain_text("Inactive")
    expect(switch).not_to_be_checked()
    expect(switch).to_be_focused()
    toast(page, "“Decaf buyers” is now inactive").get_by_role("button", name="Undo").click()
    expect(toast(page, "Undone")).to_be_visible()
    expect(switch).to_be_checked()
    assert Segment.objects.get(name="Decaf buyers").active


def test_editing_changes_the_row(page: Page, four: list[Segment]) -> None:
    page.goto(LIST)
    choose(page, "Cart abandoners", "Edit")
    panel = page.get_by_role("dialog", name="Edit segment")
    expect(panel.get_by_label("Segment ID")).to_have_value("Xk9PdQ")
    panel.get_by_label("Segment name").fill("Zebra")
    panel.get_by_role("button", name="Save").click()
    expect(names(page)).to_have_text(["Active subscribers", "Decaf buyers", "Holiday 2025", "Zebra"])


def test_deleting_asks_with_cancel_in_focus_and_moves_focus_on(page: Page, four: list[Segment]) -> None:
    page.goto(LIST)
    choose(page, "Cart abandoners", "Delete…")
    box = page.get_by_role("alertdialog", name="Delete “Cart abandoners” from Email?")
    expect(box.get_by_role("link", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    expect(names(page)).to_have_count(4)

    choose(page, "Cart abandoners", "Delete…")
    box.get_by_role("button", name="Delete segment").click()
    expect(names(page)).to_have_text(["Active subscribers", "Decaf buyers", "Holiday 2025"])
    expect(page.get_by_role("link", name="Decaf buyers", exact=True)).to_be_focused()
    toast(page, "“Cart abandoners” is deleted from Email.").get_by_role("button", name="Undo").click()
    expect(row(page, "Cart abandoners")).to_contain_text("Xk9PdQ")


def test_deactivating_instead_keeps_the_segment(page: Page, four: list[Segment]) -> None:
    page.goto(LIST)
    choose(page, "Decaf buyers", "Delete…")
    page.get_by_role("button", name="Deactivate instead").click()
    expect(row(page, "Decaf buyers")).to_contain_text("Inactive")
    expect(page.get_by_role("alertdialog")).to_have_count(0)


def test_deleting_the_last_segment_shows_the_ways_in(page: Page, transactional_db: None) -> None:
    SegmentFactory(name="only one")
    page.goto(LIST)
    choose(page, "only one", "Delete…")
    page.get_by_role("button", name="Delete segment").click()
    expect(page.get_by_role("heading", name="No segments in Email yet")).to_be_visible()
    expect(toast(page, "“only one” is deleted")).to_be_visible()


def test_detail_page_edits_switches_and_leaves_when_deleted(page: Page, four: list[Segment]) -> None:
    page.goto(LIST)
    page.get_by_role("link", name="Decaf buyers", exact=True).click()
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_role("dialog").get_by_label("Segment name").fill("Decaf fans")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Decaf fans")
    expect(page).to_have_title("Decaf fans · Email · Access Audience")
    page.get_by_role("switch").click()
    expect(page.get_by_role("table", name="Changes of this segment")).to_contain_text("Active status")
    page.get_by_role("link", name="Delete…").click()
    page.get_by_role("button", name="Delete segment").click()
    expect(page).to_have_url(re.compile(rf"{LIST}$"))
    expect(names(page)).to_have_count(3)


def test_hostile_and_foreign_names_stay_text_and_in_their_place(page: Page, transactional_db: None) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    for name in (hostile, "W" * 255, "عملاء كبار الشخصيات"):
        SegmentFactory(name=name, segment_id=f"{name[:5]}{'i' * 250}")
    page.goto(LIST)
    expect(page.get_by_role("link", name=hostile, exact=True)).to_be_visible()
    expect(page.locator("#segments img")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.querySelector('#segments .scroll').scrollWidth <= innerWidth")


def test_phone_shows_cards_with_everything_on_them(phone: Page, four: list[Segment]) -> None:
    phone.goto(LIST)
    expect(row(phone, "Cart abandoners")).to_contain_text("Xk9PdQ")
    phone.get_by_label("Sort by").select_option("Segment name, Z to A")
    expect(names(phone).first).to_have_text("Holiday 2025")
    choose(phone, "Decaf buyers", "Edit")
    phone.get_by_role("button", name="Save").click()
    expect(phone.get_by_role("dialog")).to_have_count(0)
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_everything_works_without_javascript(plain_page: Page, four: list[Segment]) -> None:
    page = plain_page
    page.goto(LIST)
    page.get_by_label("Search by segment name or ID").fill("decaf")
    page.get_by_role("button", name="Search").click()
    expect(names(page)).to_have_text(["Decaf buyers"])
    row(page, "Decaf buyers").get_by_role("switch").click()
    row(page, "Decaf buyers").get_by_role("button", name="Save").click()
    expect(page).to_have_url(re.compile(r"\?q=decaf"))
    expect(row(page, "Decaf buyers")).to_contain_text("Inactive")
    toast(page, "is now inactive").get_by_role("button", name="Undo").click()
    expect(row(page, "Decaf buyers").get_by_role("switch")).to_be_checked()

    choose(page, "Decaf buyers", "Edit")
    page.get_by_role("dialog").get_by_label("Segment name").fill("")
    page.get_by_role("button", name="Save").last.click()
    expect(page.get_by_role("alert")).to_contain_text("Fill in a segment name.")
    page.get_by_role("dialog").get_by_label("Segment name").fill("Decaf fans")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Decaf fans", exact=True)).to_be_visible()

    choose(page, "Decaf fans", "Delete…")
    page.get_by_role("button", name="Delete segment").click()
    expect(names(page)).to_have_count(3)
    page.get_by_role("link", name="Add segment").click()
    page.get_by_role("dialog").get_by_label("Segment name").fill("New")
    page.get_by_role("button", name="Add segment", exact=True).click()
    expect(names(page)).to_have_count(4)


def test_undo_page_shows_names_and_undoes(page: Page, transactional_db: None) -> None:
    SegmentFactory(name="keep")
    segment = SegmentFactory(name="VIP")
    change_set = changes.edit(segment, SegmentValues("VIP new", "", "", True), changes.By())
    assert change_set
    page.goto(f"/activity/{change_set.pk}/undo/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Undo this edit?")
    expect(page.get_by_role("table")).to_contain_text("VIP new")
    page.get_by_role("button", name="Restore 1 segment").click()
    expect(names(page)).to_have_text(["keep", "VIP"])
