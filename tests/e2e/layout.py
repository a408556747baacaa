"""What does not fit on a page: text cut off, things over each other or outside, a page that scrolls sideways.

Goes in: an open page and the widths to try. Comes out: a sentence for each fault, which names page, width and
element. layout.js looks; the page is made as high as it is long, so that all of it can be hit.
"""

from collections.abc import Iterable
from pathlib import Path

from playwright.sync_api import Page

LOOK = (Path(__file__).parent / "layout.js").read_text("utf-8")
WIDTHS = (320, 390, 768, 1024, 1440)
LOWEST, HIGHEST = 844, 16_000  # pixels: a phone's screen, and what a picture can hold


def unfold(page: Page, width: int) -> None:
    """Make the window `width` wide and as high as the page is long."""
    page.set_viewport_size({"width": width, "height": LOWEST})
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": width, "height": max(LOWEST, min(height, HIGHEST))})
    page.evaluate("document.fonts.ready.then(() => null)")


def unfitting(page: Page, widths: Iterable[int], whole: bool = True) -> list[str]:
    """Return what does not fit at each of `widths`; the window has its size again afterwards.

    With `whole` false it keeps its height, as a dialog needs, which fills the window and not the page.
    """
    size = page.viewport_size
    assert size is not None
    found = []
    for width in widths:
        if whole:
            unfold(page, width)
        else:
            page.set_viewport_size({"width": width, "height": size["height"]})
        found += [f"{page.url} at {width} px: {fault}" for fault in page.evaluate(LOOK)]
    page.set_viewport_size(size)
    return found
