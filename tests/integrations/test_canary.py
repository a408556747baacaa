"""The private key is in the database, encrypted, and nowhere else: not in a page, a log, a mail, a dump."""

import contextlib
import io
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.test import Client, RequestFactory
from django.views.debug import ExceptionReporter

from integrations import accounts
from integrations.models import KlaviyoAccount
from tests.klaviyo import fake as faults
from tests.klaviyo.fake import FakeKlaviyo

pytestmark = pytest.mark.django_db

CANARY = "pk_canary_7d41e6f0a92b4c83b5"
FAULTS = [None, faults.status(401), faults.status(500), faults.hang, faults.html, faults.reset]


@pytest.fixture
def klaviyo(klaviyo: FakeKlaviyo) -> FakeKlaviyo:
    """A Klaviyo whose key is the canary."""
    klaviyo.key, klaviyo.keys = CANARY, {CANARY: faults.READ_ALL}
    return klaviyo


@pytest.fixture
def meet(klaviyo: FakeKlaviyo, settings: Any) -> Callable[[faults.Fault | None], None]:
    """Have Klaviyo misbehave in one way, or not at all; who hangs is not waited for long."""

    def only(fault: faults.Fault | None) -> None:
        klaviyo.behave()
        settings.KLAVIYO_TIMEOUT = settings.KLAVIYO_PATIENCE = 1 if fault is faults.hang else 60
        if fault:
            klaviyo.misbehave(fault)

    return only


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Everything logged or printed so far, at DEBUG."""
    caplog.set_level(logging.DEBUG)
    said: list[str] = []

    def so_far() -> str:
        said.extend(capfd.readouterr())
        return "".join([caplog.text, *said])

    return so_far


def has_canary(text: str) -> bool:
    return CANARY in text or CANARY[3:] in text


@pytest.mark.parametrize("fault", FAULTS)
def test_connecting_and_testing_leave_no_trace_of_the_key(
    as_admin: Client,
    meet: Callable[[faults.Fault | None], None],
    heard: Callable[[], str],
    fault: faults.Fault | None,
    password: str,
) -> None:
    meet(fault)
    pages = [as_admin.post("/integrations/klaviyo/test/", {"key": CANARY})]
    pages.append(as_admin.post("/integrations/klaviyo/test/", {"key": CANARY}, headers={"HX-Request": "true"}))
    pages.append(as_admin.post("/integrations/klaviyo/", {"key": CANARY, "name": ""}, follow=True))
    account = KlaviyoAccount.objects.first()
    if account:
        one = f"/integrations/klaviyo/{account.pk}"
        pages.append(as_admin.post(f"{one}/key/", {"key": CANARY, "password": "wrong"}))
        pages.append(as_admin.post(f"{one}/key/", {"key": CANARY, "password": password}, follow=True))
        pages.append(as_admin.post(f"{one}/test/", follow=True))
        pages.append(as_admin.get(f"{one}/disconnect/"))
    pages.append(as_admin.get("/integrations/"))
    for page in pages:
        assert not has_canary(page.content.decode() + str(page.headers) + str(page.cookies))
    assert not has_canary(heard())
    assert not LogEntry.objects.exists()
    assert bool(account) == (fault is None)


def test_the_command_leaves_no_trace_of_the_key(
    meet: Callable[[faults.Fault | None], None], monkeypatch: pytest.MonkeyPatch, heard: Callable[[], str]
) -> None:
    for fault in FAULTS:
        meet(fault)
        monkeypatch.setattr("sys.stdin", io.StringIO(CANARY))
        if fault:
            with pytest.raises(CommandError) as refused:
                call_command("connect_klaviyo", "--json")
            assert not has_canary(repr(refused.value))
        else:
            call_command("connect_klaviyo", "--json")
    assert not has_canary(heard())


def test_a_dump_of_the_database_has_only_what_cannot_be_read(klaviyo: FakeKlaviyo, as_admin: Client) -> None:
    as_admin.post("/integrations/klaviyo/", {"key": CANARY})
    out = io.StringIO()
    call_command("dumpdata", stdout=out)
    dumped = json.loads(out.getvalue())
    assert any(row["model"] == "integrations.klaviyoaccount" for row in dumped)
    assert not has_canary(out.getvalue())


@pytest.mark.parametrize("debug", [False, True])
def test_a_report_of_an_unexpected_error_has_neither_variables_nor_what_was_posted(
    settings: Any, monkeypatch: pytest.MonkeyPatch, as_admin: Client, debug: bool
) -> None:
    settings.DEBUG = debug

    def fail(key: Any, *rest: Any, **more: Any) -> None:
        held = key.reveal()
        raise RuntimeError(f"unexpected, {len(held)}")

    monkeypatch.setattr(accounts, "look", fail)
    request = RequestFactory().post("/integrations/klaviyo/test/", {"key": CANARY})
    as_admin.raise_request_exception = False
    as_admin.post("/integrations/klaviyo/test/", {"key": CANARY})
    try:
        accounts.look(accounts.Secret(CANARY))
    except RuntimeError:
        reporter = ExceptionReporter(request, *sys.exc_info(), is_email=True)
        assert not has_canary(reporter.get_traceback_html() + reporter.get_traceback_text())
    answer = as_admin.post("/integrations/klaviyo/test/", {"key": CANARY})
    assert answer.status_code == 500
    assert not has_canary(answer.content.decode())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_sync_leaves_no_trace_of_the_key(
    as_admin: Client,
    klaviyo: FakeKlaviyo,
    account: KlaviyoAccount,
    sync: Callable[..., Any],
    meet: Callable[[faults.Fault | None], None],
    heard: Callable[[], str],
    fault: faults.Fault | None,
) -> None:
    account.keep_key(accounts.Secret(CANARY))
    account.save()
    klaviyo.add_many(3, 2)
    meet(fault)
    job = sync()
    assert job.status == ("failed" if fault else "done")
    paths = ("/", "/channels/email/segments/", job.get_absolute_url(), "/channels/email/segments/sync/history/")
    for path in (*paths, "/integrations/", "/activity/"):
        assert not has_canary(as_admin.get(path).content.decode())
    out = io.StringIO()
    call_command("dumpdata", stdout=out)
    with contextlib.suppress(CommandError):
        call_command("sync_klaviyo", "--channel", "email", "--json")
    assert not has_canary(heard() + out.getvalue())
