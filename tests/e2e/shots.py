"""Pictures of every page, for `make shots OUT=folder`: wide and on a phone, light and dark, full, empty and failing.

Run by name only (pytest does not collect it by itself). SHOTS is the folder.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from people.models import Person
from tests.e2e.workspace import PAGES, STRANGERS, Workspace, fill

WIDE, PHONE = (1440, 900), (390, 844)
Open = Callable[..., BrowserContext]


def shoot(context: BrowserContext, paths: dict[str, list[str]], into: Path, suffix: str) -> None:
    """Take a picture of the whole of each page."""
    page = context.new_page()
    for name, several in paths.items():
        for number, path in enumerate(several):
            page.set_viewport_size({"width": page.viewport_size["width"], "height": 844})
            page.goto(path)
            height = page.evaluate("document.documentElement.scrollHeight")
            page.set_viewport_size({"width": page.viewport_size["width"], "height": max(844, height)})
            page.evaluate("document.fonts.ready")
            file = re.sub(r"\W+", "-", name) + (f"-{number + 1}" if number else "") + suffix
            page.screenshot(path=into / f"{file}.png")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["1440", "390"])
def test_shots(open_context: Open, admin_person: Person, theme: str, size: tuple[int, int]) -> None:
    into = Path(os.environ["SHOTS"])
    into.mkdir(parents=True, exist_ok=True)
    suffix = f"-{size[0]}-{theme}"

    def pages(workspace: Workspace) -> dict[str, list[str]]:
        return {name: paths(workspace) for name, paths in PAGES.items()}

    admin_person.first_name, admin_person.last_name = "Maya", "Lindqvist"
    admin_person.save()
    shoot(open_context(admin_person, size=size, theme=theme), pages(Workspace(admin_person)), into, f"-empty{suffix}")
    shoot(open_context(admin_person, size=size, theme=theme), pages(fill(admin_person)), into, suffix)
    shoot(open_context(size=size, theme=theme), STRANGERS, into, suffix)
