"""Inviting somebody, and accepting."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail, signing
from django.core.mail import EmailMessage
from django.test import Client
from pytest_django import Settings

from accessaudience.roles import MARKETER, VIEWER, role_of
from people import mail as our_mail
from people.invitations import invite, link_of
from people.models import AccessEvent, Person

pytestmark = pytest.mark.django_db
URL, JOIN = "/people/", "/accounts/invitation/"
NEW = "a long password of theirs"
ANSWER = {"first_name": "Ruth", "last_name": "", "new_password1": NEW, "new_password2": NEW}


@pytest.fixture
def ruth(admin_person: Person) -> Person:
    return invite("ruth@example.com", MARKETER, admin_person)


def path_of(person: Person) -> str:
    return link_of(person).removeprefix("http://localhost:8000")


def send(client: Client, email: str = "Ruth@Example.com", role: str = MARKETER) -> Any:
    return client.post(URL, {"email": email, "role": role}, follow=True)


def test_an_invitation_is_a_mail_with_a_link(as_admin: Client) -> None:
    page = send(as_admin).content.decode()
    (message,) = mail.outbox
    assert message.to == ["ruth@example.com"]
    assert "Admin Person invites you" in str(message.body)
    link = re.search(r"http://localhost:8000(\S+)", str(message.body))
    assert link
    assert "Welcome" in Client().get(link.group(1)).content.decode()
    assert "The invitation to ruth@example.com is on its way." in page
    assert link.group(1) not in page


def test_the_link_leads_to_our_site_whatever_host_was_asked(as_admin: Client) -> None:
    as_admin.post(URL, {"email": "ruth@example.com", "role": VIEWER}, headers={"host": "127.0.0.1:6666"})
    assert "127.0.0.1" not in str(mail.outbox[0].body)


def test_without_a_mail_server_the_link_is_shown_once_and_sent_nowhere(as_admin: Client, settings: Settings) -> None:
    settings.EMAIL_BACKEND = our_mail.CONSOLE
    page = send(as_admin)
    assert page.context["link"]["email"] == "ruth@example.com"
    assert "?key=" in page.content.decode()
    assert "?key=" not in as_admin.get(URL).content.decode()
    assert not mail.outbox


def test_a_mail_that_cannot_be_sent_is_said(as_admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(EmailMessage, "send", refuse)
    assert "the mail could not be sent" in send(as_admin).content.decode()


def test_accepting_sets_name_and_password_and_signs_in_with_the_role(client: Client, ruth: Person) -> None:
    assert client.post(path_of(ruth), ANSWER)["Location"] == "/"
    assert client.get("/").status_code == 200
    ruth.refresh_from_db()
    assert (str(ruth), role_of(ruth), ruth.is_invited) == ("Ruth", MARKETER, False)
    assert Client().post("/accounts/login/", {"login": ruth.email, "password": NEW}).status_code == 302


def test_before_that_nobody_signs_in(client: Client, ruth: Person) -> None:
    for password in ("", "!", ruth.password):
        client.post("/accounts/login/", {"login": ruth.email, "password": password})
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"new_password2": "another"}, "didn’t match"),
        ({"new_password1": "12345678", "new_password2": "12345678"}, "too common"),
    ],
)
def test_a_password_that_will_not_do_is_refused_and_the_link_stays(
    client: Client, ruth: Person, change: dict[str, str], words: str
) -> None:
    assert words in client.post(path_of(ruth), {**ANSWER, **change}).content.decode()
    assert "Welcome" in client.get(path_of(ruth)).content.decode()


def ended(path: str) -> bool:
    return "does not work any more" in Client().get(path).content.decode()


def test_a_link_works_once(client: Client, ruth: Person) -> None:
    path = path_of(ruth)
    client.post(path, ANSWER)
    assert ended(path)
    assert "does not work" in Client().post(path, {**ANSWER, "first_name": "Mallory"}).content.decode()


def test_a_link_ends_after_a_week(ruth: Person, settings: Settings) -> None:
    assert settings.INVITATION_DAYS == 7
    path = path_of(ruth)
    settings.INVITATION_DAYS = -timedelta(seconds=1) / timedelta(days=1)
    assert ended(path)


def test_sending_again_ends_the_link_before(as_admin: Client, ruth: Person) -> None:
    before = path_of(ruth)
    as_admin.post(f"{URL}{ruth.pk}/invite/")
    ruth.refresh_from_db()
    assert ended(before)
    assert not ended(path_of(ruth))
    assert len(mail.outbox) == 1


def test_deactivating_withdraws_an_invitation_and_activating_does_not_bring_it_back(
    as_admin: Client, ruth: Person
) -> None:
    path = path_of(ruth)
    as_admin.post(f"{URL}{ruth.pk}/deactivate/")
    assert ended(path)
    as_admin.post(f"{URL}{ruth.pk}/activate/")
    assert ended(path)


def test_a_password_that_an_admin_sets_answers_an_invitation(as_admin: Client, ruth: Person) -> None:
    path = path_of(ruth)
    ruth.set_password(NEW)
    ruth.save()
    assert ended(path)
    assert as_admin.post(f"{URL}{ruth.pk}/invite/").status_code == 404
    assert len(as_admin.get(URL, {"show": "invited"}).context["rows"]) == 0


def test_a_changed_address_ends_the_link(ruth: Person) -> None:
    path = path_of(ruth)
    ruth.email = "other@example.com"
    ruth.save()
    assert ended(path)


@pytest.mark.parametrize("key", ["", "made-up", "WzEsIngiXQ:1abcde:x"])
def test_a_made_up_key_says_so(key: str) -> None:
    assert ended(f"{JOIN}?key={key}")


def test_a_key_of_another_kind_is_none(ruth: Person) -> None:
    assert ended(f"{JOIN}?key={signing.dumps([ruth.pk, 'x'], salt='another')}")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ("invited", "invited already"),
        ("active", "have an account already"),
        ("deactivated", "account is deactivated"),
    ],
)
def test_somebody_known_is_not_invited_but_what_to_do_is_said(
    as_admin: Client, ruth: Person, viewer: Person, make: str, words: str
) -> None:
    email = ruth.email if make == "invited" else viewer.email
    if make == "deactivated":
        viewer.deactivate()
    response = as_admin.post(URL, {"email": email.upper(), "role": VIEWER})
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not mail.outbox


def test_what_is_no_address_is_refused(as_admin: Client) -> None:
    response = as_admin.post(URL, {"email": "ruth", "role": VIEWER})
    assert response.status_code == 422
    assert "Enter their email address" in response.content.decode()


def test_inviting_and_accepting_are_recorded(as_admin: Client) -> None:
    send(as_admin)
    Client().post(path_of(Person.objects.get(email="ruth@example.com")), ANSWER)
    assert [str(event) for event in AccessEvent.objects.order_by("pk")] == [
        "Admin Person Invited ruth@example.com as Marketer",
        "Ruth Accepted an invitation",
        "Ruth Signed in",
    ]
