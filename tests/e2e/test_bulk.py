"""Many segments at once, in a browser: ticks, a range, all that match; the question before, Undo after."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Locator, Page, expect

from jobs import lease
from jobs.runner import perform
from segments.bulk import acting
from segments.models import Segment
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/channels/email/segments/"


@pytest.fixture
def thirty(transactional_db: None) -> list[Segment]:
    return [SegmentFactory(name=f"VIP {n:02}") for n in range(30)]


def tick(page: Page, name: str) -> Locator:
    return page.get_by_role("checkbox", name=f"Select {name}", exact=True)


def bar(page: Page) -> Locator:
    return page.get_by_role("region", name="Selected segments")


def toast(page: Page, text: str) -> Locator:
    return page.locator("#toasts .toast-aa").filter(has_text=text)


def test_a_range_is_deactivated_and_that_undone(page: Page, thirty: list[Segment]) -> None:
    page.goto(LIST)
    expect(bar(page)).to_be_hidden()
    tick(page, "VIP 02").check()
    tick(page, "VIP 05").click(modifiers=["Shift"])
    expect(bar(page)).to_contain_text("4 selected")
    bar(page).get_by_role("button", name="Deactivate").click()
    expect(toast(page, "Deactivated 4 segments.")).to_be_visible()
    expect(bar(page)).to_be_hidden()
    assert Segment.objects.filter(active=False).count() == 4
    toast(page, "Deactivated 4 segments.").get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Restore 4 segments").click()
    expect(toast(page, "is undone")).to_be_visible()
    assert Segment.objects.filter(active=False).count() == 0


def test_all_that_match_are_deleted_after_a_question(page: Page, thirty: list[Segment]) -> None:
    SegmentFactory(name="Lapsed")
    page.goto(f"{LIST}?q=vip")
    page.get_by_role("checkbox", name="Select all segments on this page").check()
    expect(bar(page)).to_contain_text("25 selected")
    bar(page).get_by_text("Select all 30").click()
    expect(bar(page)).to_contain_text("All selected")
    bar(page).get_by_role("button", name="Delete").click()
    question = page.get_by_role("alertdialog", name="Delete 30 segments from Email?")
    expect(question.get_by_role("link", name="Cancel")).to_be_focused()
    expect(question).to_contain_text("and 22 more")
    question.get_by_role("button", name="Delete 30 segments").click()
    expect(toast(page, "Deleted 30 segments.")).to_be_visible()
    assert list(Segment.objects.values_list("name", flat=True)) == ["Lapsed"]


def test_who_takes_one_off_after_all_were_selected_means_it(page: Page, thirty: list[Segment]) -> None:
    page.goto(LIST)
    tick(page, "VIP 01").check()
    bar(page).get_by_text("Select all 30").click()
    expect(tick(page, "VIP 24")).to_be_checked()
    expect(bar(page)).to_contain_text("All selected")
    tick(page, "VIP 03").uncheck()
    expect(bar(page)).to_contain_text("24 selected")
    bar(page).get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete 24 segments").click()
    expect(toast(page, "Deleted 24 segments.")).to_be_visible()
    assert Segment.objects.filter(name="VIP 03").exists()


@pytest.mark.parametrize(("first", "last"), [("VIP 02", "VIP 05"), ("VIP 05", "VIP 02")])
def test_a_range_has_both_its_ends(page: Page, thirty: list[Segment], first: str, last: str) -> None:
    page.goto(LIST)
    tick(page, first).check()
    tick(page, first).uncheck()
    tick(page, last).click(modifiers=["Shift"])
    expect(bar(page)).to_contain_text("4 selected")


def test_who_may_have_no_more_waiting_is_told_what_to_do(
    page: Page, thirty: list[Segment], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(acting, "IN_REQUEST", 2)
    settings.WAITING_JOBS = 0
    page.goto(LIST)
    tick(page, "VIP 01").check()
    bar(page).get_by_text("Select all 30").click()
    bar(page).get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete 30 segments").click()
    expect(toast(page, "cancel what you do not need")).to_be_visible()


def test_ticked_segments_are_added_to_another_channel(page: Page, thirty: list[Segment]) -> None:
    page.goto(LIST)
    tick(page, "VIP 01").check()
    tick(page, "VIP 03").check()
    bar(page).get_by_role("button", name="Add").click()
    box = page.get_by_role("dialog", name="Add 2 segments to another channel")
    box.get_by_role("button", name="Add to channel").click()
    expect(box.get_by_role("alert")).to_have_text("Choose at least one channel.")
    box.get_by_role("checkbox", name="SMS").check()
    box.get_by_role("button", name="Add to channel").click()
    expect(toast(page, "Added 2 segments to SMS.")).to_be_visible()
    expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="SMS")).to_contain_text("2")


def test_one_segment_is_added_from_its_menu(page: Page, thirty: list[Segment]) -> None:
    page.goto(LIST)
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="VIP 07", exact=True))
    row.get_by_role("button", name="More actions").click()
    row.get_by_role("button", name="Add to channel…").click()
    box = page.get_by_role("dialog", name="Add “VIP 07” to another channel")
    box.get_by_role("checkbox", name="Meta").check()
    box.get_by_role("button", name="Add to channel").click()
    expect(toast(page, "Added 1 segment to Meta.")).to_be_visible()


def test_ticked_segments_are_exported(page: Page, thirty: list[Segment]) -> None:
    page.goto(LIST)
    tick(page, "VIP 01").check()
    with page.expect_download() as download:
        bar(page).get_by_role("button", name="Export").click()
    text = download.value.path().read_text("utf-8-sig")
    assert text.splitlines()[1:] == ["VIP 01,,,Active"]


@pytest.fixture
def go_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A worker beside the test that stops amid a bulk action until it may go on; on SQLite before, as it locks."""
    event, over = threading.Event(), threading.Event()
    tells_steps = connection.vendor == "postgresql"
    monkeypatch.setattr(acting, "IN_REQUEST", 2)
    monkeypatch.setattr("segments.changes.bulk.reach", lambda point: point == "bulk:written" and event.wait())

    def work() -> None:
        while not over.wait(0.1):
            if (tells_steps or event.is_set()) and (job := lease.claim("worker of the test")):
                perform(job)
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield event
    event.set()
    over.set()
    thread.join()


def test_very_many_are_changed_by_a_worker_while_the_list_is_used(
    page: Page, thirty: list[Segment], go_on: threading.Event
) -> None:
    page.goto(LIST)
    page.get_by_role("checkbox", name="Select all segments on this page").check()
    bar(page).get_by_text("Select all 30").click()
    bar(page).get_by_role("button", name="Deactivate").click()
    page.get_by_role("button", name="Deactivate 30 segments").click()
    job = page.locator("#bulk-job")
    if connection.vendor == "postgresql":
        expect(job).to_contain_text("Step 3 of 3: switching them.")
        expect(job).to_contain_text("66%")
    else:
        expect(job).to_contain_text("This waits for the worker.")
    other = page.context.new_page()
    other.goto(f"{LIST}?q=vip+03")
    other.get_by_role("link", name="VIP 03", exact=True).click()
    expect(other.get_by_role("heading", name="VIP 03")).to_be_visible()
    go_on.set()
    expect(job).to_contain_text("Deactivated 30 segments.")
    job.get_by_role("link", name="Undo…").click()
    page.get_by_role("button", name="Restore 30 segments").click()
    expect(toast(page, "is undone")).to_be_visible()
    assert Segment.objects.filter(active=True).count() == 30


def test_it_works_without_javascript(plain_page: Page, thirty: list[Segment]) -> None:
    page = plain_page
    page.goto(LIST)
    tick(page, "VIP 01").check()
    bar(page).get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete 1 segment").click()
    expect(page.get_by_text("Deleted 1 segment.")).to_be_visible()
    assert Segment.objects.count() == 29


def test_on_a_phone_the_bar_stays_under_the_top_one(phone: Page, thirty: list[Segment]) -> None:
    phone.goto(LIST)
    tick(phone, "VIP 01").check()
    phone.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    expect(phone.locator(".topbar")).to_be_in_viewport()
    top = phone.locator(".topbar").bounding_box()
    box = bar(phone).bounding_box()
    assert top
    assert box
    assert (top["y"], box["y"]) == (0, top["height"])
