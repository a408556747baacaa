"""Hostile names, of a file, of Klaviyo or however they came: shown as text on every page, and nothing of them runs.

The content policy is off in this browser, so that it hides no place where a name becomes markup.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page
from pytest_django.live_server_helper import LiveServer

from accessaudience.roles import ADMIN
from channels.models import Channel
from integrations.models import KlaviyoAccount, SyncJob
from integrations.secrets import Secret
from integrations.starting import start
from jobs import lease
from jobs.models import Job
from jobs.runner import perform
from people.models import Person
from segments.models import Segment
from tests.e2e.conftest import WIDE, sign_in
from tests.e2e.workspace import PAGES, STRANGERS, Workspace, fill, rewrite, upload
from tests.factories import PersonFactory
from tests.klaviyo.fake import FakeKlaviyo

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    '" autofocus onfocus=alert(1) x="',
    "' onmouseover=alert(1) x='",
    "</title></textarea></select></script><script>alert(1)</script>",
    "<a href=javascript:alert(1)>click</a>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "<div hx-get=/theme/ hx-trigger=load></div>",
    "<div hx-on:htmx:load=alert(1)></div>",
    "<dialog open><form method=dialog>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "{{ 7|add:35 }}{% debug %}${alert(1)}`${alert(1)}`",
    '=HYPERLINK("javascript:alert(1)")',
    "<!--",
    "--><b data-hostile>",
    "<b data-hostile>bold</b>",
    "&lt;img src=x onerror=alert(1)&gt;",
    "\\u003cimg src=x onerror=alert(1)\\u003e",
)
SHORT = "\"'><img src=x onerror=alert(1) data-hostile>"
MARKS = "[data-hostile], [onerror], [onload], [onfocus], [onmouseover], [srcdoc], base, main script, meta[http-equiv]"


def work() -> None:
    """Do what waits, as a worker would."""
    while job := lease.claim("worker of the test"):
        perform(job)


@pytest.fixture
def look(browser: Browser, live_server: LiveServer, admin_person: Person) -> Iterator[Callable[..., list[str]]]:
    """Open pages, touch everything on them, and return what became of the names: it should be nothing."""
    context = browser.new_context(
        base_url=live_server.url, viewport={"width": WIDE[0], "height": WIDE[1]}, bypass_csp=True
    )
    context.set_default_timeout(30_000)

    def through(paths: list[str], person: Person | None = admin_person, plant: str = "") -> list[str]:
        found: list[str] = []
        if person:
            sign_in(context, person, live_server.url)
        page = context.new_page()

        def heard(dialog: Dialog) -> None:
            found.append(f"{page.url}: a dialog: {dialog.message}")
            dialog.dismiss()

        page.on("dialog", heard)
        page.on("request", lambda request: "evil.example" in request.url and found.append(f"asked {request.url}"))
        for path in paths:
            page.goto(path)
            if plant:
                page.evaluate("text => document.querySelector('main').insertAdjacentHTML('beforeend', text)", plant)
                page.wait_for_timeout(500)  # for its picture to be found missing
            found.extend(markup_of(page))
        page.close()
        return found

    yield through
    context.close()


def markup_of(page: Page) -> list[str]:
    """What of the names became markup on a page, after everything on it was pointed at and focused."""
    page.evaluate("""() => {
        for (const details of document.querySelectorAll("details")) details.open = true;
        for (const each of document.querySelectorAll("body *"))
            for (const name of ["mouseover", "mouseenter", "focus", "toggle"]) each.dispatchEvent(new Event(name));
    }""")
    marks = page.locator(MARKS).evaluate_all("all => all.map(each => each.outerHTML.slice(0, 200))")
    links = page.locator("a[href], form[action]").evaluate_all(
        "all => all.map(each => each.href || each.action).filter(url => !/^https?:/.test(url))"
    )
    return [f"{page.url}: {what}" for what in (*marks, *links)]


def all_pages(workspace: Workspace) -> list[str]:
    return [path for paths in PAGES.values() for path in paths(workspace)]


def test_names_of_a_file_are_text_on_every_page(
    transactional_db: None, admin_person: Person, look: Callable[..., list[str]]
) -> None:
    workspace = fill(admin_person)
    quoted = [text.replace('"', '""') for text in HOSTILE]
    rows = "".join(f'"{text}","id {text}",https://www.example.com/?q={n},yes\n' for n, text in enumerate(quoted))
    bad = "".join(f'"bad {text}",,"javascript:alert({n})","{text}"\n' for n, text in enumerate(quoted))
    clear = f"Segment Name,Segment ID,URL,Status\n{rows}{bad}{rows}"
    odd = ",".join(f'"{text}"' for text in quoted)
    name = '"><img src=x onerror=alert(1)>{}.csv'
    done = upload(admin_person, name.format("done").replace("/", ""), clear, start=True)
    ready = upload(admin_person, name.format("ready"), clear.replace("id ", "another "))
    unmatched = upload(admin_person, name.format("unmatched"), f"{odd}\n{odd}\n{odd}\n")
    workspace.jobs = (workspace.jobs or {}) | {"done": done, "ready": ready, "unmatched": unmatched}
    assert done.change_set is not None
    workspace.change_set = done.change_set
    found = Segment.objects.filter(channel__slug="sms", name__startswith="<img").order_by("pk").first()
    assert found is not None
    workspace.segment = found
    paths = [*all_pages(workspace), f"/data/imports/?q={SHORT}", f"/channels/sms/segments/?q={SHORT}"]
    paths += ["/channels/sms/segments/", f"/segments/?q={SHORT}", f"/activity/?q={SHORT}", f"/{SHORT}/"]
    assert look(paths) == []


def test_names_of_klaviyo_are_text_on_every_page(
    transactional_db: None, admin_person: Person, settings: Any, look: Callable[..., list[str]]
) -> None:
    workspace = fill(admin_person)
    email = Channel.objects.get(slug="email")
    with FakeKlaviyo(name=f"Org {SHORT}").serving() as fake:
        settings.KLAVIYO_API_BASE_URL = fake.url
        for number, text in enumerate(HOSTILE):
            fake.add_segment(f"S{number:05d}", text)
            fake.add_list(f"L{number:05d}", f"a list {text}")
        account = KlaviyoAccount.objects.get(account_id=fake.account_id)
        account.name = account.organisation = fake.account_name
        account.keep_key(Secret(fake.key))
        account.save()
        preview, _ = start(email, admin_person, goal=Job.Goal.CHECK)
        work()
        sync, _ = start(email, admin_person)
        work()
        for number, text in enumerate(HOSTILE):
            fake.add_segment(f"S{number:05d}", f"{text} renamed")
        again, _ = start(email, admin_person)
        work()
    syncs = {state: SyncJob.objects.get(pk=job.pk) for state, job in (("preview", preview), ("done", sync))}
    assert syncs["done"].status == "done"
    syncs["failed"] = syncs["asks"] = SyncJob.objects.get(pk=again.pk)
    workspace.syncs, workspace.account = syncs, account
    workspace.segment = Segment.objects.filter(channel=email, name__endswith="renamed").earliest("pk")
    workspace.change_set = syncs["failed"].change_set
    pages = [*all_pages(workspace), "/channels/email/segments/sync/history/"]
    assert look(pages) == []


def test_whatever_is_stored_is_text_on_every_page(
    transactional_db: None, admin_person: Person, look: Callable[..., list[str]]
) -> None:
    workspace = fill(admin_person)
    other = PersonFactory(role=ADMIN)
    paths = all_pages(workspace)
    poisoned = rewrite(lambda field, number: SHORT)
    assert {"Segment.name", "ImportJob.file_name", "Person.first_name", "Channel.name", "SyncLine.name"} <= poisoned
    admin_person.refresh_from_db()
    other.refresh_from_db()
    assert look(paths) == []
    assert look([path for paths in STRANGERS.values() for path in paths], None) == []


def test_a_place_where_a_name_becomes_markup_would_be_found(look: Callable[..., list[str]]) -> None:
    found = look(["/"], plant="<img src=x onerror=alert(1)>")
    assert any("a dialog: 1" in each for each in found)
    assert any("<img" in each for each in found)
    assert any("javascript:" in each for each in look(["/"], plant="<a href=javascript:alert(1)>x</a>"))
