"""Keys of Klaviyo accounts: what was done to them is in the record of access, the keys themselves are not."""

import io

import pytest
from django.core.management import call_command
from django.test import Client

from integrations.models import KlaviyoAccount
from people.models import AccessEvent
from tests.klaviyo.fake import FakeKlaviyo

pytestmark = pytest.mark.django_db
CONNECT = "/integrations/klaviyo/"


def test_connecting_replacing_and_disconnecting_are_recorded_without_the_key(
    as_admin: Client, klaviyo: FakeKlaviyo, password: str
) -> None:
    as_admin.post(CONNECT, {"key": klaviyo.key})
    account = KlaviyoAccount.objects.get()
    as_admin.post(f"{CONNECT}{account.pk}/key/", {"key": klaviyo.key, "password": password})
    as_admin.post(f"{CONNECT}{account.pk}/disconnect/")
    assert [str(event) for event in AccessEvent.objects.order_by("pk")] == [
        "Admin Person Changed a key Connected Klaviyo account XyZ123 by key ••••4f2a",
        "Admin Person Changed a key Replaced that of Klaviyo account XyZ123 by ••••4f2a",
        "Admin Person Changed a key Deleted that of Klaviyo account XyZ123",
    ]
    assert not any(klaviyo.key in str(row) for row in AccessEvent.objects.values_list())


def test_a_refused_key_changes_nothing_and_is_not_recorded(as_admin: Client, klaviyo: FakeKlaviyo) -> None:
    klaviyo.allow()
    as_admin.post(CONNECT, {"key": klaviyo.key})
    assert not AccessEvent.objects.exists()


def test_the_command_is_recorded_as_such(
    klaviyo: FakeKlaviyo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(klaviyo.key))
    call_command("connect_klaviyo")
    event = AccessEvent.objects.get()
    assert (event.kind, event.person, event.user_agent) == ("key", None, "command line")
