"""The private key is in the database, encrypted, and nowhere else: not in a page, a log, a mail, a dump."""

import contextlib
import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as project
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client, RequestFactory
from django.utils.log import AdminEmailHandler
from django.views.debug import ExceptionReporter

from channels.models import Channel
from integrations import accounts
from integrations.klaviyo import client
from integrations.models import KlaviyoAccount, SyncJob
from integrations.secrets import Secret
from integrations.starting import start
from jobs.models import Status
from segments.models import ChangeSet
from tests.klaviyo import fake as faults
from tests.klaviyo.fake import FakeKlaviyo

pytestmark = [pytest.mark.django_db, pytest.mark.once]  # no key goes to a database but encrypted

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
def heard(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], str]:
    """Everything logged or printed so far, at DEBUG: by the libraries that talk with Klaviyo, too."""
    caplog.set_level(logging.DEBUG)
    made = client._client

    def talkative(key: str, base_url: str) -> Any:
        api = made(key, base_url)  # Klaviyo's client has urllib3 say nothing below a warning
        for name in ("urllib3", "openapi_client", "klaviyo_api"):
            caplog.set_level(logging.DEBUG, logger=name)
        return api

    monkeypatch.setattr(client, "_client", talkative)
    said: list[str] = []

    def so_far() -> str:
        assert "urllib3.connectionpool" in caplog.text  # it says what it asks for, so it would say more
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
        accounts.look(Secret(CANARY))
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
    account.keep_key(Secret(CANARY))
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


@pytest.fixture
def mails_to_admins(settings: Any) -> Iterator[list[Any]]:
    """What Django mails to ADMINS of errors, with the page of the traceback in it."""
    settings.ADMINS = [("Ops", "ops@example.com")]
    handler = AdminEmailHandler(include_html=True)
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    yield mail.outbox
    logger.removeHandler(handler)


@pytest.mark.parametrize("debug", [False, True])
def test_mails_about_errors_have_no_key(
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    as_admin: Client,
    account: KlaviyoAccount,
    password: str,
    mails_to_admins: list[Any],
    debug: bool,
) -> None:
    settings.DEBUG = debug

    def fail(key: Secret, *rest: Any, **more: Any) -> None:
        held = key.reveal()
        raise RuntimeError(f"unexpected, {len(held)}")

    monkeypatch.setattr(accounts, "look", fail)
    account.keep_key(Secret(CANARY))
    account.save()
    as_admin.raise_request_exception = False
    one = f"/integrations/klaviyo/{account.pk}"
    for path in ("/integrations/klaviyo/", "/integrations/klaviyo/test/", f"{one}/test/", f"{one}/key/"):
        answer = as_admin.post(path, {"key": CANARY, "password": password})
        assert answer.status_code == 500
        assert not has_canary(answer.content.decode())
    assert len(mails_to_admins) == 4
    for sent in mails_to_admins:
        assert "RuntimeError" in sent.body
        assert not has_canary(sent.message().as_string())
        assert not has_canary(sent.body + "".join(str(part[0]) for part in sent.alternatives))


def everything_linked(client: Client, start: str) -> dict[str, str]:
    """Return every page that links lead to from `start`, with what it says: of each address one of every set of fields.

    Another value of a field, such as another order of the same list, shows nothing new.
    """
    waiting, pages, seen = [start], {}, set()
    while waiting:
        path = waiting.pop()
        address = urlsplit(path)
        shape = address.path, frozenset(parse_qs(address.query, keep_blank_values=True))
        if shape in seen:
            continue
        seen.add(shape)
        answer = client.get(path)
        body = b"".join(answer) if answer.streaming else answer.content
        pages[path] = body.decode() + str(answer.headers)
        links = [unescape(link).partition("#")[0] for link in re.findall(r'(?:href|hx-get)="(/[^"]*)"', pages[path])]
        waiting += [link for link in links if not link.startswith(("/static/", "/accounts/", "/admin/jsi18n/"))]
    return pages


@pytest.mark.django_db(transaction=True)
def test_no_page_dump_or_history_has_the_key_after_syncs_that_worked_and_that_did_not(
    as_admin: Client,
    klaviyo: FakeKlaviyo,
    meet: Callable[[faults.Fault | None], None],
    sync: Callable[..., SyncJob],
    account: KlaviyoAccount,
    heard: Callable[[], str],
) -> None:
    account.keep_key(Secret(CANARY))
    account.save()
    klaviyo.add_many(3, 2)
    for fault in FAULTS:
        meet(fault)
        assert sync().status == (Status.FAILED if fault else Status.DONE)
        sync(goal="check")
    pages = everything_linked(as_admin, "/") | everything_linked(as_admin, "/admin/")
    assert {"/", "/integrations/", f"/integrations/klaviyo/{account.pk}/key/", "/admin/", "/activity/"} <= set(pages)
    assert set(pages) >= {job.get_absolute_url() for job in SyncJob.objects.syncs()}
    assert not [path for path, text in pages.items() if has_canary(text)]
    out = io.StringIO()
    call_command("dumpdata", stdout=out)
    assert not has_canary(out.getvalue() + heard())
    assert not LogEntry.objects.filter(change_message__contains=CANARY).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("variables", [{"DEBUG": "true"}, {"LOG_JSON": "true"}], ids=["lines", "json"])
def test_no_log_of_a_worker_at_debug_has_the_key(
    klaviyo: FakeKlaviyo,
    account: KlaviyoAccount,
    email: Channel,
    environment: dict[str, str],
    fault: faults.Fault | None,
    variables: dict[str, str],
) -> None:
    account.keep_key(Secret(CANARY))
    account.save()
    klaviyo.add_many(3, 2)
    if fault:
        klaviyo.misbehave(fault)
    start(email, None, via=ChangeSet.Via.COMMAND)
    more = {
        "LOG_LEVEL": "DEBUG",
        "KLAVIYO_API_BASE_URL": klaviyo.url,
        "KLAVIYO_TIMEOUT": "1" if fault else "60",  # where all is well it is waited for, however busy this machine is
        "KLAVIYO_PATIENCE": "2" if fault else "60",
        "ENCRYPTION_KEYS": ",".join(project.ENCRYPTION_KEYS),
    }
    command = [sys.executable, "manage.py", "worker", "--once"]
    ran = subprocess.run(
        command, env=environment | more | variables, cwd=project.BASE_DIR, capture_output=True, text=True, check=True
    )
    assert ("UPDATE" in ran.stderr) == ("DEBUG" in variables)  # then it says every statement
    assert not has_canary(ran.stdout + ran.stderr)
    assert SyncJob.objects.get().status == (Status.FAILED if fault else Status.DONE)
