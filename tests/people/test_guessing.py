"""Guessing at passwords: held back, without letting anybody keep the owner of an account out."""

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client

from people.models import Person

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"
TOO_MANY = "Too many failed tries"
ANYWHERE = 100  # wrong passwords an hour, at one account


@pytest.fixture(autouse=True)
def _no_tries_counted() -> None:
    cache.clear()


def try_in(client: Client, login: str, password: str, address: str = "10.0.0.1") -> str:
    """What the page says; blank if that signed in."""
    answer = client.post(LOGIN, {"login": login, "password": password}, REMOTE_ADDR=address)
    return "" if answer.status_code == 302 else answer.content.decode()


def guess(login: str, times: int, address: str = "10.0.0.1") -> str:
    """What a stranger's last wrong guess is told."""
    told = ""
    for _ in range(times):
        told = try_in(Client(), login, "wrong", address)
    return told


def guess_from_everywhere(login: str) -> None:
    """Use up what all strangers together may try."""
    for number in range(ANYWHERE // 5):
        guess(login, 5, f"10.0.1.{number}")


def test_guesses_from_one_address_are_cut_off_there_and_only_there(viewer: Person, password: str) -> None:
    assert TOO_MANY in guess(viewer.email, 6)
    assert TOO_MANY in try_in(Client(), viewer.email, password)
    assert not try_in(Client(), viewer.email, password, "10.0.0.2")


def test_guesses_from_many_addresses_are_cut_off_together(viewer: Person, password: str) -> None:
    guess_from_everywhere(viewer.email)
    assert TOO_MANY in try_in(Client(), viewer.email.upper(), password, "10.9.9.9")


def test_who_has_signed_in_before_is_kept_out_by_nobodys_guesses(viewer: Person, password: str) -> None:
    browser = Client()
    assert not try_in(browser, viewer.email, password)
    browser.post("/accounts/logout/")
    guess_from_everywhere(viewer.email)
    guess(viewer.email, 6)
    assert not try_in(browser, viewer.email.upper(), password)


def test_a_browser_that_knows_an_account_is_held_back_too(viewer: Person, password: str) -> None:
    browser = Client()
    assert not try_in(browser, viewer.email, password)
    browser.post("/accounts/logout/")
    for _ in range(5):
        assert TOO_MANY not in try_in(browser, viewer.email, "wrong")
    assert TOO_MANY in try_in(browser, viewer.email, password)


def test_a_browser_that_knows_one_account_is_a_stranger_to_another(
    viewer: Person, marketer: Person, password: str
) -> None:
    browser = Client()
    assert not try_in(browser, viewer.email, password)
    browser.post("/accounts/logout/")
    guess_from_everywhere(marketer.email)
    assert TOO_MANY in try_in(browser, marketer.email, password)


@pytest.mark.parametrize("said", ["", "x", "WyJhIiwiYiJd:1xXBem:aaaa", "\x00"])
def test_a_browser_that_only_claims_to_be_known_is_not(viewer: Person, password: str, said: str) -> None:
    guess_from_everywhere(viewer.email)
    browser = Client()
    browser.cookies[settings.KNOWN_COOKIE_NAME] = said
    assert TOO_MANY in try_in(browser, viewer.email, password)


def test_a_right_password_uses_nothing_up(viewer: Person, password: str) -> None:
    for _ in range(12):
        assert not try_in(Client(), viewer.email, password)


def test_what_is_known_names_nobody_and_is_no_sign_in(viewer: Person, password: str) -> None:
    browser = Client()
    try_in(browser, viewer.email, password)
    kept = browser.cookies[settings.KNOWN_COOKIE_NAME]
    assert viewer.email not in kept.value
    assert kept["httponly"]
    stranger = Client()
    stranger.cookies[settings.KNOWN_COOKIE_NAME] = kept.value
    assert stranger.get("/").status_code == 302
