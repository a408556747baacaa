"""Accounts in a browser, with and without JavaScript: a second proof, sessions, inviting and accepting, roles."""

import re
import threading
from collections.abc import Callable

import pytest
from allauth.mfa.totp.internal import auth
from django.core import mail
from django.core.cache import cache
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from accessaudience.roles import MARKETER, VIEWER
from people.mail import THREAD
from people.models import Person
from tests.e2e.test_axe import reported

Open = Callable[..., BrowserContext]
PHONE = (390, 844)
NEW = "a long password of theirs"


@pytest.fixture(autouse=True)
def _still_time(live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the half minute of a code not end amid a test, and forget tries and used codes."""
    monkeypatch.setattr(auth, "yield_hotp_counters_from_time", lambda: iter([1]))
    cache.clear()


def code_of(secret: str) -> str:
    return auth.format_hotp_value(auth.hotp_value(secret.replace(" ", ""), 1))


def sign_in(page: Page, person: Person, password: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Work email").fill(person.email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def turn_on(page: Page, password: str) -> tuple[str, list[str]]:
    """Turn the second proof on; return its secret and the recovery codes."""
    page.goto("/accounts/")
    page.get_by_role("link", name="Turn on…").click()
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    secret = page.locator(".secret").inner_text()
    page.get_by_label("Code", exact=True).fill(code_of(secret))
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    return secret, page.locator(".codes li").all_inner_texts()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_second_proof_is_turned_on_asked_for_and_turned_off(
    open_context: Open, marketer: Person, password: str, scripts: bool
) -> None:
    page = open_context(marketer, scripts=scripts).new_page()
    secret, codes = turn_on(page, password)
    assert len(codes) == 10
    other = open_context(size=PHONE, theme="dark", scripts=scripts).new_page()
    sign_in(other, marketer, password)
    other.get_by_label("Code").fill("000000")
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_text("This code is not right")).to_be_visible()
    other.get_by_label("Code").fill(code_of(secret))
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("heading", level=1)).not_to_have_text("Type your code")
    page.goto("/accounts/")
    page.get_by_role("link", name="Turn off…").click()
    page.get_by_role("button", name="Turn off").click()
    expect(page.get_by_role("link", name="Turn on…")).to_be_visible()


@pytest.mark.parametrize(("size", "theme"), [((1440, 900), "light"), (PHONE, "dark")], ids=["wide", "phone"])
def test_axe_finds_nothing_in_the_pages_of_a_second_proof(
    open_context: Open, marketer: Person, password: str, size: tuple[int, int], theme: str
) -> None:
    page = open_context(marketer, size=size, theme=theme).new_page()
    found = []
    page.goto("/accounts/two-factor/on/")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Confirm").click()
    found += reported(page)
    secret = page.locator(".secret").inner_text()
    page.get_by_label("Code", exact=True).fill(code_of(secret))
    page.get_by_role("button", name="Turn on").click()
    found += reported(page)
    for path in (
        "/accounts/",
        "/accounts/two-factor/off/",
        "/accounts/two-factor/codes/new/",
        "/accounts/confirm/code/",
    ):
        page.goto(path)
        found += reported(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    other = open_context(size=size, theme=theme).new_page()
    sign_in(other, marketer, password)
    found += reported(other)
    assert not found, "\n".join(found)


def test_a_session_elsewhere_is_signed_out(open_context: Open, marketer: Person, password: str) -> None:
    here, there = open_context().new_page(), open_context(size=PHONE).new_page()
    sign_in(here, marketer, password)
    sign_in(there, marketer, password)
    here.goto("/accounts/")
    expect(here.get_by_text("This one")).to_have_count(1)
    here.get_by_role("button", name=re.compile("^Sign out Chrome")).click()
    expect(here.get_by_role("status")).to_contain_text("is signed out")
    there.goto("/")
    expect(there).to_have_title("Sign in · Access Audience")


def test_a_forgotten_password_is_set_by_the_link_in_a_mail(
    open_context: Open, marketer: Person, live_server: LiveServer
) -> None:
    page = open_context(scripts=False).new_page()
    page.goto("/accounts/login/")
    page.get_by_role("link", name="Forgot password?").click()
    page.get_by_label("Work email").fill(marketer.email)
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look into your mailbox")
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join()
    link = re.search(r"http://localhost:8000(\S+)", str(mail.outbox[-1].body))
    assert link
    page.goto(link.group(1))
    page.get_by_label("New password", exact=True).fill(NEW)
    page.get_by_label("New password again").fill(NEW)
    page.get_by_role("button", name="Set password").click()
    page.get_by_role("link", name="Sign in").click()
    sign_in(page, marketer, NEW)
    expect(page.get_by_role("link", name="Upload", exact=True)).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_somebody_is_invited_accepts_and_is_deactivated(
    open_context: Open, admin_person: Person, scripts: bool
) -> None:
    admin = open_context(admin_person, scripts=scripts).new_page()
    admin.goto("/people/")
    admin.get_by_label("Work email").fill("ruth@fernhill.example")
    admin.get_by_label("Role", exact=True).select_option(VIEWER)
    admin.get_by_role("button", name="Send invitation").click()
    expect(admin.get_by_role("row", name="ruth@fernhill.example")).to_contain_text("Invited")
    link = re.search(r"http://localhost:8000(\S+)", str(mail.outbox[-1].body))
    assert link
    ruth = open_context(scripts=scripts).new_page()
    ruth.goto(link.group(1))
    assert not list(reported(ruth)) if scripts else True
    ruth.get_by_label("First name").fill("Ruth")
    ruth.get_by_label("New password", exact=True).fill(NEW)
    ruth.get_by_label("New password again").fill(NEW)
    ruth.get_by_role("button", name="Set password and sign in").click()
    expect(ruth.get_by_role("heading", level=1)).to_be_visible()
    expect(ruth.get_by_role("link", name="Upload", exact=True)).to_have_count(0)
    admin.goto("/people/")
    admin.get_by_label("Role of Ruth").select_option(MARKETER)
    admin.get_by_role("button", name="Change the role of Ruth").click()
    ruth.goto("/data/upload/")
    expect(ruth.get_by_role("heading", level=1)).to_have_text("Upload")
    admin.get_by_role("link", name="Deactivate… Ruth").click()
    admin.get_by_role("button", name="Deactivate").click()
    expect(admin.get_by_role("row", name="Ruth")).to_contain_text("Deactivated")
    ruth.goto("/")
    expect(ruth).to_have_title("Sign in · Access Audience")


def test_the_link_of_an_invitation_is_copied_where_no_mail_is_sent(
    open_context: Open, admin_person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("people.views.goes_to_console", lambda: True)
    page = open_context(admin_person).new_page()
    page.goto("/people/")
    page.get_by_label("Work email").fill("ruth@fernhill.example")
    page.get_by_role("button", name="Send invitation").click()
    expect(page.locator("#invitation-link")).to_contain_text("http://localhost:8000/accounts/invitation/?key=")
    expect(page.get_by_role("button", name="Copy link")).to_be_visible()
    assert not list(reported(page))
    page.reload()
    expect(page.locator("#invitation-link")).to_have_count(0)
