"""The pictures of the user guide, for `make shots GUIDE=1`: a chosen few, of a workspace that a small company has.

Run by name only, as shots.py is. SHOTS is the folder; docs/img is where they belong. Segments come from a Klaviyo of
our own, over HTTP, from files, and by hand.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page

from channels.models import Channel
from integrations.models import KlaviyoAccount, SyncJob
from integrations.secrets import Secret
from integrations.starting import start
from jobs import lease
from jobs.presence import present
from jobs.runner import perform
from people.models import Person
from segments import changes
from segments.models import Segment
from segments.values import SegmentValues
from tests.e2e.workspace import BY_HAND, IMPORTED, import_rows, people_of_every_state, rows, upload
from tests.klaviyo.fake import NAMES, READ_ALL, FakeKlaviyo

SIZE = (1280, 800)
TAB = "/channels/email/segments/"
Open = Callable[..., BrowserContext]
TEXTS = """Segment name;Segment ID;Link;Active status;Owner
Back in stock – texts;txt-stock;https://sms.example.com/s/txt-stock;active;Priya
Loyalty – gold tier;loyalty_gold;https://sms.example.com/s/gold;active;Priya
Flash sale – texts;txt-flash;https://sms.example.com/s/txt-flash;inactive;Priya
Order updates;txt-orders;htp:/sms.example.com;active;Jonas
;txt-nameless;;active;Jonas
"""


class Shop:
    """A filled workspace, and what the pictures are of."""

    def __init__(self, person: Person, klaviyo: FakeKlaviyo) -> None:
        self.person = person
        email, sms = Channel.objects.get(slug="email"), Channel.objects.get(slug="sms")
        by = changes.By(person)
        people_of_every_state(person)
        import_rows([email, sms], "shop_segments.csv", rows(IMPORTED[5:]), person)
        for name in BY_HAND:
            changes.add(email, SegmentValues(name), by)
        self.account = KlaviyoAccount(account_id=klaviyo.account_id, name="Fernhill", organisation=klaviyo.account_name)
        self.account.scopes, self.account.connected_by = sorted(READ_ALL), person
        self.account.keep_key(Secret(klaviyo.key))
        self.account.save()
        for number, name in enumerate(NAMES):
            klaviyo.add_segment(f"Sg{number:04d}", name, is_starred=number == 1)
            klaviyo.add_list(
                f"Ls{number:04d}", f"Newsletter – {('weekly', 'wholesale', 'events')[number % 3]} {number}"
            )
        self.sync(email)
        self.overridden = Segment.objects.get(channel=email, name="SMS – back in stock")
        changes.edit(self.overridden, SegmentValues("Back in stock", "Sg0007", self.overridden.link), by)
        klaviyo.add_segment("Sg0003", "Cart abandoners – 5 days")
        klaviyo.add_segment("Sg0012", "Price drop – last 7 days")
        klaviyo.remove("Ls0001")
        self.sync(email)
        klaviyo.add_segment("Sg0013", "Gift finder – December")
        klaviyo.add_segment("Sg0010", "Win-back – no order in 400 days")
        self.preview = self.sync(email, goal="check")
        self.done = upload(person, "texts_2025.csv", TEXTS.replace(" – texts", " 2025"), start=True)
        self.ready = upload(person, "attentive_export.csv", TEXTS)

    def sync(self, channel: Channel, **more: Any) -> SyncJob:
        """Sync a channel, as a worker does."""
        job, _ = start(channel, self.person, **more)
        while claimed := lease.claim("worker"):
            perform(claimed)
        return SyncJob.objects.get(pk=job.pk)


def overview(page: Page, shop: Shop) -> None:
    page.goto("/")


def segments(page: Page, shop: Shop) -> None:
    page.goto(TAB)
    page.get_by_role("button", name="Hide this summary").click()
    page.goto(TAB)


def ticked(page: Page, shop: Shop) -> None:
    page.goto(f"{TAB}?q=lapsed")
    page.get_by_role("checkbox", name="Select all segments on this page").check()


def add(page: Page, shop: Shop) -> None:
    page.goto(TAB)
    page.get_by_role("link", name="Add segment").click()
    panel = page.locator("dialog:modal")
    panel.get_by_label("Segment name").fill("Coffee club – cancelled")
    panel.get_by_label("Segment ID").fill("coffee_cancelled")


def elsewhere(page: Page, shop: Shop) -> None:
    page.goto(f"{TAB}?q=back in stock 2025")


def segment(page: Page, shop: Shop) -> None:
    page.goto(shop.overridden.get_absolute_url())


def upload_page(page: Page, shop: Shop) -> None:
    page.goto("/data/upload/")


def mapping(page: Page, shop: Shop) -> None:
    page.goto(shop.ready.get_absolute_url() + "mapping/")


def done(page: Page, shop: Shop) -> None:
    page.goto(shop.done.get_absolute_url())


def undo(page: Page, shop: Shop) -> None:
    page.goto(f"/activity/{shop.done.change_set_id}/undo/")


def sync(page: Page, shop: Shop) -> None:
    page.goto(TAB)


def preview(page: Page, shop: Shop) -> None:
    page.goto(shop.preview.get_absolute_url())


def across(page: Page, shop: Shop) -> None:
    page.goto("/segments/")


def activity(page: Page, shop: Shop) -> None:
    page.goto("/activity/")


def people(page: Page, shop: Shop) -> None:
    page.goto("/people/")


def integrations(page: Page, shop: Shop) -> None:
    page.goto("/integrations/")


PICTURES: dict[str, Callable[[Page, Shop], None]] = {
    "overview": overview,
    "sync": sync,
    "segments": segments,
    "ticked": ticked,
    "add": add,
    "elsewhere": elsewhere,
    "segment": segment,
    "upload": upload_page,
    "mapping": mapping,
    "import": done,
    "undo": undo,
    "preview": preview,
    "across": across,
    "activity": activity,
    "people": people,
    "integrations": integrations,
}


def test_guide(open_context: Open, admin_person: Person, settings: Any) -> None:
    """Take them, as large as the window of a laptop."""
    into = Path(os.environ["SHOTS"])
    into.mkdir(parents=True, exist_ok=True)
    admin_person.first_name, admin_person.last_name = "Maya", "Lindqvist"
    admin_person.save()
    with FakeKlaviyo().serving() as klaviyo:
        settings.KLAVIYO_API_BASE_URL = klaviyo.url
        shop = Shop(admin_person, klaviyo)
    with present("worker"):
        page = open_context(admin_person, size=SIZE).new_page()
        for name, bring_about in PICTURES.items():
            bring_about(page, shop)
            page.evaluate("document.fonts.ready.then(() => null)")
            page.screenshot(path=into / f"{name}.png", animations="disabled")
