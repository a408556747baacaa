"""Every page of the resolver through axe: nothing reported, light and dark, wide and on a phone; and all of it fits."""

from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page

from people.models import Person
from tests.e2e.layout import WIDTHS, unfitting
from tests.e2e.workspace import NO_PAGE, PAGES, STRANGERS, Workspace, fill, url_names

WIDE, PHONE = (1440, 900), (390, 844)
PARTS = 4  # of the pages, which are looked at side by side
Open = Callable[..., BrowserContext]
Looks = list[tuple[tuple[int, int], Literal["light", "dark"]]]
ALL = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
# In which window and theme pages are looked at; and the two of these that leave out neither a window nor a theme.
EVERY_LOOK: Looks = [(WIDE, "light"), (WIDE, "dark"), (PHONE, "light"), (PHONE, "dark")]
CROSSWISE: Looks = [(WIDE, "light"), (PHONE, "dark")]
LOOKS = [pytest.param(CROSSWISE, id="crosswise"), pytest.param(EVERY_LOOK, id="all", marks=pytest.mark.long)]


def test_every_url_is_looked_at_or_has_no_page() -> None:
    assert set(PAGES) | NO_PAGE | (set(STRANGERS) - {"no such page"}) == url_names()


def reported(page: Page) -> Iterator[str]:
    """What axe finds on the page as it is now."""
    result = Axe().run(page, options={"runOnly": ALL})
    for violation in result.response["violations"]:
        for node in violation["nodes"]:
            yield f"{page.url}: {violation['id']}: {violation['help']}: {node['html'][:200]}"


def look(context: BrowserContext, paths: list[str], looks: Looks) -> Iterator[str]:
    """Open each of `paths` once; yield what axe finds, and what does not fit at any width: the theme moves nothing."""
    page = context.new_page()
    for path in paths:
        page.goto(path)
        for (width, height), theme in looks:
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=theme)
            yield from (f"{theme}, {width}: {fault}" for fault in reported(page))
        yield from unfitting(page, WIDTHS)


def all_paths(workspace: Workspace) -> list[str]:
    return [path for paths in PAGES.values() for path in paths(workspace)]


@pytest.mark.parametrize("looks", LOOKS)
@pytest.mark.parametrize("part", range(PARTS))
def test_axe_finds_nothing_and_all_fits(open_context: Open, admin_person: Person, part: int, looks: Looks) -> None:
    found = [*look(open_context(admin_person), all_paths(fill(admin_person))[part::PARTS], looks)]
    found += look(open_context(), [path for paths in STRANGERS.values() for path in paths][part::PARTS], looks)
    assert not found, "\n".join(found)


@pytest.mark.long  # its pages have fewer pieces than those above
@pytest.mark.parametrize("part", range(PARTS))
def test_axe_finds_nothing_where_nothing_is_yet(open_context: Open, admin_person: Person, part: int) -> None:
    found = [*look(open_context(admin_person), all_paths(Workspace(admin_person))[part::PARTS], EVERY_LOOK)]
    assert not found, "\n".join(found)


def test_axe_finds_nothing_in_open_menus_and_panels(open_context: Open, admin_person: Person) -> None:
    fill(admin_person)
    page = open_context(admin_person).new_page()
    page.goto("/")
    page.get_by_role("button", name="Admin Person").click()
    found = list(reported(page))
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Notifications").click()
    page.locator("#bell-menu").get_by_role("link", name="attentive_segments_export.csv").wait_for()
    found += reported(page)
    page.goto("/channels/email/segments/")
    page.get_by_role("link", name="Add segment").click()
    page.get_by_role("dialog").wait_for()
    found += reported(page)
    page.get_by_role("dialog").get_by_role("button", name="Add segment").click()
    page.get_by_role("dialog").get_by_role("alert").wait_for()
    found += reported(page)
    page.goto("/channels/email/segments/?q=spring")  # which another channel has
    found += reported(page)
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()
    found += reported(page)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("action", ["Add", "Delete"])
def test_axe_finds_nothing_in_the_questions_about_ticked_rows(
    open_context: Open, admin_person: Person, action: str
) -> None:
    fill(admin_person)
    page = open_context(admin_person).new_page()
    page.goto("/channels/email/segments/")
    page.get_by_role("checkbox", name="Select all segments on this page").check()
    found = list(reported(page))
    page.get_by_role("region", name="Selected segments").get_by_role("button", name=action).click()
    page.locator("dialog:modal").wait_for()
    found += reported(page)
    assert not found, "\n".join(found)


def test_axe_is_told_of_what_is_wrong(page: Page) -> None:
    page.goto("/")
    page.evaluate("document.querySelector('main').append(document.createElement('input'))")
    assert any("label" in fault for fault in reported(page))
