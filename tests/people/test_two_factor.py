"""The second proof: turning it on and off, signing in with it, recovery codes."""

import re
from io import StringIO
from urllib.parse import urlencode

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from cryptography.fernet import Fernet, InvalidToken
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from people import mfa
from people.models import AccessEvent, Person

pytestmark = pytest.mark.django_db
LOGIN, CODE, ON = "/accounts/login/", "/accounts/login/code/", "/accounts/two-factor/on/"
OFF, CODES, NEW_CODES = "/accounts/two-factor/off/", "/accounts/two-factor/codes/", "/accounts/two-factor/codes/new/"


@pytest.fixture(autouse=True)
def _still_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the half minute of a code not end amid a test, and forget tries and used codes."""
    monkeypatch.setattr(auth, "yield_hotp_counters_from_time", lambda: iter([1]))
    cache.clear()


def code_of(secret: str) -> str:
    return auth.format_hotp_value(auth.hotp_value(secret.replace(" ", ""), 1))


def confirm(client: Client, password: str) -> None:
    assert client.post("/accounts/confirm/", {"password": password}).status_code == 302


def turn_on(client: Client, password: str) -> tuple[str, list[str]]:
    """Turn it on as people do; return the secret and the recovery codes."""
    confirm(client, password)
    page = client.get(ON)
    secret = page.context["secret"]
    shown = client.post(ON, {"code": code_of(secret)}, follow=True)
    return secret, shown.context["unused_codes"]


def password_given(person: Person, password: str) -> Client:
    """A client that has given its password, and is asked for the code."""
    client = Client()
    response = client.post(LOGIN, {"login": person.email, "password": password})
    assert response["Location"] == CODE
    return client


def test_turning_it_on_asks_for_the_password_first(as_viewer: Client) -> None:
    assert as_viewer.get(ON)["Location"] == f"/accounts/confirm/?{urlencode({'next': ON})}"


def test_a_wrong_password_confirms_nothing(as_viewer: Client) -> None:
    assert "This is not your password" in as_viewer.post("/accounts/confirm/", {"password": "x"}).content.decode()
    assert as_viewer.get(ON).status_code == 302


def test_the_picture_to_scan_is_drawn_in_the_page_itself(as_viewer: Client, password: str) -> None:
    confirm(as_viewer, password)
    page = as_viewer.get(ON).content.decode()
    assert re.search(r'<svg class="qr" viewBox="0 0 \d+ \d+"[^>]*><path d="M\d+ ', page)
    assert "data:image" not in page


def test_a_wrong_code_turns_nothing_on_and_keeps_the_secret(as_viewer: Client, password: str) -> None:
    confirm(as_viewer, password)
    secret = as_viewer.get(ON).context["secret"]
    response = as_viewer.post(ON, {"code": "abc"})
    assert "This code is not right" in response.content.decode()
    assert response.context["secret"] == secret
    assert not Authenticator.objects.exists()


def test_turning_it_on_shows_ten_recovery_codes_once(as_viewer: Client, password: str) -> None:
    _, codes = turn_on(as_viewer, password)
    assert len(set(codes)) == 10
    again = as_viewer.get(CODES).content.decode()
    assert "10 of 10 codes are left" in again
    assert not any(code in again for code in codes)


def test_the_password_alone_signs_nobody_in_then(as_viewer: Client, viewer: Person, password: str) -> None:
    turn_on(as_viewer, password)
    client = password_given(viewer, password)
    assert client.get("/").status_code == 302
    assert isinstance(client.get(CODE).wsgi_request.user, AnonymousUser)


def test_a_code_of_the_app_signs_in_once(as_viewer: Client, viewer: Person, password: str) -> None:
    secret, _ = turn_on(as_viewer, password)
    assert password_given(viewer, password).post(CODE, {"code": code_of(secret)})["Location"] == "/"
    again = password_given(viewer, password)
    assert "was used before" in again.post(CODE, {"code": code_of(secret)}).content.decode()


def test_a_recovery_code_signs_in_once(as_viewer: Client, viewer: Person, password: str) -> None:
    _, codes = turn_on(as_viewer, password)
    assert password_given(viewer, password).post(CODE, {"code": codes[0]})["Location"] == "/"
    assert password_given(viewer, password).post(CODE, {"code": codes[0]}).status_code == 200
    assert "9 of 10 left" in as_viewer.get("/accounts/").content.decode()


def test_guessing_codes_is_throttled(as_viewer: Client, viewer: Person, password: str) -> None:
    secret, _ = turn_on(as_viewer, password)
    client = password_given(viewer, password)
    for _ in range(6):
        client.post(CODE, {"code": "000000"})
    assert "Too many failed tries" in client.post(CODE, {"code": code_of(secret)}).content.decode()


def test_without_a_password_given_there_is_nothing_to_type_a_code_for(client: Client) -> None:
    assert client.get(CODE)["Location"] == LOGIN
    assert client.post(CODE, {"code": "000000"})["Location"] == LOGIN


def test_a_form_without_a_code_asks_again(as_viewer: Client, viewer: Person, password: str) -> None:
    turn_on(as_viewer, password)
    assert password_given(viewer, password).post(CODE, {})["Location"] == CODE


def test_django_admin_asks_for_the_code_too(admin_person: Person, as_admin: Client, password: str) -> None:
    turn_on(as_admin, password)
    client = Client()
    page = client.get("/admin/", follow=True)
    assert page.redirect_chain[-1][0] == f"{LOGIN}?next=/admin/"
    data = {"login": admin_person.email, "password": password, "next": "/admin/"}
    assert client.post(f"{LOGIN}?next=/admin/", data)["Location"] == CODE
    assert client.get("/admin/").status_code == 302


def test_somebody_deactivated_between_password_and_code_does_not_get_in(
    as_viewer: Client, viewer: Person, password: str
) -> None:
    secret, _ = turn_on(as_viewer, password)
    client = password_given(viewer, password)
    Person.objects.filter(pk=viewer.pk).update(is_active=False)
    client.post(CODE, {"code": code_of(secret)})
    assert client.get("/").status_code == 302


def test_turning_it_off_makes_the_codes_worthless(as_viewer: Client, viewer: Person, password: str) -> None:
    turn_on(as_viewer, password)
    assert as_viewer.post(OFF)["Location"] == "/accounts/"
    assert not Authenticator.objects.exists()
    assert Client().post(LOGIN, {"login": viewer.email, "password": password})["Location"] == "/"


def test_new_codes_replace_the_old_ones(as_viewer: Client, viewer: Person, password: str) -> None:
    _, old = turn_on(as_viewer, password)
    new = as_viewer.post(NEW_CODES, follow=True).context["unused_codes"]
    assert not set(old) & set(new)
    assert password_given(viewer, password).post(CODE, {"code": old[0]}).status_code == 200


def test_secrets_are_encrypted_in_the_database(as_viewer: Client, password: str) -> None:
    secret, _ = turn_on(as_viewer, password)
    assert not any(secret.replace(" ", "") in str(each.data) for each in Authenticator.objects.all())
    for each in Authenticator.objects.all():
        assert str(each.data.get("secret") or each.data.get("seed")).startswith("gAAAA")


def test_a_secret_that_no_key_opens_lets_nobody_in(
    as_viewer: Client, viewer: Person, password: str, settings: Settings
) -> None:
    secret, codes = turn_on(as_viewer, password)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    for code in (code_of(secret), codes[0]):
        assert password_given(viewer, password).post(CODE, {"code": code}).status_code == 200


def test_rotating_moves_secrets_to_the_newest_key(
    as_viewer: Client, viewer: Person, password: str, settings: Settings
) -> None:
    secret, _ = turn_on(as_viewer, password)
    old, new = settings.ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, old]
    assert mfa.rotate() == 2
    settings.ENCRYPTION_KEYS = [new]
    assert password_given(viewer, password).post(CODE, {"code": code_of(secret)})["Location"] == "/"


def test_rotating_without_the_old_key_changes_nothing(as_viewer: Client, password: str, settings: Settings) -> None:
    turn_on(as_viewer, password)
    before = list(Authenticator.objects.values_list("data", flat=True))
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(InvalidToken):
        mfa.rotate()
    assert list(Authenticator.objects.values_list("data", flat=True)) == before


def test_the_command_rotates_all_or_says_why_not(as_viewer: Client, password: str, settings: Settings) -> None:
    turn_on(as_viewer, password)
    out = StringIO()
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.ENCRYPTION_KEYS]
    call_command("rotate_keys", stdout=out)
    assert out.getvalue() == "2 encrypted anew\n"
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("rotate_keys")


def test_the_command_line_lets_in_who_lost_the_second_proof(as_viewer: Client, viewer: Person, password: str) -> None:
    turn_on(as_viewer, password)
    out = StringIO()
    call_command("turn_off_two_factor", viewer.email.upper(), stdout=out)
    call_command("turn_off_two_factor", viewer.email, stdout=out)
    assert out.getvalue().splitlines() == [
        "viewer@example.com signs in by password alone now.",
        "viewer@example.com has no two-factor sign-in. Nothing was changed.",
    ]
    assert as_viewer.get("/").status_code == 302
    assert Client().post(LOGIN, {"login": viewer.email, "password": password})["Location"] == "/"
    assert AccessEvent.objects.filter(about="Off for viewer@example.com", user_agent="command line").count() == 1


def test_the_command_says_who_is_not_there() -> None:
    with pytest.raises(CommandError, match="Nobody has the address"):
        call_command("turn_off_two_factor", "nobody@example.com")
