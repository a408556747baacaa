"""Connecting Klaviyo: the key goes in, is tried, and never comes out again."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from integrations.models import KlaviyoAccount
from tests.klaviyo import fake as faults
from tests.klaviyo.fake import READ_ALL, FakeKlaviyo

pytestmark = pytest.mark.django_db

CONNECT = "/integrations/klaviyo/"
TEST = "/integrations/klaviyo/test/"


def text_of(response: Any) -> str:
    return " ".join(response.content.decode().split())


def test_a_pasted_key_connects_the_account_it_opens(as_admin: Client, klaviyo: FakeKlaviyo) -> None:
    response = as_admin.post(CONNECT, {"key": f" {klaviyo.key}\n"}, follow=True)
    assert "“Fernhill Coffee” is connected." in text_of(response)
    account = KlaviyoAccount.objects.get()
    assert (account.name, account.account_id, account.last_four) == ("Fernhill Coffee", "XyZ123", "4f2a")
    assert account.key().reveal() == klaviyo.key
    assert klaviyo.key not in account.encrypted_key
    assert "••••4f2a" in text_of(response)
    assert klaviyo.key not in text_of(response)


def test_the_name_is_ours_if_one_is_given(as_admin: Client, klaviyo: FakeKlaviyo) -> None:
    as_admin.post(CONNECT, {"key": klaviyo.key, "name": "Wholesale"})
    assert KlaviyoAccount.objects.get().name == "Wholesale"


def test_an_account_connected_again_keeps_its_row(as_admin: Client, klaviyo: FakeKlaviyo) -> None:
    as_admin.post(CONNECT, {"key": klaviyo.key})
    account = KlaviyoAccount.objects.get()
    assert as_admin.post(f"/integrations/klaviyo/{account.pk}/disconnect/").status_code == 302
    account.refresh_from_db()
    assert (account.is_connected, account.last_four) == (False, "")
    as_admin.post(CONNECT, {"key": klaviyo.key})
    assert KlaviyoAccount.objects.get().pk == account.pk


def test_test_connection_names_the_account_and_its_permissions(as_admin: Client, klaviyo: FakeKlaviyo) -> None:
    response = as_admin.post(TEST, {"key": klaviyo.key}, headers={"HX-Request": "true"})
    assert response.templates[0].name == "integrations/_key_result.html"
    for words in ("Fernhill Coffee", "Accounts: read", "Lists: read", "Segments: read"):
        assert words in text_of(response)
    assert "missing" not in text_of(response)
    assert not KlaviyoAccount.objects.exists()


@pytest.mark.parametrize("word", ["Accounts", "Lists", "Segments"])
def test_test_connection_says_which_permission_is_missing(as_admin: Client, klaviyo: FakeKlaviyo, word: str) -> None:
    klaviyo.allow(*(READ_ALL - {f"{word.lower()}:read"}))
    shown = text_of(as_admin.post(TEST, {"key": klaviyo.key}))
    assert f"can&#x27;t read {word}." in shown or f"can't read {word}." in shown
    assert f"{word}: read is missing" in shown


def test_test_connection_is_a_whole_page_without_javascript(as_admin: Client, klaviyo: FakeKlaviyo) -> None:
    response = as_admin.post(TEST, {"key": klaviyo.key})
    assert "Connect a Klaviyo account" in text_of(response)
    assert klaviyo.key not in text_of(response)


@pytest.mark.parametrize("path", [CONNECT, TEST])
def test_a_refused_key_says_what_to_do(as_admin: Client, klaviyo: FakeKlaviyo, path: str) -> None:
    klaviyo.allow()
    assert "Settings → API keys" in text_of(as_admin.post(path, {"key": klaviyo.key}))


def test_a_key_that_lacks_a_permission_is_not_connected(as_admin: Client, klaviyo: FakeKlaviyo) -> None:
    klaviyo.allow("accounts:read", "segments:read")
    response = as_admin.post(CONNECT, {"key": klaviyo.key})
    assert response.status_code == 422
    assert "lacks lists:read" in text_of(response)
    assert not KlaviyoAccount.objects.exists()


@pytest.mark.parametrize(
    "key", ["", "sk_live_1", "pk_", "pk_a b c d", "pk_abcdef\r\nX-Evil: 1", "pk_" + "x" * 400, "pk_é1234"]
)
def test_what_is_no_key_is_never_sent(as_admin: Client, klaviyo: FakeKlaviyo, key: str) -> None:
    for path in (CONNECT, TEST):
        response = as_admin.post(path, {"key": key})
        assert response.status_code == (422 if path == CONNECT else 200)
        assert 'aria-invalid="true"' in text_of(response)
        if key:
            assert key.strip() not in response.content.decode().replace("starts with pk_", "").replace(
                "Starts with pk_", ""
            )
    assert klaviyo.requests == []


def test_hostile_account_names_are_text(as_admin: Client, klaviyo: FakeKlaviyo) -> None:
    klaviyo.account_name = "<script>alert(1)</script>" + "x" * 300
    as_admin.post(CONNECT, {"key": klaviyo.key})
    shown = as_admin.get("/integrations/").content.decode()
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert" in shown


# Replacing the key


def test_a_key_is_replaced_only_with_the_password(
    as_admin: Client, account: KlaviyoAccount, klaviyo: FakeKlaviyo, password: str
) -> None:
    path = f"/integrations/klaviyo/{account.pk}/key/"
    new = "pk_new_0123456789abcdef9999"
    klaviyo.keys[new] = READ_ALL
    for wrong in ("", "not it"):
        assert as_admin.post(path, {"key": new, "password": wrong}).status_code == 422
        account.refresh_from_db()
        assert account.last_four == "4f2a"
    assert klaviyo.requests == []
    response = as_admin.post(path, {"key": new, "password": password}, follow=True)
    assert "is replaced" in text_of(response)
    account.refresh_from_db()
    assert (account.last_four, account.key().reveal()) == ("9999", new)


def test_guessing_the_password_for_it_is_throttled(
    as_admin: Client, account: KlaviyoAccount, klaviyo: FakeKlaviyo, password: str
) -> None:
    path = f"/integrations/klaviyo/{account.pk}/key/"
    assert [as_admin.post(path, {"key": klaviyo.key, "password": "not it"}).status_code for _ in range(10)] == [
        422
    ] * 10
    assert as_admin.post(path, {"key": klaviyo.key, "password": password}).status_code == 429
    assert as_admin.post("/accounts/confirm/", {"password": password}).status_code == 429


def test_a_key_of_another_account_does_not_replace(
    as_admin: Client, account: KlaviyoAccount, klaviyo: FakeKlaviyo, password: str
) -> None:
    klaviyo.account_id, klaviyo.account_name = "Other1", "Fernhill – Test"
    response = as_admin.post(f"/integrations/klaviyo/{account.pk}/key/", {"key": klaviyo.key, "password": password})
    assert response.status_code == 422
    assert "opens “Fernhill – Test”, not “Fernhill Coffee”" in text_of(response)


# The stored key


@pytest.mark.parametrize(
    ("scopes", "says"),
    [(READ_ALL, "with all permissions"), (READ_ALL - {"lists:read"}, "lacks lists:read"), ((), "did not accept")],
)
def test_the_stored_key_can_be_tested(
    as_admin: Client, account: KlaviyoAccount, klaviyo: FakeKlaviyo, scopes: Any, says: str
) -> None:
    klaviyo.allow(*scopes)
    shown = text_of(as_admin.post(f"/integrations/klaviyo/{account.pk}/test/", follow=True))
    assert says in shown


def test_a_stored_key_that_cannot_be_read_says_so(as_admin: Client, account: KlaviyoAccount) -> None:
    account.encrypted_key = "nonsense"
    account.save()
    shown = text_of(as_admin.post(f"/integrations/klaviyo/{account.pk}/test/", follow=True))
    assert "ENCRYPTION_KEYS was changed" in shown


def test_a_key_that_klaviyo_refused_is_shown_as_refused_until_it_works(
    as_admin: Client, account: KlaviyoAccount, klaviyo: FakeKlaviyo
) -> None:
    test = f"/integrations/klaviyo/{account.pk}/test/"
    klaviyo.allow()
    assert "Key refused" in text_of(as_admin.post(test, follow=True))
    klaviyo.allow(*READ_ALL)
    klaviyo.misbehave(faults.status(500))
    shown = text_of(as_admin.post(test, follow=True))
    assert "Key refused" in shown
    klaviyo.behave()
    shown = text_of(as_admin.post(test, follow=True))
    assert "Key refused" not in shown
    assert "Connected" in shown


def test_a_disconnected_account_is_gone_from_the_page(as_admin: Client, account: KlaviyoAccount) -> None:
    assert "Fernhill" in text_of(as_admin.get("/integrations/"))
    assert "Its key ending" in text_of(as_admin.get(f"/integrations/klaviyo/{account.pk}/disconnect/"))
    as_admin.post(f"/integrations/klaviyo/{account.pk}/disconnect/")
    shown = text_of(as_admin.get("/integrations/"))
    assert "Connect Klaviyo" in shown
    assert as_admin.get(f"/integrations/klaviyo/{account.pk}/key/").status_code == 404


# The command


def run_command(monkeypatch: pytest.MonkeyPatch, key: str, *options: str) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{key}\n"))
    out = io.StringIO()
    call_command("connect_klaviyo", *options, stdout=out)
    return out.getvalue()


def test_the_command_takes_the_key_on_standard_input(klaviyo: FakeKlaviyo, monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.loads(run_command(monkeypatch, klaviyo.key, "--name", "Wholesale", "--json"))
    assert told["error"] is None
    assert told["account"]["name"] == "Wholesale"
    assert told["account"]["key"] == "••••4f2a"
    assert klaviyo.key not in json.dumps(told)
    assert "Wholesale" in run_command(monkeypatch, klaviyo.key)


@pytest.mark.parametrize(("key", "code"), [("nonsense", "key_invalid"), ("pk_unknown1", "key_refused")])
def test_the_command_refuses_with_status_1(
    klaviyo: FakeKlaviyo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str, code: str
) -> None:
    with pytest.raises(CommandError) as refused:
        run_command(monkeypatch, key)
    assert refused.value.returncode == 1
    assert str(refused.value)
    assert key not in str(refused.value)
    assert not KlaviyoAccount.objects.exists()


def test_an_unreachable_klaviyo_says_so(as_admin: Client, klaviyo: FakeKlaviyo) -> None:
    klaviyo.misbehave(faults.reset)
    assert "could not be reached" in text_of(as_admin.post(CONNECT, {"key": klaviyo.key}))
