"""What pages show only once they are used: open panels and menus, refused forms, answers of every kind.

STATES says for each how to bring it about, on the filled workspace of workspace.py, as an Admin. A picture of each is
taken by shots.py. Nothing here changes what the next one finds.
"""

from collections.abc import Callable
from functools import partial

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from playwright.sync_api import Page, Route

from accessaudience import errors
from integrations.models import SyncJob
from jobs.models import Status
from tests.conftest import PASSWORD
from tests.e2e.workspace import LIST, Workspace

State = Callable[[Page, Workspace], None]
PEOPLE = "Email,First Name,Last Name,Phone\nana@example.com,Ana,Roe,+1 555 0100\n"


def add_panel(page: Page, w: Workspace) -> None:
    page.goto(LIST)
    page.get_by_role("link", name="Add segment").click()
    page.locator("dialog:modal").wait_for()


def add_refused(page: Page, w: Workspace) -> None:
    add_panel(page, w)
    panel = page.get_by_role("dialog")
    panel.get_by_label("Link").fill("htp:/nowhere")
    panel.get_by_role("button", name="Add segment").click()
    panel.get_by_role("alert").wait_for()


def add_of_a_known_name(page: Page, w: Workspace) -> None:
    add_panel(page, w)
    panel = page.get_by_role("dialog")
    panel.get_by_label("Segment name").fill("gift card holders")
    panel.get_by_role("button", name="Add segment").click()
    panel.get_by_role("alert").wait_for()


def row_menu(page: Page, w: Workspace) -> None:
    page.goto(LIST)
    page.get_by_role("button", name="More actions for Churn risk – high").click()
    page.get_by_role("link", name="Rename").wait_for()


def rename_in_row(page: Page, w: Workspace) -> None:
    row_menu(page, w)
    page.get_by_role("link", name="Rename").click()
    page.locator(".rename").wait_for()


def user_menu(page: Page, w: Workspace) -> None:
    page.goto("/")
    navigation(page)
    page.locator(".who").click()
    page.get_by_text("Your account").wait_for()


def navigation_menu(page: Page, w: Workspace) -> None:
    page.goto(LIST)
    navigation(page)


def navigation(page: Page) -> None:
    """Open the navigation where it is behind a button."""
    button = page.get_by_role("button", name="Open menu")
    if button.is_visible():
        button.click()


def keyboard_help(page: Page, w: Workspace) -> None:
    page.goto(LIST)
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()


def ticked(page: Page, w: Workspace) -> None:
    page.goto(LIST)
    for name in ("Churn risk – high", "Decaf buyers", "Gift card holders"):
        page.get_by_role("checkbox", name=f"Select {name}").check()
    page.get_by_role("region", name="Selected segments").wait_for()


def question(name: str) -> State:
    """The question that a button of the bar over ticked rows asks."""

    def ask(page: Page, w: Workspace) -> None:
        ticked(page, w)
        page.get_by_role("region", name="Selected segments").get_by_role("button", name=name).click()
        page.locator("dialog:modal").wait_for()

    return ask


def question_again(page: Page, w: Workspace) -> None:
    """What it asks where more match by now than it told of."""
    question("Delete")(page, w)
    page.locator("dialog [name=told]").evaluate("field => { field.value = 1; }")
    page.get_by_role("button", name="Delete 3 segments").click()
    page.get_by_role("alert").filter(has_text="match by now").wait_for()


def delete_question(page: Page, w: Workspace) -> None:
    row_menu(page, w)
    page.locator(".menu:popover-open .del").click()
    page.locator("dialog:modal").wait_for()


def message(page: Page, w: Workspace) -> None:
    page.goto(LIST)
    for before in (False, True):  # off and on again: it is left as it was
        page.get_by_role("switch", name="Decaf buyers").click()
        page.locator("#toasts .toast-aa").filter(has_text="is now").nth(int(before)).wait_for()


def visit(path: str) -> State:
    """A page that needs nothing but its address."""
    return lambda page, w: page.goto(path) and None


def refused(name: str, content: bytes, *channels: str) -> State:
    """The Upload page after a file that it does not take, or without a channel to put it into."""

    def send(page: Page, w: Workspace) -> None:
        page.goto("/data/upload/")
        for channel in channels:
            page.get_by_role("checkbox", name=channel).check()
        page.get_by_label("CSV file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})
        page.get_by_role("button", name="Continue").click()
        page.locator(".err, [role=alert]").first.wait_for()

    return send


def sync_on_the_tab(state: str) -> State:
    """The Segments tab whose newest sync is in this state."""

    def show(page: Page, w: Workspace) -> None:
        job = (w.syncs or {})[state]
        given = SyncJob.objects.filter(pk=job.pk)
        given.update(created_at=timezone.now())
        page.goto(f"/channels/{job.channel.slug}/segments/")

    return show


def sync_under_way(status: Status) -> State:
    """The same while one waits or runs."""

    def show(page: Page, w: Workspace) -> None:
        job = (w.syncs or {})["done"]
        now = timezone.now()
        under_way = SyncJob.objects.create(
            channel=job.channel,
            account=job.account,
            user=w.person,
            status=status,
            created_at=now,
            started_at=now,
            heartbeat_at=now,
            step="reading",
            progress=120,
        )
        page.goto(f"/channels/{job.channel.slug}/segments/")
        SyncJob.objects.filter(pk=under_way.pk).delete()

    return show


def answered(make: Callable[[HttpRequest], HttpResponse]) -> State:
    """A page of an error that no test can bring about in passing: what the server would answer, in place of it."""

    def show(page: Page, w: Workspace) -> None:
        response = make(HttpRequest())

        def answer(route: Route) -> None:
            route.fulfill(status=200, body=response.content, content_type="text/html; charset=utf-8")

        page.route("**/in-place-of-it/", answer)
        page.goto("/in-place-of-it/")
        page.unroute("**/in-place-of-it/")

    return show


def two_factor(page: Page, w: Workspace) -> None:
    page.goto("/accounts/two-factor/on/")
    if page.get_by_label("Password").is_visible():
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Confirm").click()
    page.get_by_role("img", name="QR code").wait_for()


def wrong_key(page: Page, w: Workspace) -> None:
    page.goto("/integrations/klaviyo/")
    page.get_by_label("Private API key").fill("not a key")
    page.get_by_role("button", name="Connect account").click()
    page.locator(".err, [role=alert]").first.wait_for()


def invitation_refused(page: Page, w: Workspace) -> None:
    page.goto("/people/")
    page.get_by_label("Work email").fill(w.person.email)
    page.get_by_role("button", name="Send invitation").click()
    page.locator(".err, [role=alert]").first.wait_for()


STATES: dict[str, State] = {
    "add panel": add_panel,
    "add refused": add_refused,
    "add of a known name": add_of_a_known_name,
    "row menu": row_menu,
    "rename in row": rename_in_row,
    "user menu": user_menu,
    "navigation": navigation_menu,
    "keyboard help": keyboard_help,
    "ticked": ticked,
    "question add to channel": question("Add"),
    "question delete many": question("Delete"),
    "question asked again": question_again,
    "question delete": delete_question,
    "message": message,
    "match elsewhere": visit(f"{LIST}?q=texts"),
    "upload without a channel": refused("segments.csv", b"Segment name\nVIP\n"),
    "upload refused Excel": refused("segments.xlsx", b"PK\x03\x04" + b"\0" * 60, "SMS"),
    "upload refused people": refused("people.csv", PEOPLE.encode(), "SMS"),
    "upload refused header only": refused("empty.csv", b"Segment name,Link\n", "SMS"),
    "sync done": sync_on_the_tab("done"),
    "sync failed": sync_on_the_tab("failed"),
    "sync asks": sync_on_the_tab("asks"),
    "sync waiting": sync_under_way(Status.WAITING),
    "sync running": sync_under_way(Status.RUNNING),
    "klaviyo key refused": wrong_key,
    "invitation refused": invitation_refused,
    "two-factor": two_factor,
    "error 403": answered(lambda request: errors.forbidden(request, Exception())),
    "error 403 form": answered(errors.csrf_failure),
    "error 404": visit("/nowhere/"),
    "error 408": answered(errors.too_slow),
    "error 413": answered(errors.too_large),
    "error 413 form": answered(partial(errors.too_large, is_file=False)),
    "error 429": answered(lambda request: errors.error_page(request, 429)),
    "error 429 uploads": answered(
        lambda request: errors.error_page(
            request, 429, message="You uploaded 60 files within an hour. Try again in 12 minutes."
        )
    ),
    "error 500": answered(errors.server_error),
}
