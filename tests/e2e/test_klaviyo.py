"""Klaviyo in a browser: connect, sync with one click, see what changed, undo; without script; and clicked by many."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as project
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from imports.models import ImportJob
from integrations.models import KlaviyoAccount, SyncJob
from integrations.secrets import Secret
from jobs import lease
from jobs.models import Status
from jobs.runner import perform
from people.models import Person
from segments.models import ChangeSet, Segment
from tests.klaviyo.fake import READ_ALL, FakeKlaviyo

PATIENCE = 60_000  # milliseconds after which a page hangs; never a measure of speed
TAB = "/channels/email/segments/"
Open = Callable[..., BrowserContext]
# Ten windows of the tab, each with a form of its own; and a click in each, not waiting for an answer.
OPEN_TEN = """async () => {
    const parse = (text) => new DOMParser().parseFromString(text, "text/html");
    const open = async () => parse(await (await fetch(location.href)).text()).getElementById("sync-button");
    window.buttons = await Promise.all(Array.from({length: 10}, open));
}"""
CLICK_ALL = """() => {
    const click = async ({form}) => (await fetch(form.action, {method: "POST", body: new FormData(form)})).status;
    window.clicked = Promise.all(buttons.map(click));
}"""


@pytest.fixture
def klaviyo(settings: Any) -> Iterator[FakeKlaviyo]:
    """A Klaviyo with a few segments and lists."""
    with FakeKlaviyo().serving() as fake:
        settings.KLAVIYO_API_BASE_URL = fake.url
        fake.add_many(4, 3)
        yield fake


@pytest.fixture
def account(transactional_db: None, klaviyo: FakeKlaviyo) -> KlaviyoAccount:
    """The account of that Klaviyo, connected."""
    made = KlaviyoAccount(account_id=klaviyo.account_id, name="Fernhill", organisation=klaviyo.account_name)
    made.scopes = sorted(READ_ALL)
    made.keep_key(Secret(klaviyo.key))
    made.save()
    return made


def work() -> None:
    """Do what waits, as a worker would."""
    while job := lease.claim("worker of the test"):
        perform(job)


def test_connect_sync_and_undo(
    open_context: Open, live_server: LiveServer, admin_person: Person, klaviyo: FakeKlaviyo
) -> None:
    page = open_context(admin_person).new_page()
    page.goto(TAB)
    page.get_by_role("link", name="Connect Klaviyo").first.click()
    page.get_by_label("Private API key").fill(klaviyo.key)
    page.get_by_role("button", name="Test connection").click()
    expect(page.locator("#key-result")).to_contain_text("Fernhill Coffee", timeout=PATIENCE)
    expect(page.locator("#key-result")).to_contain_text("Lists: read")
    page.get_by_role("button", name="Connect account").click()
    expect(page.get_by_text("••••4f2a")).to_be_visible()
    page.goto(TAB)
    page.get_by_role("button", name="Sync from Klaviyo").click()
    expect(page.locator("#sync")).to_contain_text("The sync from Klaviyo is waiting")
    work()
    expect(page.locator("#sync")).to_contain_text("Email is up to date with Klaviyo", timeout=PATIENCE)
    expect(page.locator("#segments")).to_contain_text("List 2")
    expect(page.locator(".chead")).to_contain_text("Fernhill Coffee, last synced just now by")
    page.get_by_role("link", name="See what changed").click()
    expect(page.get_by_role("heading", name="Klaviyo sync of Email")).to_be_visible()
    expect(page.get_by_role("row", name="Segment 3")).to_contain_text("New")
    page.get_by_role("link", name="Undo…").click()
    page.get_by_role("button", name="Remove 7 segments").click()
    page.wait_for_url("**/channels/**")
    assert SyncJob.objects.count() == 1
    assert not Segment.objects.exists()


def test_rules_are_written_one_after_the_other_and_saved_once(
    open_context: Open, admin_person: Person, account: KlaviyoAccount
) -> None:
    page = open_context(admin_person).new_page()
    page.goto("/integrations/klaviyo/channels/email/")
    for number in range(1, 6):
        page.get_by_label(f"Text of rule {number}").press_sequentially(f"rule {number}")
    expect(page.get_by_label("Text of rule 6")).to_have_value("")
    expect(page.get_by_label("Text of rule 5")).to_be_focused()
    page.get_by_role("button", name="Save settings").click()
    page.goto("/integrations/klaviyo/channels/email/")
    expect(page.get_by_label("Text of rule 5")).to_have_value("rule 5")


def test_preview_guard_and_answer_without_javascript(
    open_context: Open, marketer: Person, klaviyo: FakeKlaviyo, account: KlaviyoAccount
) -> None:
    page = open_context(marketer, scripts=False).new_page()
    page.goto(TAB)
    page.get_by_role("button", name="Preview changes").click()
    work()
    page.get_by_role("link", name="See how far it is").click()
    expect(page.get_by_text("nothing has been changed yet")).to_be_visible()
    page.get_by_role("button", name="Sync from Klaviyo").click()
    work()
    page.goto(TAB)
    page.get_by_role("button", name="Hide this summary").click()
    expect(page.get_by_text("Email is up to date with Klaviyo")).to_have_count(0)
    for number in range(4):
        klaviyo.remove(f"S{number:05d}")
    page.get_by_role("button", name="Sync from Klaviyo").click()
    work()
    page.goto(TAB)
    page.get_by_role("link", name="See the question").click()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Sync and mark 4 as gone").click()
    work()
    page.goto(f"{TAB}?status=gone")
    expect(page.get_by_role("row", name="Segment 3")).to_be_visible()
    assert Segment.objects.filter(missing_since__isnull=False, active=True).count() == 4


@pytest.fixture
def stopping_worker(environment: dict[str, str], klaviyo: FakeKlaviyo) -> Iterator[subprocess.Popen[str]]:
    """A real worker that stops in the middle of the first thing it stages, until it gets SIGCONT."""
    more = {
        "AA_KILL_AT": "stage:batch",
        "AA_KILL_WITH": "SIGSTOP",
        "KLAVIYO_API_BASE_URL": klaviyo.url,
        "ENCRYPTION_KEYS": ",".join(project.ENCRYPTION_KEYS),
    }
    command = [sys.executable, "manage.py", "worker", "--poll", "0.1"]
    process = subprocess.Popen(command, env=environment | more, cwd=project.BASE_DIR, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def start_import(page: Page, rows: str) -> None:
    """Upload rows into Email, and import them."""
    page.goto("/data/upload/")
    page.get_by_role("checkbox", name="Email").check()
    page.get_by_label("CSV file").set_input_files(
        {"name": "rows.csv", "mimeType": "text/csv", "buffer": f"Segment name,Segment ID\n{rows}".encode()}
    )
    page.get_by_role("button", name="Continue to match columns").click()
    page.get_by_role("button", name="Upload and Import").click()


def test_twenty_clicks_from_two_browsers_during_an_import_are_one_sync_that_is_right(
    open_context: Open,
    marketer: Person,
    admin_person: Person,
    klaviyo: FakeKlaviyo,
    account: KlaviyoAccount,
    stopping_worker: subprocess.Popen[str],
) -> None:
    browsers = [open_context(marketer), open_context(admin_person)]
    start_import(browsers[0].new_page(), "Bought twice,S00001\nFrom a file,f-1\n")
    assert stopping_worker.stdout is not None
    assert "SIGSTOP at stage:batch" in stopping_worker.stdout.readline()
    assert ImportJob.objects.get().status == Status.RUNNING
    pages = [browser.new_page() for browser in browsers]
    for page in pages:
        page.goto(TAB)
        page.evaluate(OPEN_TEN)
    for page in pages:
        page.evaluate(CLICK_ALL)
    for page in pages:
        assert page.evaluate("clicked") == [200] * 10
        page.reload()
        expect(page.locator("#sync")).to_contain_text("The sync from Klaviyo is waiting", timeout=PATIENCE)
    assert SyncJob.objects.get().status == Status.WAITING
    assert not Segment.objects.exists()
    stopping_worker.send_signal(signal.SIGCONT)
    for page in pages:
        expect(page.locator("#sync")).to_contain_text("Email is up to date with Klaviyo", timeout=PATIENCE)
        expect(page.locator("#segments")).to_contain_text("Bought twice")
    assert SyncJob.objects.get().status == ImportJob.objects.get().status == Status.DONE
    kinds = [change_set.kind for change_set in ChangeSet.objects.order_by("pk")]
    assert kinds == [ChangeSet.Kind.IMPORT, ChangeSet.Kind.SYNC]
    assert Segment.objects.count() == 8  # two of the file, one of them Klaviyo's too, and six more from there
    adopted = Segment.objects.get(segment_id="S00001")
    assert (adopted.name, adopted.synced_name, adopted.klaviyo_id) == ("Bought twice", "Segment 1", "S00001")
