"""What a search finds, and that pages of it are the same whichever way they are read."""

from itertools import pairwise
from typing import Any

import pytest
from django.test import Client

from channels.models import Channel
from segments import changes
from segments.changes import By
from segments.models import SearchBacklog, Segment
from segments.pages import Page, page_of
from segments.search import index, search
from segments.search.search import Search
from segments.values import SegmentValues, words
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def email() -> Channel:
    return Channel.objects.get(slug="email")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("  ", []),
        ("Loyalty 1", ["loyalty", "1"]),
        ("ÉTÉ  Été\u00a0a", ["été", "a"]),
        ("Loyalty – group", ["loyalty", "–", "group"]),
    ],
)
def test_words_of_a_search_are_folded_and_each_there_once(text: str, found: list[str]) -> None:
    assert words(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("loyalty 1", {"Loyalty – group 1", "Group 1 of loyalty"}),
        ("1 LOYALTY", {"Loyalty – group 1", "Group 1 of loyalty"}),
        ("loyalty – group", {"Loyalty – group 1", "Loyalty – group 2"}),
        ("y – g", {"Loyalty – group 1", "Loyalty – group 2"}),
        ("loyalty l-2", {"Loyalty – group 2"}),
        ("loyalty 3", set()),
    ],
)
@pytest.mark.parametrize("caught_up", [False, True])
def test_all_words_are_looked_for_in_name_and_id(
    as_viewer: Client, email: Channel, text: str, found: set[str], caught_up: bool
) -> None:
    SegmentFactory(name="Loyalty – group 1")
    SegmentFactory(name="Loyalty – group 2", segment_id="L-2")
    SegmentFactory(name="Group 1 of loyalty")
    SegmentFactory(name="Group 1")
    while caught_up and index.catch_up():
        pass
    for url in ("/channels/email/segments/", "/segments/"):
        page = as_viewer.get(url, {"q": text}).context["page"]
        assert {getattr(row, "leader", row).name for row in page.rows} == found, url
    elsewhere = as_viewer.get("/channels/sms/segments/", {"q": text}).context["elsewhere"]
    assert {segment.name for hits in elsewhere for segment in hits.segments} == found


# ── a word that is common, and late ───────────────────────────────────────────────────────────────


@pytest.fixture
def common(email: Channel, monkeypatch: pytest.MonkeyPatch) -> Channel:
    """A channel whose matches of "sale" are more than are told at once, most of them late, and some not indexed yet."""
    for module, name, few in ((index, "MOST", 7), (search, "READ", 5), (search, "AHEAD", 4)):
        monkeypatch.setattr(module, name, few)
    for number in range(9):
        SegmentFactory(name=f"a{number}")
    late = [
        SegmentFactory(name=f"{'Sale' if number % 5 else 'sale'} {number // 3:02}", segment_id=f"s-{number}")
        for number in range(24)
    ]
    for sign in "abcde":
        SegmentFactory(name="sale " + "ß" * 240 + sign)  # folded it is too long, and so kept with a digest
    SegmentFactory(name="\U0010ffff sale")
    SegmentFactory(name="all the sale", active=False)
    for segment in late[::4]:
        Segment.objects.filter(pk=segment.pk).update(active=False)
    while index.catch_up():
        pass
    changes.edit(Segment.objects.get(pk=late[2].pk), SegmentValues("A sale at last", "s-2", "", True), By())
    changes.edit(Segment.objects.get(pk=late[5].pk), SegmentValues("Gone", "s-5", "", True), By())
    changes.delete(Segment.objects.get(pk=late[9].pk), By())
    return email


def pages(rows: Search, sort: str, size: int) -> list[Page]:
    found = [page_of(rows, sort, "", size)]
    while found[-1].next:
        found.append(page_of(rows, sort, found[-1].next, size))
    return found


@pytest.mark.parametrize("active", [None, True, False])
@pytest.mark.parametrize("sort", ["name", "-name", "status", "-updated", "-segment_id"])
def test_pages_of_a_common_word_hold_every_match_once_in_order(common: Channel, sort: str, active: bool | None) -> None:
    segments = common.segments.with_status(active)
    matching = segments.search("sale")
    for size in (3, 10):
        found = pages(Search(segments, [common], "SALE"), sort, size)
        plain = page_of(matching, sort, "", 100).rows
        assert [row for page in found for row in page.rows] == plain, (sort, active, size)
        for earlier, later in pairwise(found):
            again = page_of(Search(segments, [common], "sale"), sort, later.previous, size)
            assert again.rows == earlier.rows


@pytest.mark.parametrize("status", ["", "active", "inactive"])
def test_a_common_word_takes_no_more_queries_wherever_it_is(
    common: Channel, as_viewer: Client, status: str, django_assert_max_num_queries: Any
) -> None:
    page = {"q": "sale", "status": status}
    for _ in range(2):
        with django_assert_max_num_queries(8):
            response = as_viewer.get("/channels/email/segments/", page)
        page["cursor"] = response.context["page"].next


def test_a_common_word_is_counted_as_very_many_without_counting(common: Channel, as_viewer: Client) -> None:
    if not SearchBacklog.is_kept():
        pytest.skip("SQLite counts in its index of names")
    assert Search(common.segments.all(), [common], "sale").known.too_many
    html = as_viewer.get("/channels/email/segments/?q=sale").content.decode()
    assert "10,000+ of" in html
    assert "10,000+ of" not in as_viewer.get("/channels/email/segments/?q=sale&status=active").content.decode()
