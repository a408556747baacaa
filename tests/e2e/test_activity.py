"""Activity and a segment's history in a browser: filtering, undoing, restoring, with and without JavaScript."""

import re

import pytest
from playwright.sync_api import Page, expect

from channels.models import Channel
from people.models import Person
from segments import changes
from segments.models import Segment
from segments.values import SegmentValues


@pytest.fixture
def segment(marketer: Person) -> Segment:
    """A segment that was renamed, and another that was deleted."""
    email, by = Channel.objects.get(slug="email"), changes.By(marketer)
    made = changes.add(email, SegmentValues("Old name", "v-1"), by)
    changes.edit(made, SegmentValues("New name", "v-1", "", True), by)
    changes.delete(changes.add(email, SegmentValues("Gone", "g-1"), by), by)
    made.refresh_from_db()
    return made


def test_filters_narrow_the_list_and_stand_in_the_address(page: Page, segment: Segment) -> None:
    page.goto("/activity/")
    rows = page.locator("#activity tbody tr:not(.day)")
    expect(rows).to_have_count(4)
    page.get_by_label("Kind").select_option("Deletes")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile("kind=deletes"))
    page.get_by_label("Kind").select_option("All kinds")
    page.get_by_label("Search by segment or file name").fill("old")
    expect(rows).to_have_count(2)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Activity")


def test_dates_appear_where_they_are_asked_for(page: Page, segment: Segment) -> None:
    page.goto("/activity/")
    expect(page.get_by_label("From")).to_have_count(0)
    page.get_by_label("When").select_option("Choose dates…")
    page.get_by_label("From").fill("2001-01-01")
    page.get_by_label("to", exact=True).fill("2001-12-31")
    expect(page.get_by_role("heading", name="No change matches")).to_be_visible()


def test_a_deletion_is_undone_from_the_list_and_that_can_be_undone(page: Page, segment: Segment) -> None:
    page.goto("/activity/?kind=deletes")
    page.get_by_role("button", name="Undo Deleted “Gone”").click()
    expect(page).to_have_url(re.compile(r"/activity/\?kind=deletes$"))
    expect(page.locator("#activity").get_by_text("Undone")).to_be_visible()
    toast = page.get_by_role("region", name="Messages")
    expect(toast).to_contain_text("The deletion of “Gone” is undone.")
    page.goto("/activity/?kind=undo")
    expect(page.get_by_role("link", name="Undid the deletion of “Gone”", exact=True)).to_be_visible()


def test_an_earlier_name_is_restored_on_the_page_of_the_segment(page: Page, segment: Segment) -> None:
    page.goto(segment.get_absolute_url())
    page.get_by_role("button", name="Restore Segment name “Old name”").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Old name")
    expect(page.get_by_role("region", name="Messages")).to_contain_text("Segment name is “Old name” again.")
    page.get_by_role("region", name="Messages").get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("New name")


def test_all_of_it_works_without_javascript(plain_page: Page, segment: Segment) -> None:
    plain_page.goto("/activity/")
    plain_page.get_by_label("Kind").select_option("Deletes")
    plain_page.get_by_role("button", name="Search").click()
    plain_page.get_by_role("button", name="Undo Deleted “Gone”").click()
    expect(plain_page.locator("#activity").get_by_text("Undone")).to_be_visible()
    plain_page.goto(segment.get_absolute_url())
    plain_page.get_by_role("button", name="Restore Segment name “Old name”").click()
    expect(plain_page.get_by_role("heading", level=1)).to_have_text("Old name")
