"""Fixtures: a Klaviyo on the loopback, and an account connected to it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from channels.models import Channel
from integrations.klaviyo import client
from integrations.models import KlaviyoAccount, SyncJob
from integrations.secrets import Secret
from integrations.starting import start
from jobs import lease
from jobs.runner import perform
from segments.models import Change, ChangeSet, Segment
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


@pytest.fixture
def email(db: None) -> Channel:
    """The channel Email."""
    return Channel.objects.get(slug="email")


@pytest.fixture
def work() -> Callable[[], int]:
    """Do what waits, as a worker would; return how many jobs that were."""

    def drain() -> int:
        done = 0
        while job := lease.claim("worker of the test"):
            perform(job)
            done += 1
        return done

    return drain


@pytest.fixture
def sync(email: Channel, account: KlaviyoAccount, work: Callable[[], int]) -> Callable[..., SyncJob]:
    """Sync Email from the connected account, as a worker does it: `sync(accept_missing=True)`."""

    def run(channel: Channel = email, **how: Any) -> SyncJob:
        user = how.pop("user", None)
        how.setdefault("via", ChangeSet.Via.WEB if user else ChangeSet.Via.COMMAND)
        job, _ = start(channel, user, **how)
        work()
        job.refresh_from_db()
        return job

    return run


def catalogue() -> list[Any]:
    """All that a sync may change, byte for byte."""
    segments: list[Any] = []
    for row in Segment.objects.order_by("pk").values():
        segments.append({name: bytes(v) if isinstance(v, memoryview) else v for name, v in row.items()})
    return [
        segments,
        list(ChangeSet.objects.order_by("pk").values()),
        Change.objects.count(),
        list(Channel.objects.order_by("pk").values()),
    ]


@pytest.fixture
def whole_catalogue() -> Callable[[], list[Any]]:
    """Return all that a sync may change, to compare before and after."""
    return catalogue
