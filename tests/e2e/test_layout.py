"""What people type may be long, or run from right to left: pages still fit, at every width; and faults are found."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, BrowserContext, expect
from pytest_django.live_server_helper import LiveServer

from people.models import Person
from tests.e2e.conftest import OPTIONS, chromium, sign_in
from tests.e2e.layout import unfitting
from tests.e2e.workspace import LIST, PAGES, fill, stretch

Open = Callable[..., BrowserContext]


def test_the_longest_names_fit_on_every_page(open_context: Open, admin_person: Person) -> None:
    workspace = fill(admin_person)
    stretch(workspace)
    admin_person.refresh_from_db()
    page = open_context(admin_person).new_page()
    found = []
    for paths in PAGES.values():
        for path in paths(workspace):
            page.goto(path)
            found += unfitting(page, (390, 1440))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("markup", "fault"),
    [
        ("<p class='nowrap'>" + "wide " * 100 + "</p>", "text is cut off"),
        ("<button data-style='position: fixed; left: -9px'>x</button>", "outside the viewport"),
        ("<div class='drop'><p class='vh'>hidden</p></div><button class='btn skip'>x</button>", ""),
        ("<p data-style='width: 40px'><b class='nowrap'>longer than its box</b></p>", "runs out of its box"),
        (
            "<select class='form-select' data-style='width: 60px; text-overflow: clip'><option>A long choice</select>",
            "in a field",
        ),
        (
            "<p><a href='/' data-style='float: left'>one</a><button data-style='margin-left: -9px'>two</button></p>",
            "overlap",
        ),
        ("<p data-style='height: 9px'>one</p><p data-style='margin-top: -9px'>two</p>", "texts overlap"),
        ("<img src='/static/img/none.svg' width='9' height='9' alt=''>", "a picture is missing"),
    ],
)
def test_what_does_not_fit_is_found(open_context: Open, marketer: Person, markup: str, fault: str) -> None:
    page = open_context(marketer).new_page()
    page.goto("/channels/meta/segments/")
    page.evaluate(
        """async (markup) => {
            document.querySelector(".wrap").insertAdjacentHTML("afterbegin", markup);
            for (const each of document.querySelectorAll("[data-style]")) each.style.cssText = each.dataset.style;
            await new Promise(requestAnimationFrame);
        }""",
        markup,
    )
    found = unfitting(page, [390])
    assert any(fault in each for each in found) if fault else not found, found


def test_a_panel_is_as_wide_as_the_window_beside_its_scroll_bar(
    browser: Browser, live_server: LiveServer, marketer: Person
) -> None:
    with_bars = browser.browser_type.launch(
        executable_path=chromium(), args=OPTIONS, ignore_default_args=["--hide-scrollbars"]
    )
    context = with_bars.new_context(base_url=live_server.url, viewport={"width": 390, "height": 844})
    sign_in(context, marketer, live_server.url)
    page = context.new_page()
    page.goto(f"{LIST}add/")
    panel = page.locator("dialog:modal")
    expect(panel).to_be_visible()
    bar = page.evaluate("""() => {
        document.body.insertAdjacentHTML("beforeend", "<div class='stack'>" + "<p>row</p>".repeat(200) + "</div>");
        return window.innerWidth - document.documentElement.clientWidth;
    }""")
    box = panel.bounding_box()
    with_bars.close()
    assert bar > 0
    assert box
    assert (box["x"], box["width"]) == (0, 390 - bar)
