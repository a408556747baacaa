"""The shell in a browser: signing in, navigation, theme, toasts, with and without JavaScript."""

import gzip
import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext, Page, Response, expect
from pytest_django.live_server_helper import LiveServer

from channels.models import Channel
from jobs.models import Notice
from people.models import Person
from segments import changes
from segments.models import Segment
from segments.values import SegmentValues

Open = Callable[..., BrowserContext]


def test_a_person_signs_in_by_email_and_is_sent_where_they_wanted(
    open_context: Open, marketer: Person, password: str
) -> None:
    page = open_context().new_page()
    page.goto("/accounts/password/")
    expect(page).to_have_title("Sign in · Access Audience")
    page.get_by_label("Work email").fill(marketer.email.upper())
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Change password")


def test_a_wrong_password_says_what_to_do(open_context: Open, marketer: Person) -> None:
    page = open_context().new_page()
    page.goto("/accounts/login/")
    page.get_by_label("Work email").fill(marketer.email)
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("don't belong together")
    expect(page.get_by_label("Work email")).to_have_value(marketer.email)


def test_signing_out_ends_at_the_sign_in_page(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Marketer Person").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign in · Access Audience")


def test_the_first_tab_stop_skips_to_the_content(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_a_chosen_theme_is_applied_at_once_and_kept(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Marketer Person").click()
    with page.expect_response(re.compile("/theme/$")):
        page.get_by_role("radio", name="Dark").check(force=True)
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


def test_a_theme_is_chosen_without_javascript(plain_page: Page) -> None:
    plain_page.goto("/accounts/password/")
    plain_page.get_by_role("button", name="Marketer Person").click()
    plain_page.get_by_role("radio", name="Dark").check(force=True)
    plain_page.get_by_role("button", name="Use this theme").click()
    expect(plain_page).to_have_url(re.compile("/accounts/password/$"))
    expect(plain_page.locator("html")).to_have_attribute("data-bs-theme", "dark")


def test_the_navigation_is_a_drawer_on_a_phone(phone: Page) -> None:
    phone.goto("/")
    expect(phone.get_by_role("navigation", name="Main")).to_be_hidden()
    phone.get_by_role("button", name="Open menu").click()
    expect(phone.get_by_role("navigation", name="Main")).to_be_visible()
    phone.get_by_role("link", name=re.compile("^SMS")).click()
    expect(phone.get_by_role("heading", level=1)).to_have_text("SMS")


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1440])
def test_no_page_scrolls_sideways(open_context: Open, marketer: Person, width: int) -> None:
    page = open_context(marketer, size=(width, 800)).new_page()
    for path in ("/", "/accounts/password/", "/nowhere/"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


@pytest.fixture
def decaf(live_server: LiveServer, marketer: Person) -> Segment:
    """A segment in Email."""
    return changes.add(Channel.objects.get(slug="email"), SegmentValues("Decaf buyers"), changes.By(marketer))


def test_a_toast_goes_by_itself_but_not_while_it_has_the_focus(page: Page, decaf: Segment) -> None:
    page.clock.install()
    page.goto("/channels/email/segments/")
    page.get_by_role("switch", name="Decaf buyers").click()
    toast = page.locator("#toasts .toast-aa")
    toast.get_by_role("button", name="Undo").focus()
    page.clock.run_for(60_000)
    expect(toast).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(5, 5)
    page.clock.run_for(60_000)
    expect(toast).to_have_count(0)


def test_back_shows_no_page_to_who_has_signed_out(page: Page, decaf: Segment) -> None:
    page.goto("/channels/email/segments/")
    expect(page.get_by_role("link", name="Decaf buyers")).to_be_visible()
    page.get_by_role("button", name="Marketer Person").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/")
    page.go_back()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_text("Decaf buyers")).to_have_count(0)


def test_who_was_signed_out_meanwhile_is_sent_to_sign_in(page: Page, decaf: Segment) -> None:
    page.goto("/channels/email/segments/")
    page.context.clear_cookies()
    page.get_by_role("link", name="Add segment").click()
    expect(page).to_have_title("Sign in · Access Audience")


def test_a_first_visit_weighs_no_more_than_promised(page: Page, decaf: Segment) -> None:
    responses: list[Response] = []
    page.on("response", lambda response: responses.append(response))  # Playwright wants a function of its own
    page.goto("/channels/email/segments/", wait_until="networkidle")
    weights = {r.url: len(r.body() if r.url.endswith(".woff2") else gzip.compress(r.body())) for r in responses}
    assert sum(weights.values()) <= 120_000, weights


def test_the_bell_tells_what_ended_elsewhere(page: Page, phone: Page, plain_page: Page, marketer: Person) -> None:
    Notice.objects.bulk_create(
        Notice(job=uuid4(), user=marketer, icon="file-import", about=f"{each}.csv", view="imports:list", arguments=[])
        for each in ("shop", "texts")
    )
    page.goto("/")
    bell = page.get_by_role("button", name="Notifications")
    expect(bell).to_have_accessible_name("Notifications, 2 unread")
    bell.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="shop.csv (unread)")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Mark all as read")).to_be_focused()
    page.keyboard.press("Enter")
    expect(bell).to_have_accessible_name("Notifications")
    for other in (phone, plain_page):
        Notice.objects.update(seen_at=None)
        other.goto("/")
        if other is phone:
            other.get_by_role("link", name="Notifications, 2 unread").click()
        else:
            other.get_by_role("button", name="Notifications, 2 unread").click()
            other.get_by_role("link", name="See all notifications").click()
        other.get_by_role("button", name="Mark all as read").click()
        expect(other.get_by_role("link", name="shop.csv")).to_be_visible()
        expect(other.get_by_text("(unread)")).to_have_count(0)
