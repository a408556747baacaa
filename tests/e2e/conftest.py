"""Pages in a real browser: an installed Chromium against a live server on the database under test.

Every page that a test opens is watched: a request to another host, an error in the console or a violation
of the content policy fails the test at its end.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from people.models import Person

# Playwright's synchronous API keeps an event loop in this thread; the ORM is not used from within it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WIDE, PHONE = (1440, 900), (390, 844)
PATIENCE = 30_000  # milliseconds after which something is wrong; never a measure of speed
expect.set_options(timeout=PATIENCE)


def chromium() -> str | None:
    """The installed browser: of CHROMIUM, or on the path; None for the one that Playwright installs."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a process."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def open_context(browser: Browser, live_server: LiveServer) -> Iterator[Callable[..., BrowserContext]]:
    """Make a browser context that is watched: `open_context(person, size=PHONE, theme="dark")`."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []
    under_way: set[Request] = set()

    def on_request(request: Request) -> None:
        under_way.add(request)
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(live_server.url).netloc:
            faults.append(f"asked another host: {request.url}")

    def on_answer(request: Request) -> None:
        under_way.discard(request)

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error" and not expected_status(message):
            faults.append(f"console: {message.text} ({message.location.get('url')})")

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: faults.append(f"script: {error}"))

    def make(
        person: Person | None = None, size: tuple[int, int] = WIDE, theme: str = "light", scripts: bool = True
    ) -> BrowserContext:
        context = browser.new_context(
            base_url=live_server.url,
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if theme == "dark" else "light",
            java_script_enabled=scripts,
            reduced_motion="reduce",
        )
        context.on("request", on_request)
        context.on("requestfinished", lambda request: under_way.discard(request))
        context.on("requestfailed", lambda request: under_way.discard(request))
        context.on("console", on_console)
        context.on("page", watch)
        context.set_default_timeout(PATIENCE)
        if person:
            sign_in(context, person, live_server.url)
        contexts.append(context)
        return context

    yield make
    for page in (page for context in contexts for page in context.pages):
        while under_way and not page.is_closed():  # else the server still reads what the next test empties
            page.wait_for_timeout(20)
    for context in contexts:
        context.close()
    assert not faults, "\n".join(faults)


def expected_status(message: ConsoleMessage) -> bool:
    """Whether the console only repeats what a test asks for: such a status, or to leave the page amid a request."""
    if message.text.startswith(("htmx:sendAbort", "htmx:afterRequest")):
        return True
    found = re.search(r"(?:the server responded with a status of|^Response Status Error Code) (\d{3})\b", message.text)
    return found is not None and int(found[1]) in (403, 404, 413, 422, 429)


def sign_in(context: BrowserContext, person: Person, url: str) -> None:
    """Give the browser a session of `person`: signing in itself has its own test."""
    client = Client()
    client.force_login(person)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": url}])


@pytest.fixture
def page(open_context: Callable[..., BrowserContext], marketer: Person) -> Page:
    """A page of a Marketer who has signed in, on a wide screen."""
    return open_context(marketer).new_page()


@pytest.fixture
def phone(open_context: Callable[..., BrowserContext], marketer: Person) -> Page:
    """The same on a phone."""
    return open_context(marketer, size=PHONE).new_page()


@pytest.fixture
def plain_page(open_context: Callable[..., BrowserContext], marketer: Person) -> Page:
    """The same without JavaScript."""
    return open_context(marketer, scripts=False).new_page()
