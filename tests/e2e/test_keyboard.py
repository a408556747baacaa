"""The Segments tab by keyboard alone, and the help for its keys."""

import pytest
from playwright.sync_api import Locator, Page, expect

from segments.models import Segment
from tests.e2e.test_bulk import bar, toast
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/channels/email/segments/"
A_FEW = 9  # presses of Tab that one may be asked for


def tab_to(page: Page, control: Locator, key: str = "Tab") -> None:
    """Press Tab until `control` has the focus."""
    for _ in range(A_FEW):
        page.keyboard.press(key)
        if control.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"{control} is not reached by {key}")


def test_add_search_select_all_that_match_deactivate_and_undo_without_a_mouse(page: Page) -> None:
    for number in range(30):
        SegmentFactory(name=f"VIP {number:02}")
    SegmentFactory(name="Lapsed")
    page.goto(LIST)
    keys = page.keyboard
    keys.press("n")
    expect(page.get_by_role("dialog", name="Add segment").get_by_label("Segment name")).to_be_focused()
    keys.type("VIP new")
    keys.press("Enter")
    expect(toast(page, "“VIP new” is added to Email.")).to_be_visible()

    keys.press("/")
    keys.type("vip")
    expect(page.locator("#count")).to_have_text("31 of 32 segments")
    all_here = page.get_by_role("checkbox", name="Select all segments on this page")
    tab_to(page, all_here)
    keys.press("Space")
    expect(bar(page)).to_contain_text("25 selected")
    tab_to(page, page.get_by_role("checkbox", name="Select all 31"), "Shift+Tab")
    keys.press("Space")
    tab_to(page, bar(page).get_by_role("button", name="Deactivate"))
    keys.press("Enter")
    box = page.get_by_role("dialog", name="Deactivate 31 segments in Email?")
    expect(box.get_by_role("button", name="Deactivate 31 segments")).to_be_focused()
    keys.press("Enter")
    expect(toast(page, "Deactivated 31 segments.")).to_be_visible()
    assert Segment.objects.filter(active=True).count() == 1
    expect(all_here).to_be_focused()

    keys.press("u")
    page.wait_for_url("**/undo/")
    tab_to(page, page.get_by_role("link", name="Skip to content"))
    keys.press("Enter")
    tab_to(page, page.get_by_role("button", name="Restore 31 segments"))
    keys.press("Enter")
    expect(toast(page, "is undone")).to_be_visible()
    assert Segment.objects.filter(active=True).count() == 32


def test_rows_are_walked_ticked_switched_and_edited(page: Page) -> None:
    for name in "abcd":
        SegmentFactory(name=name)
    page.goto(LIST)
    keys = page.keyboard
    keys.press("j")
    expect(page.get_by_role("link", name="a", exact=True)).to_be_focused()
    keys.press("x")
    keys.press("j")
    keys.press("j")
    keys.press("Shift+X")
    expect(bar(page)).to_contain_text("3 selected")
    keys.press("Space")
    expect(toast(page, "“c” is now inactive")).to_be_visible()
    expect(bar(page)).to_contain_text("3 selected")  # the row came anew
    keys.press("k")
    keys.press("e")
    expect(page.get_by_role("dialog", name="Edit segment").get_by_label("Segment name")).to_have_value("b")


def test_without_a_message_u_leads_to_what_can_be_undone(page: Page) -> None:
    SegmentFactory()
    page.goto(LIST)
    page.keyboard.press("u")
    expect(page.get_by_role("heading", name="Activity", level=1)).to_be_visible()


def test_the_help_opens_by_a_key_and_switches_them_off(page: Page) -> None:
    SegmentFactory()
    page.goto(LIST)
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(help_.get_by_role("button", name="Close").last).to_be_focused()
    help_.get_by_label("Use single-key shortcuts").uncheck()
    page.keyboard.press("Escape")
    expect(help_).to_be_hidden()
    page.keyboard.press("n")
    page.reload()
    page.keyboard.press("n")
    expect(page.get_by_role("dialog", name="Add segment")).to_have_count(0)
    page.get_by_role("button", name="Marketer").click()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    help_.get_by_label("Use single-key shortcuts").check()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("2")
    expect(page.get_by_role("heading", name="SMS", level=1)).to_be_visible()


def test_a_letter_that_is_typed_is_text(page: Page) -> None:
    SegmentFactory()
    page.goto(LIST)
    page.get_by_label("Search by segment name or ID").press_sequentially("nexu?/")
    expect(page.get_by_label("Search by segment name or ID")).to_have_value("nexu?/")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_digit_may_need_shift(page: Page) -> None:
    SegmentFactory()
    page.goto(LIST)
    page.keyboard.press("g")
    page.keyboard.press("Shift+2")
    expect(page.get_by_role("heading", name="SMS", level=1)).to_be_visible()
