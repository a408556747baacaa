"""Small things in a row of the Segments tab: copying the ID, changing the name where it stands."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from people.models import Person
from segments.models import Segment
from tests.e2e.test_axe import reported
from tests.e2e.test_segments import LIST, choose, row, toast
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def two(transactional_db: None) -> list[Segment]:
    return [SegmentFactory(name="Cart abandoners", segment_id="Xk9PdQ"), SegmentFactory(name="Decaf buyers")]


def start_renaming(page: Page, name: str) -> None:
    choose(page, name, "Rename")
    expect(field(page)).to_be_focused()


def field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Segment name")


def test_the_id_is_copied_and_that_is_said(
    open_context: Callable[..., BrowserContext], marketer: Person, two: list[Segment]
) -> None:
    context = open_context(marketer)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    for path in (LIST, two[0].get_absolute_url()):
        page.goto(path)
        page.evaluate("navigator.clipboard.writeText('')")
        page.get_by_role("button", name="Copy Segment ID").first.click()
        expect(page.get_by_role("status").filter(has_text="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == "Xk9PdQ"


def test_where_a_page_may_not_copy_the_id_is_selected(page: Page, two: list[Segment]) -> None:
    page.goto(LIST)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copy Segment ID of Cart abandoners").click()
    expect(page.get_by_role("status").filter(has_text="Press Ctrl+C")).to_be_visible()
    assert page.evaluate("getSelection().toString()") == "Xk9PdQ"


def test_a_name_is_changed_in_its_row_by_enter(page: Page, two: list[Segment]) -> None:
    page.goto(LIST)
    start_renaming(page, "Cart abandoners")
    field(page).fill("")
    field(page).press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(field(page)).to_be_focused()
    field(page).fill("Carts left behind")
    assert not list(reported(page))
    field(page).press("Enter")
    expect(row(page, "Carts left behind").get_by_role("link", name="Carts left behind")).to_be_focused()
    expect(toast(page, "“Carts left behind” is saved.")).to_be_visible()
    expect(row(page, "Carts left behind")).to_contain_text("Xk9PdQ")


def test_esc_keeps_the_name_as_it_was(page: Page, two: list[Segment]) -> None:
    page.goto(LIST)
    start_renaming(page, "Decaf buyers")
    expect(page.get_by_role("link", name="Decaf buyers", exact=True)).to_be_hidden()
    field(page).fill("Something else")
    field(page).press("Escape")
    expect(page.get_by_role("link", name="Decaf buyers", exact=True)).to_be_focused()
    expect(field(page)).to_have_count(0)
    start_renaming(page, "Decaf buyers")
    page.get_by_role("button", name="Keep the name as it was").click()
    expect(page.get_by_role("link", name="Decaf buyers", exact=True)).to_be_focused()
    assert Segment.objects.filter(name="Decaf buyers").exists()


def test_on_a_phone_a_name_fits_while_it_is_changed(
    open_context: Callable[..., BrowserContext], marketer: Person, two: list[Segment]
) -> None:
    page = open_context(marketer, size=(390, 844)).new_page()
    page.goto(LIST)
    start_renaming(page, "Cart abandoners")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    row_menu = page.get_by_role("button", name="More actions for Cart abandoners")
    expect(row_menu).to_be_visible()
    page.get_by_role("button", name="Save the name").click()
    expect(page.get_by_role("link", name="Cart abandoners", exact=True)).to_be_focused()
