"""Signing in and out, one's password, the theme."""

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse

from people.models import Person

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def _no_tries_counted() -> None:
    cache.clear()


def test_email_signs_in_whatever_its_case(client: Client, viewer: Person, password: str) -> None:
    response = client.post(LOGIN, {"login": viewer.email.upper(), "password": password})
    assert response.status_code == 302
    assert response["Location"] == "/"


def test_signing_in_goes_on_where_one_wanted_to_be(client: Client, viewer: Person, password: str) -> None:
    page = client.get("/accounts/password/", follow=True)
    assert page.redirect_chain == [("/accounts/login/?next=/accounts/password/", 302)]
    response = client.post(LOGIN, {"login": viewer.email, "password": password, "next": "/accounts/password/"})
    assert response["Location"] == "/accounts/password/"


def test_signing_in_never_leads_to_another_host(client: Client, viewer: Person, password: str) -> None:
    data = {"login": viewer.email, "password": password, "next": "https://evil.example/"}
    assert client.post(LOGIN, data)["Location"] == "/"


@pytest.mark.parametrize("login", ["viewer@example.com", "nobody@example.com"])
def test_a_wrong_password_and_an_unknown_address_look_alike(client: Client, viewer: Person, login: str) -> None:
    response = client.post(LOGIN, {"login": login, "password": "wrong"})
    assert "don&#x27;t belong together" in response.content.decode()


def test_somebody_inactive_does_not_get_in(client: Client, viewer: Person, password: str) -> None:
    Person.objects.update(is_active=False)
    client.post(LOGIN, {"login": viewer.email, "password": password})
    assert "_auth_user_id" not in client.session


def test_guessing_is_throttled_even_with_the_right_password_at_last(
    client: Client, viewer: Person, password: str
) -> None:
    for _ in range(10):
        client.post(LOGIN, {"login": viewer.email, "password": "wrong"})
    response = client.post(LOGIN, {"login": viewer.email, "password": password})
    assert "Too many failed tries" in response.content.decode()


def test_not_ticking_keep_me_signed_in_ends_with_the_browser(client: Client, viewer: Person, password: str) -> None:
    client.post(LOGIN, {"login": viewer.email, "password": password})
    assert client.session.get_expire_at_browser_close()


def test_ticking_it_keeps_one_signed_in(client: Client, viewer: Person, password: str) -> None:
    client.post(LOGIN, {"login": viewer.email, "password": password, "remember": "on"})
    assert not client.session.get_expire_at_browser_close()


def test_signing_in_needs_no_second_record_of_the_address(client: Client, viewer: Person, password: str) -> None:
    client.post(LOGIN, {"login": viewer.email, "password": password})
    assert not EmailAddress.objects.exists()


@pytest.mark.parametrize("name", ["account_signup", "account_email", "account_set_password"])
def test_what_is_not_built_has_no_url(name: str) -> None:
    with pytest.raises(NoReverseMatch):
        reverse(name)


def test_signing_out_ends_the_session(as_viewer: Client) -> None:
    response = as_viewer.post("/accounts/logout/")
    assert response["Location"] == LOGIN
    assert as_viewer.get("/").status_code == 302


def test_a_changed_password_works_and_keeps_one_signed_in(as_viewer: Client, viewer: Person, password: str) -> None:
    new = "another long password"
    data = {"oldpassword": password, "password1": new, "password2": new}
    response = as_viewer.post("/accounts/password/", data, follow=True)
    viewer.refresh_from_db()
    assert viewer.check_password(new)
    assert "Your password is changed." in response.content.decode()


@pytest.mark.parametrize(
    ("old", "new", "again", "words"),
    [
        ("wrong", "another long password", "another long password", "not your current password"),
        (None, "another long password", "something else", "must type the same password"),
        (None, "12345678", "12345678", "too common"),
        (None, "short1x", "short1x", "at least 8 characters"),
    ],
)
def test_a_password_that_will_not_do_is_refused_with_the_reason(
    as_viewer: Client, viewer: Person, password: str, old: str | None, new: str, again: str, words: str
) -> None:
    response = as_viewer.post(
        "/accounts/password/", {"oldpassword": old or password, "password1": new, "password2": again}
    )
    viewer.refresh_from_db()
    assert words in response.content.decode()
    assert viewer.check_password(password)


def test_a_changed_password_ends_the_other_sessions(as_viewer: Client, viewer: Person, password: str) -> None:
    elsewhere = Client()
    elsewhere.force_login(viewer)
    new = "another long password"
    as_viewer.post("/accounts/password/", {"oldpassword": password, "password1": new, "password2": new})
    assert elsewhere.get("/").status_code == 302
    assert as_viewer.get("/").status_code == 200


def test_tries_are_counted_for_all_processes_together() -> None:
    """In the database (or Redis), not in the memory of one of them."""
    assert settings.CACHES["default"]["BACKEND"] == "accessaudience.cache_table.CacheTable"
    cache.set("tries", 3)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM shared_cache")
        assert cursor.fetchone() == (1,)


def test_tries_are_counted_by_the_address_that_the_trusted_proxy_saw(client: Client, settings: Any) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for number in range(11):
        address = {"x-forwarded-for": f"10.0.0.{number}, 203.0.113.7"}  # the first is what the client claims
        response = client.post(LOGIN, {"login": f"nobody{number}@example.com", "password": "x"}, headers=address)
    assert "Too many failed tries" in response.content.decode()
    elsewhere = client.post(
        LOGIN, {"login": "a@example.com", "password": "x"}, headers={"x-forwarded-for": "203.0.113.8"}
    )
    assert "belong together" in elsewhere.content.decode()


def test_somebody_without_a_role_is_told_so_on_their_account(client: Client) -> None:
    client.force_login(Person.objects.create_user("new@example.com", "secret"))
    assert "You have no role yet" in client.get("/accounts/").content.decode()
    assert client.get("/").status_code == 403


def test_django_admin_is_entered_by_the_same_door(client: Client) -> None:
    response = client.get("/admin/", follow=True)
    assert response.redirect_chain[-1][0].startswith(LOGIN)
    assert "Work email" in response.content.decode()


def test_two_addresses_that_differ_in_case_are_one_person() -> None:
    Person.objects.create_user("Maya@Example.com")
    with pytest.raises(IntegrityError), transaction.atomic():
        Person.objects.create_user("maya@example.COM")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_theme_is_kept_in_a_cookie_and_set_by_the_server(as_viewer: Client, theme: str) -> None:
    response = as_viewer.post("/theme/", {"theme": theme, "next": "/accounts/password/"})
    assert response["Location"] == "/accounts/password/"
    assert f'data-bs-theme="{theme}"' in as_viewer.get("/accounts/password/").content.decode()


def test_the_device_theme_forgets_the_cookie(as_viewer: Client) -> None:
    as_viewer.cookies["theme"] = "dark"
    as_viewer.post("/theme/", {"theme": "device"})
    assert "data-bs-theme" not in as_viewer.get("/accounts/password/").content.decode()


def test_a_made_up_theme_is_not_written_into_the_page(as_viewer: Client) -> None:
    as_viewer.cookies["theme"] = '"><script>'
    assert "data-bs-theme" not in as_viewer.get("/accounts/password/").content.decode()


def test_under_tls_a_browser_keeps_the_theme_and_messages_to_this_host(as_viewer: Client, settings: Any) -> None:
    settings.HTTPS = settings.SESSION_COOKIE_SECURE = True
    settings.THEME_COOKIE_NAME, settings.MESSAGES_COOKIE_NAME = "__Host-theme", "__Host-messages"
    as_viewer.post("/theme/", {"theme": "dark"})
    as_viewer.post("/accounts/time-zone/", {"time_zone": "Europe/Berlin"})
    for name in ("__Host-theme", "__Host-messages"):
        cookie = as_viewer.cookies[name]
        assert (cookie["path"], cookie["domain"], cookie["secure"], cookie["httponly"]) == ("/", "", True, True)
    page = as_viewer.get("/accounts/").content.decode()
    assert 'data-bs-theme="dark"' in page
    assert "Saved. Where you are it is" in page


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "overview"])
def test_choosing_a_theme_never_leads_to_another_host(as_viewer: Client, to: str) -> None:
    assert as_viewer.post("/theme/", {"theme": "dark", "next": to})["Location"] == "/"


def test_the_shell_costs_one_query_for_all_channels(as_viewer: Client) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        as_viewer.get("/accounts/password/")
    assert len([q for q in queries if re.search('FROM "channels_channel"', q["sql"])]) == 1
