"""Segments across channels: each segment once, by the rule in the docstring of segments.across.rules."""

import random
from collections import defaultdict
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels.models import Channel
from people.models import AccessEvent
from segments.across import rows as across_rows
from segments.across.pages import Page, csv_rows, page_of
from segments.across.rules import EVERYWHERE, MIXED, Row, Wanted, shows
from segments.models import Segment, Source
from segments.search import index
from segments.values import fold, identity_key
from tests.factories import ChannelFactory, SegmentFactory

pytestmark = pytest.mark.django_db

URL = "/segments/"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def channels() -> list[Channel]:
    return list(Channel.objects.all())


def again() -> list[Channel]:
    """The channels as they are now: a page trusts the sizes that they say they have."""
    return list(Channel.objects.all())


def names(page: Page) -> list[str]:
    return [row.leader.name for row in page.rows]


def grid(row: Row) -> str:
    """The cells of a row: A active, i inactive, - not there."""
    return "".join("-" if not found else "A" if found.active else "i" for _, found in row.cells)


def all_pages(wanted: Wanted, size: int, sort: str = "name") -> list[Page]:
    """Every page there is, going on from the first."""
    pages = [page_of(again(), wanted, sort, "", size)]
    while pages[-1].next:
        pages.append(page_of(again(), wanted, sort, pages[-1].next, size))
    return pages


# ── the rule, against a plain one ─────────────────────────────────────────────────────────────────


def fill(seed: int, tries: int) -> None:
    """Segments of few names and IDs, so that they meet within and across channels."""
    chance = random.Random(seed)
    used = {(segment.channel_id, bytes(segment.identity_key)) for segment in Segment.objects.all()}
    for number in range(tries):
        channel = chance.choice(again())
        name = chance.choice(["vip", "VIP", "Café", "cafe", "lapsed", "Zebra", "a%b", "東京"]) + chance.choice(
            ["", " 1", " 2", " x"]
        )
        segment_id = chance.choice(["", "", f"id-{chance.randrange(tries)}"])
        identity = channel.pk, identity_key(name, segment_id)
        if identity in used:
            continue
        used.add(identity)
        source = chance.choice([Source.MANUAL, Source.CSV, Source.KLAVIYO])
        known = {"klaviyo_id": f"{seed}-{number}", "klaviyo_kind": chance.choice(["list", "segment"])}
        link = chance.choice(["", "https://a.example/"])
        said = {
            "synced_name": chance.choice([name, "other"]),
            "synced_link": chance.choice([link, "https://b.example/"]),
        }
        known |= said | {"missing_since": chance.choice([None, None, timezone.now()])}
        told = known if segment_id and chance.random() < 0.5 else {}
        active = chance.random() < 0.7
        told |= {"channel": channel, "name": name, "segment_id": segment_id, "source": source}
        SegmentFactory(active=active, link=link, **told)


def oracle(wanted: Wanted, sort: str = "name") -> list[list[int]]:
    """The primary keys of each row, in order, said as simply as can be."""
    channels = again()
    order = [channel.pk for channel in channels]
    together: dict[bytes, list[Any]] = defaultdict(list)
    for segment in Segment.objects.select_related("channel"):
        together[bytes(segment.identity_key)].append(segment)
    rows = [sorted(row, key=lambda s: order.index(s.channel_id)) for row in together.values()]
    rows = [row for row in rows if right(row, wanted, channels)]
    places = sorted(((*place(row, wanted, sort), row) for row in rows), key=lambda each: each[:2])
    if sort == "-name":
        places.reverse()
    return [[s.pk for s in row] for _, _, row in places]


def place(row: list[Any], wanted: Wanted, sort: str) -> tuple[int, tuple[str, int]]:
    """Where a row stands: the number of its run, and its place there."""
    if wanted.q:
        looked_for = [s for s in row if has_words(s, wanted.q)]
    elif wanted.source not in ("", "csv"):
        looked_for = [s for s in row if is_of(s, wanted.source)]
    elif wanted.status == "gone":
        looked_for = [s for s in row if s.is_gone]
    elif wanted.only:
        looked_for = [s for s in row if is_only(s, wanted.only)]
    elif wanted.status == "inactive" or wanted.show == MIXED:
        looked_for = [s for s in row if not s.active]
    else:
        looked_for = row
    if "in-" not in sort:
        return 0, (looked_for[0].name_key, looked_for[0].pk)
    there = next((s for s in row if s.channel.slug == sort.partition("in-")[2]), None)
    run = 2 if there is None else 0 if there.active else 1
    stands = there or looked_for[0]
    return -run if sort.startswith("-") else run, (stands.name_key, stands.pk)


def has_words(segment: Any, q: str) -> bool:
    return all(word in fold(segment.name) or word in fold(segment.segment_id) for word in fold(q).split())


def is_only(segment: Any, only: str) -> bool:
    return bool(segment.overridden) if only == "override" else not segment.link


def is_of(segment: Any, source: str) -> bool:
    return source in (segment.source, f"klaviyo-{segment.klaviyo_kind}")


def right(row: list[Any], wanted: Wanted, channels: list[Channel]) -> bool:
    states, slugs = {s.active for s in row}, {s.channel.slug for s in row}
    return all(
        (
            any(has_words(s, wanted.q) for s in row),
            {
                "": True,
                "active": states == {True},
                "inactive": False in states,
                "gone": any(s.is_gone for s in row),
            }[wanted.status],
            not wanted.only or any(is_only(s, wanted.only) for s in row),
            not wanted.source or any(is_of(s, wanted.source) for s in row),
            wanted.show != EVERYWHERE or len(slugs) == len(channels),
            wanted.show != MIXED or len(states) == 2,
            wanted.show.removeprefix("missing-") not in slugs,
        )
    )


SEARCHES = [
    Wanted(),
    Wanted(q="VIP"),
    Wanted(q="é"),
    Wanted(q="id-1"),
    Wanted(q="1 vip"),
    Wanted(q="%"),
    Wanted(status="active"),
    Wanted(status="inactive"),
    Wanted(status="gone"),
    Wanted(only="override"),
    Wanted(only="no-link"),
    Wanted(q="vip", status="gone", only="no-link"),
    Wanted(status="inactive", only="override", show="missing-sms"),
    Wanted(source="csv"),
    Wanted(source="klaviyo-list"),
    Wanted(show="every"),
    Wanted(show="mixed"),
    Wanted(show="missing-email"),
    Wanted(show="missing-meta"),
    Wanted(q="vip", status="inactive", show="missing-sms"),
    Wanted(q="vip", show="every"),
    Wanted(q="a", source="manual", show="mixed"),
]


@pytest.mark.parametrize(
    ("few", "looked", "sort"),
    [
        (10_000, 50, "name"),
        (10_000, 50, "-in-sms"),
        (0, 5, "name"),
        (0, 5, "-name"),
        (0, 200, "in-sms"),
        (0, 7, "-in-email"),
        (15, 7, "-name"),
        (15, 7, "in-meta"),
    ],
)
def test_rows_are_those_of_the_rule_each_once_whichever_way_they_are_found(
    monkeypatch: pytest.MonkeyPatch, few: int, looked: int, sort: str
) -> None:
    monkeypatch.setattr(across_rows, "FEW", few)
    monkeypatch.setattr(across_rows, "LOOKED", looked)
    fill(looked, 50)
    for wanted in SEARCHES:
        found_by_paging(wanted, sort)


@pytest.mark.parametrize("sort", ["name", "-name", "in-sms", "-in-sms"])
def test_rows_of_a_common_word_are_those_of_the_rule(monkeypatch: pytest.MonkeyPatch, sort: str) -> None:
    for name, few in (("FEW", 2), ("NEAR", 1), ("AHEAD", 3), ("COUNT_CAP", 2)):
        monkeypatch.setattr(across_rows, name, few)
    fill(5, 40)
    while index.catch_up():
        pass
    fill(6, 10)
    for wanted in (Wanted(q="vip"), Wanted(q="1"), Wanted(q="é"), Wanted(q="1 vip", show="missing-sms")):
        found_by_paging(wanted, sort)


def found_by_paging(wanted: Wanted, sort: str) -> None:
    """Hold the pages, forwards and backwards, and their counts to the rule."""
    rows = oracle(wanted, sort)
    forward = all_pages(wanted, 4, sort)
    assert [[found.pk for found in row.segments] for page in forward for row in page.rows] == rows, wanted
    cap = across_rows.COUNT_CAP
    assert min(forward[-1].counts.get(wanted.show, len(rows)), cap + 1) == min(len(rows), cap + 1), wanted
    back = [forward[-1]]
    while back[-1].previous:
        back.append(page_of(again(), wanted, sort, back[-1].previous, 4))
    # Where the first page would be short going back, it is the first one going on, and shares rows with the next.
    found = [tuple(found.pk for found in row.segments) for page in reversed(back) for row in page.rows]
    assert list(dict.fromkeys(found)) == [tuple(row) for row in rows], wanted
    name = dict(Segment.objects.values_list("pk", "name"))
    assert [cells[0] for cells in csv_rows(again(), wanted, sort)] == [name[row[0]] for row in rows]


def test_the_counts_of_what_can_be_shown_are_right() -> None:
    fill(3, 60)
    page = page_of(again(), Wanted(q="vip"), "name", "", 25)
    assert page.counts == {show: len(oracle(Wanted(q="vip", show=show))) for show in shows(again())}


def test_the_same_id_is_one_row_whatever_it_is_called(channels: list[Channel]) -> None:
    email, sms, meta = channels
    SegmentFactory(channel=meta, name="Aardvark", segment_id="v-1", active=False)
    SegmentFactory(channel=sms, name="VIPs", segment_id="v-1")
    SegmentFactory(channel=email, name="Best customers")
    page = page_of(again(), Wanted(), "name", "", 25)
    assert [(row.leader.name, grid(row)) for row in page.rows] == [("Best customers", "A--"), ("VIPs", "-Ai")]


def test_the_same_name_without_an_id_is_one_row(channels: list[Channel]) -> None:
    email, sms, _ = channels
    SegmentFactory(channel=email, name="VIP club")
    SegmentFactory(channel=sms, name="vip  Club", active=False)
    SegmentFactory(channel=sms, name="VIP club", segment_id="v-1")
    page = page_of(again(), Wanted(), "name", "", 25)
    assert [grid(row) for row in page.rows] == ["Ai-", "-A-"]


def test_a_label_does_not_identify(channels: list[Channel]) -> None:
    email, sms, _ = channels
    SegmentFactory(channel=email, name="VIP", segment_id="spring", is_label=True)
    SegmentFactory(channel=sms, name="vip")
    SegmentFactory(channel=sms, name="Lapsed", segment_id="spring")
    page = page_of(again(), Wanted(), "name", "", 25)
    assert [(row.leader.name, grid(row)) for row in page.rows] == [("Lapsed", "-A-"), ("VIP", "AA-")]


def test_a_page_that_looked_far_enough_says_so_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(across_rows, "FEW", 3)
    monkeypatch.setattr(across_rows, "LOOKED", 10)
    for number in range(80):
        SegmentFactory(name=f"s {number:02}", source=Source.CSV if number > 70 else Source.MANUAL)
    pages = all_pages(Wanted(source="csv"), size=3)
    assert [page.looked for page in pages][0]
    assert [name for page in pages for name in names(page)] == [f"s {number}" for number in range(71, 80)]


def test_from_a_page_whose_rows_are_all_gone_one_can_go_back(as_marketer: Client) -> None:
    for number in range(26):
        SegmentFactory(name=f"s {number:02}", active=False)
    first = as_marketer.get(URL, {"status": "inactive"}).context["page"]
    Segment.objects.filter(name="s 25").update(active=True)
    response = as_marketer.get(URL, {"status": "inactive", "cursor": first.next})
    html = response.content.decode()
    assert "No more of them" in html
    assert "No segment matches" not in html
    back = as_marketer.get(URL, {"status": "inactive", "cursor": response.context["page"].previous})
    assert names(back.context["page"]) == names(first)


@pytest.mark.parametrize(
    "query", ["", "?q=s", "?q=zzz", "?show=mixed", "?show=every", "?status=inactive&source=csv", "?sort=in-sms"]
)
@pytest.mark.parametrize("few", [3_000, 0])
def test_number_of_queries_is_bounded_and_the_same_at_one_row_and_at_many(
    as_marketer: Client, monkeypatch: pytest.MonkeyPatch, query: str, few: int
) -> None:
    monkeypatch.setattr(across_rows, "FEW", few)
    SegmentFactory(name="s")
    ChannelFactory()
    counts = []
    for more in (30, 0):
        as_marketer.get(URL + query)
        with CaptureQueriesContext(connection) as queries:
            as_marketer.get(URL + query)
        counts.append(len(queries))
        for number in range(more):
            SegmentFactory(name=f"s {number}")
            SegmentFactory(name=f"s {number}", channel=Channel.objects.get(slug="sms"), active=False)
    assert max(counts) <= 8


# ── the page ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def both(channels: list[Channel]) -> tuple[Segment, Segment]:
    """A segment that is in Email and, inactive and by another name, in SMS."""
    email, sms, _ = channels
    return (
        SegmentFactory(channel=email, name="VIP", segment_id="v-1"),
        SegmentFactory(channel=sms, name="VIP texts", segment_id="v-1", active=False),
    )


def test_a_row_has_a_switch_or_add_for_each_channel(as_marketer: Client, both: tuple[Segment, Segment]) -> None:
    html = as_marketer.get(URL).content.decode()
    assert html.count('role="switch"') == 2
    assert f'action="/channels/sms/segments/{both[1].pk}/status/"' in html
    assert "Add<span" in html
    assert "“<bdi>VIP texts</bdi>”" in html
    assert 'aria-current="page"' in html


def test_a_viewer_sees_it_and_changes_nothing(as_viewer: Client, both: tuple[Segment, Segment]) -> None:
    html = as_viewer.get(URL).content.decode()
    assert "Inactive" in html
    assert "Not in Meta" in html
    assert 'role="switch"' not in html
    assert "/bulk/" not in html
    assert "Switch it on" not in html


def test_add_makes_it_the_same_segment_there_and_comes_back(
    as_marketer: Client, both: tuple[Segment, Segment], channels: list[Channel]
) -> None:
    meta = channels[2]
    back = f"{URL}?show=missing-meta"
    data = {"do": "add", "sure": "1", "ids": both[0].pk, "channels": meta.pk, "next": back}
    response = as_marketer.post("/channels/email/segments/bulk/", data)
    assert response["Location"] == back
    assert [grid(row) for row in page_of(again(), Wanted(), "name", "", 25).rows] == ["AiA"]


def test_a_switch_comes_back_to_the_page_or_has_it_loaded_anew(
    as_marketer: Client, both: tuple[Segment, Segment]
) -> None:
    url = f"/channels/sms/segments/{both[1].pk}/status/"
    assert as_marketer.post(url, {"active": "on", "next": f"{URL}?q=vip"})["Location"] == f"{URL}?q=vip"
    response = as_marketer.post(url, {"next": URL}, headers=HTMX)
    assert (response.status_code, "segmentsChanged" in response["HX-Trigger"]) == (204, True)
    html = as_marketer.get(URL, headers=HTMX).content.decode()
    assert "is now inactive" in html
    assert "/undo/" in html


def test_htmx_gets_the_fragment_of_the_same_address(as_viewer: Client, both: tuple[Segment, Segment]) -> None:
    response = as_viewer.get(URL, headers=HTMX)
    html = response.content.decode()
    assert html.strip().startswith('<div id="across"')
    assert 'id="count" hx-swap-oob="true"' in html
    assert 'id="nav-count-sms" hx-swap-oob="true"' in html
    assert "HX-Request" in response["Vary"]


@pytest.mark.parametrize("query", ["?status=x", "?show=missing-fax", "?cursor=x", "?rows=7", "?source=x", "?sort=x"])
def test_what_is_not_understood_is_left_out(as_viewer: Client, both: tuple[Segment, Segment], query: str) -> None:
    assert names(as_viewer.get(URL + query).context["page"]) == ["VIP"]


def test_chips_count_and_keep_the_search(as_viewer: Client, both: tuple[Segment, Segment]) -> None:
    SegmentFactory(name="Lapsed")
    html = as_viewer.get(f"{URL}?q=vip&show=mixed").content.decode()
    assert 'href="/segments/?q=vip&amp;show=missing-meta"' in html
    assert 'href="/segments/?q=vip"' in html
    assert '<input type="hidden" name="show" value="mixed" form="find">' in html


def test_nothing_anywhere_says_what_comes_first(as_viewer: Client) -> None:
    html = as_viewer.get(URL).content.decode()
    assert "No segments yet" in html
    assert 'id="across"' not in html


def test_no_match_offers_to_clear_the_search(as_viewer: Client, both: tuple[Segment, Segment]) -> None:
    assert "clear search and filters" in as_viewer.get(f"{URL}?q=nothing").content.decode()


def test_a_search_without_a_hit_in_a_channel_leads_here(as_viewer: Client, both: tuple[Segment, Segment]) -> None:
    html = as_viewer.get("/channels/email/segments/?q=texts").content.decode()
    assert 'href="/segments/?q=texts"' in html
    assert names(as_viewer.get("/segments/?q=texts").context["page"]) == ["VIP"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("", ["Lapsed", "VIP", "Winter"]),
        ("-name", ["Winter", "VIP", "Lapsed"]),
        ("in-sms", ["Winter", "VIP", "Lapsed"]),
        ("-in-sms", ["Lapsed", "VIP", "Winter"]),
    ],
)
def test_a_click_on_a_column_sorts_by_it(
    as_viewer: Client, both: tuple[Segment, Segment], channels: list[Channel], sort: str, expected: list[str]
) -> None:
    SegmentFactory(name="Lapsed")
    SegmentFactory(name="Winter", channel=channels[1])
    response = as_viewer.get(URL, {"sort": sort, "q": ""})
    assert names(response.context["page"]) == expected
    html = response.content.decode()
    column, way = ("SMS", sort) if "in-" in sort else ("Segment name", sort or "name")
    head = html[: html.index(f'id="sort-by-{column.lower().replace(" ", "-")}"')].rpartition("<th")[2]
    assert f'aria-sort="{"descending" if way.startswith("-") else "ascending"}"' in head


def test_very_many_are_counted_up_to_a_limit(
    as_viewer: Client, both: tuple[Segment, Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    SegmentFactory(name="VIP 2", source=Source.CSV)
    for name, few in (("FEW", 0), ("COUNT_CAP", 1)):
        monkeypatch.setattr(across_rows, name, few)
    assert page_of(again(), Wanted(), "name", "", 25).counts == {"": 2}
    assert page_of(again(), Wanted(q="vip"), "name", "", 25).counts == {"": 2}
    assert page_of(again(), Wanted(source="csv"), "name", "", 25).counts == {"": 1}
    assert page_of(again(), Wanted(status="inactive"), "name", "", 25).counts == {"": 1}
    assert page_of(again(), Wanted(status="active"), "name", "", 25).counts == {}
    monkeypatch.setattr("segments.across.views.COUNT_CAP", 1)
    assert "1+ segments" in as_viewer.get(URL).content.decode()


def test_what_is_filtered_is_exported_in_its_order_and_that_is_recorded(
    as_viewer: Client, both: tuple[Segment, Segment]
) -> None:
    SegmentFactory(name="=VIP()", segment_id="+1")
    SegmentFactory(name="Lapsed")
    Channel.objects.filter(slug="meta").update(name="@Meta")
    response = as_viewer.get(f"{URL}export/?q=vip&sort=-name&cursor=x")
    assert b"".join(response.streaming_content).decode() == (  # type: ignore[attr-defined]  # it streams
        "\ufeffSegment name,Segment ID,Email,SMS,'@Meta\r\nVIP,v-1,Active,Inactive,\r\n'=VIP(),'+1,Active,,\r\n"
    )
    assert response["Content-Disposition"] == 'attachment; filename="segments-across-channels.csv"'
    assert str(AccessEvent.objects.get(kind="export")) == "Viewer Person Exported Segments across channels"
    html = as_viewer.get(f"{URL}?q=vip", headers=HTMX).content.decode()
    assert 'href="/segments/export/?q=vip" id="export" hx-swap-oob="true"' in html


def test_hostile_text_is_shown_as_text(as_marketer: Client) -> None:
    SegmentFactory(name='"><script>alert(1)</script>', segment_id="<img src=x>")
    html = as_marketer.get(URL).content.decode()
    assert "<script>alert" not in html
    assert "<img" not in html
