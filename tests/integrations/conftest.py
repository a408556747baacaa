"""Fixtures: a Klaviyo on the loopback, and an account connected to it."""

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.klaviyo import client
from integrations.models import KlaviyoAccount
from integrations.secrets import Secret
from tests.klaviyo.fake import READ_ALL, FakeKlaviyo


@pytest.fixture
def klaviyo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKlaviyo]:
    """A Klaviyo with nothing in it, served where the settings say; pauses between attempts are short."""
    monkeypatch.setattr(client, "BACK_OFF", 0.005)
    with FakeKlaviyo().serving() as fake:
        settings.KLAVIYO_API_BASE_URL = fake.url
        yield fake


@pytest.fixture
def account(db: None, klaviyo: FakeKlaviyo) -> KlaviyoAccount:
    """The account of that Klaviyo, connected."""
    made = KlaviyoAccount(account_id=klaviyo.account_id, name="Fernhill", organisation=klaviyo.account_name)
    made.scopes = sorted(READ_ALL)
    made.keep_key(Secret(klaviyo.key))
    made.save()
    return made
