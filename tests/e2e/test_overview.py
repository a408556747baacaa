"""The overview in a browser: its chart wide and on a phone, its numbers as a table, and what needs attention."""

from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, expect

from channels.models import Channel
from integrations.models import ChannelSync, KlaviyoAccount, SyncJob
from people.models import Person
from segments import changes
from segments.models import Segment
from segments.values import SegmentValues
from tests.e2e.conftest import PHONE, WIDE
from tests.e2e.test_axe import reported

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def synced(transactional_db: None) -> Segment:
    """A channel that was synced, of which one segment is gone from Klaviyo, and whose last sync failed."""
    email = Channel.objects.get(slug="email")
    segment = changes.add(email, SegmentValues("VIP", "v-1"), changes.By())
    email.segments.update(source="klaviyo", klaviyo_kind="list", klaviyo_id="v-1", missing_since=timezone.now())
    account = KlaviyoAccount.objects.create(account_id="XyZ123", name="Fernhill", encrypted_key="not read here")
    ChannelSync.objects.create(channel=email, account=account, every_hours=6)
    for status, created in (("done", 1200), ("failed", 0)):
        at = timezone.now()
        SyncJob.objects.create(
            channel=email,
            account=account,
            status=status,
            created=created,
            missing=1 if created else 0,
            message="" if created else "Klaviyo did not answer.",
            created_at=at,
            finished_at=at,
        )
    return segment


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_chart_is_drawn_to_fit_and_told_in_words_and_numbers(
    open_context: Callable[..., BrowserContext],
    marketer: Person,
    synced: Segment,
    size: tuple[int, int],
    scripts: bool,
) -> None:
    page = open_context(marketer, size=size, scripts=scripts).new_page()
    page.goto("/")
    chart = page.get_by_role("img", name="What Klaviyo syncs changed")
    expect(chart).to_have_count(1)  # the other one is for another width, and hidden
    expect(chart).to_contain_text("Most changes today: 1,200 new, 1 gone.")
    table = page.get_by_role("table", name="What Klaviyo syncs changed, day by day")
    expect(table).to_be_hidden()
    page.get_by_text("Show these numbers as a table").click()
    expect(table.get_by_role("row")).to_have_count(15)
    expect(table.get_by_role("row").last).to_contain_text("1,200")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_needs_attention_leads_to_what_to_do(
    open_context: Callable[..., BrowserContext], marketer: Person, synced: Segment, theme: str
) -> None:
    page = open_context(marketer, theme=theme).new_page()
    page.goto("/")
    todo = page.get_by_role("region", name="Needs your attention")
    expect(todo).to_contain_text("The schedule tries again, later each time.")
    page.get_by_text("Show these numbers as a table").click()
    assert not list(reported(page))
    todo.get_by_role("link", name="Review segment").click()
    expect(page.get_by_role("link", name="VIP", exact=True)).to_be_visible()
    expect(page.get_by_label("Status")).to_have_value("gone")
