"""Django admin in a browser: it works under the content policy of the pages."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from channels.models import Channel
from people.models import Person
from tests.e2e.workspace import fill


@pytest.fixture
def admin_page(open_context: Callable[..., BrowserContext], admin_person: Person) -> Page:
    """A page of an Admin who has signed in."""
    return open_context(admin_person).new_page()


def test_every_list_and_form_opens_without_a_complaint(admin_page: Page, admin_person: Person) -> None:
    fill(admin_person)
    admin_page.goto("/admin/")
    lists = admin_page.locator("#content-main th a").evaluate_all("links => links.map(a => a.pathname)")
    assert "/admin/people/person/" in lists
    for path in lists:
        admin_page.goto(path)
        if admin_page.get_by_text("0 results").count() or admin_page.locator("#result_list").count() == 0:
            continue  # there is none to open
        first = admin_page.locator("#result_list tbody th a").first
        first.click()
        expect(admin_page.locator("#content form, #content .module").first).to_be_visible()


def test_a_channel_is_added_and_its_slug_suggested(admin_page: Page) -> None:
    admin_page.goto("/admin/channels/channel/add/")
    admin_page.get_by_label("Name").press_sequentially("Push messages")
    expect(admin_page.get_by_label("Slug")).to_have_value("push-messages")
    admin_page.get_by_role("button", name="Save", exact=True).click()
    expect(admin_page.get_by_text("was added successfully")).to_be_visible()
    assert Channel.objects.filter(slug="push-messages").exists()


def test_a_person_is_made_with_a_role(admin_page: Page) -> None:
    admin_page.goto("/admin/people/person/add/")
    admin_page.get_by_label("Email address").fill("tom@example.com")
    admin_page.get_by_label("Password:").fill("a long password of his")
    admin_page.get_by_label("Password confirmation").fill("a long password of his")
    admin_page.get_by_role("button", name="Save", exact=True).click()
    expect(admin_page.get_by_text("was added successfully")).to_be_visible()
    assert Person.objects.filter(email="tom@example.com").exists()
