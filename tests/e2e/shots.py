"""Pictures of every page, for `make shots OUT=folder`: wide and on a phone, light and dark, full, empty, failing, long.

Run by name only (pytest does not collect it by itself). SHOTS is the folder. On the way each page is looked at as
layout.py does, at more widths than there are pictures of; what does not fit fails the run, and is named.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from people.models import Person
from tests.e2e.layout import WIDTHS, unfitting, unfold
from tests.e2e.states import STATES
from tests.e2e.workspace import PAGES, STRANGERS, Workspace, fill, stretch

SIZES = ((1440, 900), (390, 844))
THEMES = ("light", "dark")
Open = Callable[..., BrowserContext]


class Album:
    """The folder that pictures are put into, and what did not fit on them."""

    def __init__(self, open_context: Open) -> None:
        self.into = Path(os.environ["SHOTS"])
        self.into.mkdir(parents=True, exist_ok=True)
        self.open_context = open_context
        self.found: list[str] = []

    def pages(self, person: Person | None) -> Iterator[tuple[Page, str]]:
        """Give a page in each size and theme, and how names of its pictures end."""
        for size in SIZES:
            for theme in THEMES:
                context = self.open_context(person, size=size, theme=theme)
                yield context.new_page(), f"{size[0]}-{theme}"
                context.close()

    def take(self, page: Page, *name: str) -> None:
        """Take a picture of what the window shows."""
        page.evaluate("document.fonts.ready.then(() => null)")
        page.screenshot(path=self.into / (re.sub(r"\W+", "-", " ".join(name)) + ".png"), animations="disabled")

    def take_all(self, person: Person | None, what: str, paths: dict[str, list[str]]) -> None:
        """Take pictures of whole pages; what does not fit is the same in the light and in the dark."""
        for page, end in self.pages(person):
            size = page.viewport_size
            assert size is not None
            for name, several in paths.items():
                for number, path in enumerate(several, start=1):
                    page.goto(path)
                    unfold(page, size["width"])
                    self.take(page, what, name, str(number) if len(several) > 1 else "", end)
                    if end == "1440-light":
                        self.found += unfitting(page, WIDTHS)

    def take_states(self, person: Person, workspace: Workspace) -> None:
        """Take pictures of what pages show once they are used, as large as the window."""
        for page, end in self.pages(person):
            size = page.viewport_size
            assert size is not None
            for name, bring_about in STATES.items():
                page.set_viewport_size(size)
                bring_about(page, workspace)
                self.take(page, "state", name, end)
                if end.endswith("light"):
                    self.found += [f"{name}: {fault}" for fault in unfitting(page, [size["width"]], whole=False)]


@contextmanager
def album(open_context: Open) -> Iterator[Album]:
    """Fill an album, and fail at its end with all that did not fit."""
    filled = Album(open_context)
    yield filled
    assert not filled.found, "\n".join(filled.found)


@pytest.fixture
def admin(admin_person: Person) -> Person:
    """An Admin with a name that looks like one."""
    admin_person.first_name, admin_person.last_name = "Maya", "Lindqvist"
    admin_person.save()
    return admin_person


def paths_of(workspace: Workspace) -> dict[str, list[str]]:
    return {name: paths(workspace) for name, paths in PAGES.items()}


def test_empty(open_context: Open, admin: Person) -> None:
    with album(open_context) as taken:
        taken.take_all(admin, "empty", paths_of(Workspace(admin)))
        taken.take_all(None, "stranger", STRANGERS)


def test_full(open_context: Open, admin: Person) -> None:
    workspace = fill(admin)
    with album(open_context) as taken:
        taken.take_all(admin, "full", paths_of(workspace))


def test_long(open_context: Open, admin: Person) -> None:
    workspace = fill(admin)
    stretch(workspace)
    admin.refresh_from_db()
    with album(open_context) as taken:
        taken.take_all(admin, "long", paths_of(workspace))


def test_used(open_context: Open, admin: Person) -> None:
    workspace = fill(admin)
    with album(open_context) as taken:
        taken.take_states(admin, workspace)
