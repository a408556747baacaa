"""Pages of segments: every row once, in order, forwards and backwards, whatever the sort."""

from itertools import pairwise

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from channels.models import Channel
from segments.models import Segment, Source
from segments.pages import SORTS, Page, page_of
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def many(db: None) -> Channel:
    """A channel of 23 segments: equal names, names that differ only in case, every status and source, some IDs."""
    sources = list(Source)
    for number in range(23):
        SegmentFactory(
            name=("vip", "VIP", "Ärzte", "zoo", "Älter", "Éclair")[number % 6],
            segment_id=f"id-{number:02}" if number % 3 or number > 17 else f"ID-x{number}",
            active=bool(number % 4),
            source=sources[number % 3],
        )
    for number in range(4):
        SegmentFactory(name=f"no id {number}", active=bool(number % 2))
    SegmentFactory(channel=Channel.objects.get(slug="sms"), name="elsewhere")
    return Channel.objects.get(slug="email")


def walk(channel: Channel, sort: str, size: int) -> list[Page]:
    pages = [page_of(channel.segments.for_list(), sort, "", size)]
    while pages[-1].next:
        pages.append(page_of(channel.segments.for_list(), sort, pages[-1].next, size))
    return pages


@pytest.mark.parametrize("size", [1, 4, 26, 27, 28])
@pytest.mark.parametrize("sort", SORTS)
def test_pages_forwards_hold_every_segment_once(many: Channel, sort: str, size: int) -> None:
    pages = walk(many, sort, size)
    seen = [row.pk for page in pages for row in page.rows]
    assert len(seen) == len(set(seen)) == many.segments.count()
    assert [page.start for page in pages] == list(range(0, 27, size))
    assert not pages[0].previous


@pytest.mark.parametrize("size", [1, 4, 26])
@pytest.mark.parametrize("sort", SORTS)
def test_going_back_shows_the_same_pages(many: Channel, sort: str, size: int) -> None:
    pages = walk(many, sort, size)
    for earlier, later in pairwise(pages):
        again = page_of(many.segments.for_list(), sort, later.previous, size)
        assert [row.pk for row in again.rows] == [row.pk for row in earlier.rows]
        assert (again.start, bool(again.previous), bool(again.next)) == (earlier.start, bool(earlier.previous), True)


def order(channel: Channel, sort: str) -> list[Segment]:
    return [row for page in walk(channel, sort, 5) for row in page.rows]


def test_names_are_sorted_without_case(many: Channel) -> None:
    rows = order(many, "name")
    assert [(row.name_key, row.pk) for row in rows] == sorted((row.name_key, row.pk) for row in rows)
    assert [row.pk for row in order(many, "-name")] == [row.pk for row in reversed(rows)]


def test_status_is_sorted_by_name_within(many: Channel) -> None:
    keys = [(not row.active, row.name_key, row.pk) for row in order(many, "status")]
    assert keys == sorted(keys)
    assert order(many, "-status")[0].active is False


def test_segments_without_id_come_last_when_sorted_by_id(many: Channel) -> None:
    for sort in ("segment_id", "-segment_id"):
        assert [row.segment_id for row in order(many, sort)][-4:] == [""] * 4
    keys = [row.id_key for row in order(many, "segment_id")][:-4]
    assert keys == sorted(keys)


def test_newest_change_comes_first(many: Channel) -> None:
    keys = [(row.updated_at, row.pk) for row in order(many, "-updated")]
    assert keys == sorted(keys, reverse=True)


@pytest.mark.parametrize("cursor", ["", "x", "eyJ:1:2", "\u00e9", "W10:abc:def"])
def test_a_cursor_that_is_not_ours_shows_the_first_page(many: Channel, cursor: str) -> None:
    assert page_of(many.segments.for_list(), "name", cursor, 5).start == 0


def test_a_cursor_of_another_sort_shows_the_first_page(many: Channel) -> None:
    other = page_of(many.segments.for_list(), "name", "", 5).next
    assert page_of(many.segments.for_list(), "-name", other, 5).start == 0


def test_a_deep_page_is_found_by_comparing_rows_not_by_or(many: Channel) -> None:
    first = page_of(many.segments.for_list(), "name", "", 5)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page_of(many.segments.for_list(), "name", first.next, 5)
    assert len(queries) == 1
    sql = queries[0]["sql"]
    assert '("segments_segment"."name_key", "segments_segment"."id") > (' in sql
    assert " OR " not in sql


def test_first_page_is_whole_when_rows_before_it_are_gone(many: Channel) -> None:
    second = page_of(many.segments.for_list(), "name", "", 5)
    third = page_of(many.segments.for_list(), "name", second.next, 5)
    Segment.objects.filter(pk__in=[row.pk for row in second.rows[:3]]).delete()
    back = page_of(many.segments.for_list(), "name", third.previous, 5)
    assert (len(back.rows), back.start, back.previous) == (5, 0, "")


@pytest.mark.parametrize("sort", SORTS)
def test_a_page_whose_rows_are_all_gone_is_the_one_before_it(many: Channel, sort: str) -> None:
    *_, earlier, last = pages = walk(many, sort, 5)
    Segment.objects.filter(pk__in=[row.pk for row in last.rows]).delete()
    shown = page_of(many.segments.for_list(), sort, earlier.next, 5)
    assert [row.pk for row in shown.rows] == [row.pk for row in earlier.rows]
    assert (shown.start, bool(shown.previous), shown.next) == (5 * (len(pages) - 2), True, "")
    many.segments.all().delete()
    assert page_of(many.segments.for_list(), sort, earlier.next, 5) == Page([], 0, "", "")


def test_longest_names_make_a_cursor_that_fits_an_address(db: None) -> None:
    for number in range(2):
        SegmentFactory(name="".join(chr(0x1F300 + (i * 7 + number) % 500) for i in range(255)))
    page = page_of(Segment.objects.for_list(), "name", "", 1)
    assert len(page.next) < 2000
    assert page_of(Segment.objects.for_list(), "name", page.next, 1).start == 1
