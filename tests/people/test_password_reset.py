"""Setting a new password by a link in a mail."""

import logging
import re
import threading
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.core.mail import EmailMessage
from django.test import Client
from pytest_django import Settings

from accessaudience.logs import WorthLogging
from people.mail import THREAD
from people.models import Person

pytestmark = pytest.mark.django_db
RESET, LOGIN = "/accounts/password/reset/", "/accounts/login/"
NEW = "another long password"


@pytest.fixture(autouse=True)
def _no_tries_counted() -> None:
    cache.clear()


def ask(client: Client, email: str, **headers: Any) -> list[EmailMessage]:
    """Ask for a link; return the mails that were sent once they are."""
    assert client.post(RESET, {"email": email}, **headers)["Location"] == "/accounts/password/reset/sent/"
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join()
    return mail.outbox


def link_in(message: EmailMessage) -> str:
    found = re.search(r"^http\S+$", str(message.body), re.MULTILINE)
    assert found
    return found.group().partition("8000")[2]


def test_a_link_in_a_mail_sets_a_new_password(client: Client, viewer: Person) -> None:
    (message,) = ask(client, viewer.email.upper())
    assert message.to == [viewer.email]
    form = client.get(link_in(message), follow=True)
    response = client.post(form.context["action_url"], {"password1": NEW, "password2": NEW}, follow=True)
    assert "Your password is changed" in response.content.decode()
    assert client.post(LOGIN, {"login": viewer.email, "password": NEW})["Location"] == "/"


def test_the_key_is_not_in_the_address_of_the_form(client: Client, viewer: Person) -> None:
    link = link_in(ask(client, viewer.email)[0])
    assert client.get(link)["Location"].endswith("-set-password/")


def test_a_new_password_ends_every_session(client: Client, as_viewer: Client, viewer: Person) -> None:
    form = client.get(link_in(ask(client, viewer.email)[0]), follow=True)
    client.post(form.context["action_url"], {"password1": NEW, "password2": NEW})
    assert as_viewer.get("/").status_code == 302


def test_a_reset_makes_no_second_record_of_the_address(client: Client, viewer: Person) -> None:
    form = client.get(link_in(ask(client, viewer.email)[0]), follow=True)
    client.post(form.context["action_url"], {"password1": NEW, "password2": NEW})
    assert not EmailAddress.objects.exists()


def test_a_link_works_once(client: Client, viewer: Person) -> None:
    link = link_in(ask(client, viewer.email)[0])
    form = client.get(link, follow=True)
    client.post(form.context["action_url"], {"password1": NEW, "password2": NEW})
    assert "does not work any more" in Client().get(link, follow=True).content.decode()


def test_a_link_ends_after_an_hour(client: Client, viewer: Person, settings: Settings) -> None:
    assert settings.PASSWORD_RESET_TIMEOUT == 3600
    link = link_in(ask(client, viewer.email)[0])
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert "does not work any more" in Client().get(link, follow=True).content.decode()


def test_a_made_up_link_says_so(client: Client) -> None:
    assert "does not work any more" in client.get(f"{RESET}1-made-up/", follow=True).content.decode()


def test_a_stranger_and_somebody_known_are_told_the_same(client: Client, viewer: Person) -> None:
    known = client.post(RESET, {"email": viewer.email}, follow=True)
    unknown = client.post(RESET, {"email": "nobody@example.com"}, follow=True)
    assert known.redirect_chain == unknown.redirect_chain
    assert known.content == unknown.content


def test_a_stranger_gets_no_mail(client: Client) -> None:
    assert ask(client, "nobody@example.com") == []


def test_somebody_inactive_gets_no_mail(client: Client, viewer: Person) -> None:
    Person.objects.update(is_active=False)
    assert ask(client, viewer.email) == []


def test_somebody_invited_uses_the_invitation(client: Client, viewer: Person) -> None:
    viewer.set_unusable_password()
    viewer.save()
    assert ask(client, viewer.email) == []


def test_a_mail_that_cannot_be_sent_does_not_tell_who_has_an_account(
    client: Client, viewer: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(EmailMessage, "send", refuse)
    ask(client, viewer.email)
    assert "A mail could not be sent" in caplog.text


@pytest.mark.parametrize("host", ["localhost:6666", "127.0.0.1"])
def test_the_link_leads_to_our_site_whatever_host_was_asked(client: Client, viewer: Person, host: str) -> None:
    (message,) = ask(client, viewer.email, headers={"host": host, "x-forwarded-host": "evil.example"})
    assert "http://localhost:8000/accounts/password/reset/" in str(message.body)
    assert "6666" not in str(message.body)
    assert "evil" not in str(message.body)


def test_the_access_log_does_not_keep_the_key_of_a_link() -> None:
    path = "/accounts/password/reset/1a-d8rt5k-0123456789abcdef/"
    record = logging.LogRecord("gunicorn.access", logging.INFO, "", 0, "%(m)s %(U)s", ({"m": "GET", "U": path},), None)
    assert WorthLogging().filter(record)
    assert record.getMessage() == "GET /accounts/password/reset/…/"


def test_asking_is_throttled(client: Client, viewer: Person) -> None:
    answers = [client.post(RESET, {"email": viewer.email}).status_code for _ in range(6)]
    assert answers[-1] == 429
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join()
