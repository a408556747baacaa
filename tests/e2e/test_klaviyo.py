"""Klaviyo in a browser: connect an account, sync with one click, see what changed, undo."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect
from pytest_django.live_server_helper import LiveServer

from integrations.models import SyncJob
from jobs import lease
from jobs.runner import perform
from people.models import Person
from segments.models import Segment
from tests.klaviyo.fake import FakeKlaviyo

PATIENCE = 60_000  # milliseconds after which a page hangs; never a measure of speed


@pytest.fixture
def klaviyo(settings: Any) -> Iterator[FakeKlaviyo]:
    """A Klaviyo with a few segments and lists."""
    with FakeKlaviyo().serving() as fake:
        settings.KLAVIYO_API_BASE_URL = fake.url
        fake.add_many(4, 3)
        yield fake


def work() -> None:
    """Do what waits, as a worker would."""
    while job := lease.claim("worker of the test"):
        perform(job)


def test_connect_sync_and_undo(
    open_context: Callable[..., BrowserContext], live_server: LiveServer, admin_person: Person, klaviyo: FakeKlaviyo
) -> None:
    page = open_context(admin_person).new_page()
    page.goto(f"{live_server.url}/channels/email/segments/")
    page.get_by_role("link", name="Connect Klaviyo").first.click()
    page.get_by_label("Private API key").fill(klaviyo.key)
    page.get_by_role("button", name="Test connection").click()
    expect(page.locator("#key-result")).to_contain_text("Fernhill Coffee", timeout=PATIENCE)
    expect(page.locator("#key-result")).to_contain_text("Lists: read")
    page.get_by_role("button", name="Connect account").click()
    expect(page.get_by_text("••••4f2a")).to_be_visible()
    page.goto(f"{live_server.url}/channels/email/segments/")
    page.get_by_role("button", name="Sync from Klaviyo").click()
    expect(page.locator("#sync")).to_contain_text("The sync from Klaviyo is waiting")
    work()
    expect(page.locator("#sync")).to_contain_text("Email is up to date with Klaviyo", timeout=PATIENCE)
    expect(page.locator("#segments")).to_contain_text("List 2")
    page.get_by_role("link", name="See what changed").click()
    expect(page.get_by_role("heading", name="Klaviyo sync of Email")).to_be_visible()
    expect(page.get_by_role("row", name="Segment 3")).to_contain_text("New")
    page.get_by_role("link", name="Undo…").click()
    page.get_by_role("button", name="Remove 7 segments").click()
    page.wait_for_url("**/channels/**")
    assert SyncJob.objects.count() == 1
    assert not Segment.objects.exists()
