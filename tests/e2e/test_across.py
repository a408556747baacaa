"""Segments across channels, in a browser: switches and Add answer in place, with Undo; and without JavaScript."""

import pytest
from playwright.sync_api import Locator, Page, expect

from channels.models import Channel
from segments.models import Segment
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/segments/"


@pytest.fixture
def vip(transactional_db: None) -> Segment:
    """A segment of Email, among others."""
    for number in range(30):
        SegmentFactory(name=f"Lapsed {number:02}")
    return SegmentFactory(name="VIP", segment_id="v-1")


def cell(page: Page, name: str, channel: str) -> Locator:
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))
    return row.locator(f"td[data-l={channel}]")


def toast(page: Page, text: str) -> Locator:
    return page.locator("#toasts .toast-aa").filter(has_text=text)


def test_a_segment_is_added_switched_off_and_that_undone_in_place(page: Page, vip: Segment) -> None:
    page.goto("/")
    page.get_by_role("link", name="Across channels").click()
    page.get_by_role("searchbox").press_sequentially("vip")
    expect(page.get_by_role("status").filter(has_text="1 segment")).to_be_visible()
    add = cell(page, "VIP", "SMS").get_by_role("button", name="Add VIP to SMS")
    add.focus()
    add.press("Enter")
    switch = cell(page, "VIP", "SMS").get_by_role("switch", name="VIP in SMS")
    expect(switch).to_be_checked()
    expect(switch).to_be_focused()
    expect(toast(page, "Added 1 segment to SMS.")).to_be_visible()
    expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="SMS")).to_contain_text("1")
    switch.press("Space")
    expect(toast(page, "“VIP” is now inactive")).to_be_visible()
    expect(cell(page, "VIP", "SMS")).to_contain_text("Inactive")
    expect(page.get_by_role("link", name="Active in one, inactive in another")).to_contain_text("1")
    assert not Segment.objects.get(channel=Channel.objects.get(slug="sms")).active
    toast(page, "“VIP” is now inactive").get_by_role("button", name="Undo").click()
    expect(page).to_have_url(f"{page.url.partition('/segments')[0]}{URL}?q=vip&status=&source=&only=&sort=name&show=")
    expect(cell(page, "VIP", "SMS").get_by_role("switch")).to_be_checked()


def test_chips_and_pages_are_kept_in_the_address(page: Page, vip: Segment) -> None:
    page.goto(URL)
    page.get_by_role("link", name="Next page").click()
    expect(page.get_by_role("link", name="VIP", exact=True)).to_be_visible()
    page.get_by_role("link", name="Missing in Email").click()
    expect(page.get_by_role("heading", name="No segment matches")).to_be_visible()
    expect(page).to_have_url(f"{page.url.partition('/segments')[0]}{URL}?show=missing-email")
    page.go_back()
    expect(page.get_by_role("link", name="VIP", exact=True)).to_be_visible()


def test_it_works_without_javascript(plain_page: Page, vip: Segment) -> None:
    plain_page.goto(f"{URL}?q=vip")
    cell(plain_page, "VIP", "Meta").get_by_role("button", name="Add VIP to Meta").click()
    expect(toast(plain_page, "Added 1 segment to Meta.")).to_be_visible()
    switch = cell(plain_page, "VIP", "Meta").get_by_role("switch")
    switch.uncheck()
    cell(plain_page, "VIP", "Meta").get_by_role("button", name="Save").click()
    expect(cell(plain_page, "VIP", "Meta")).to_contain_text("Inactive")
    expect(plain_page).to_have_url(f"{plain_page.url.partition('/segments')[0]}{URL}?q=vip")


def test_on_a_phone_nothing_scrolls_sideways(phone: Page, vip: Segment) -> None:
    SegmentFactory(name="W" * 255, segment_id="x" * 255)
    phone.goto(f"{URL}?q=www")
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    expect(phone.get_by_role("button", name="Meta")).to_be_visible()
