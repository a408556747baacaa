"""The list: search, filters, order, pages, its states, and what each role sees of it."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from channels.models import Channel
from segments.models import Segment, Source
from segments.queries import SegmentQuerySet
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db

URL = "/channels/email/segments/"
HTMX = {"HX-Request": "true"}


def names(client: Client, query: str = "", **headers: str) -> list[str]:
    response = client.get(URL + query, headers=headers)
    assert response.status_code == 200
    return [segment.name for segment in response.context["page"].rows]


def test_lists_the_segments_of_its_channel_by_name(as_viewer: Client) -> None:
    for name in ("beta", "Alpha", "gamma"):
        SegmentFactory(name=name)
    SegmentFactory(name="elsewhere", channel=Channel.objects.get(slug="sms"))
    assert names(as_viewer) == ["Alpha", "beta", "gamma"]


def test_stranger_is_sent_to_sign_in(client: Client) -> None:
    response = client.get(URL)
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/?next=")


def test_person_without_a_role_is_refused(client: Client, django_user_model: type) -> None:
    client.force_login(django_user_model.objects.create_user("nobody@example.com", "x"))  # type: ignore[attr-defined]
    assert client.get(URL).status_code == 403


def test_other_methods_are_refused(as_marketer: Client) -> None:
    assert as_marketer.post(URL).status_code == 405


def test_unknown_channel_is_not_found(as_viewer: Client) -> None:
    assert as_viewer.get("/channels/fax/segments/").status_code == 404


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("vip", ["VIP é club"]),
        ("É  CLUB", ["VIP é club"]),
        ("e club", []),
        ("xk9", ["Cart"]),
        ("XK9p", ["Cart"]),
        ("100%", ["100% wool"]),
        ("%", ["100% wool"]),
        ("_", ["a_b"]),
        ("\\", []),
        ("   ", ["100% wool", "Cart", "VIP é club", "a_b"]),
        ("' OR 1=1 --", []),
        ("\x00", ["100% wool", "Cart", "VIP é club", "a_b"]),
        ("x" * 300, ["100% wool", "Cart", "VIP é club", "a_b"]),
    ],
)
def test_search_finds_in_name_and_id_without_case(as_viewer: Client, text: str, found: list[str]) -> None:
    SegmentFactory(name="VIP é club")
    SegmentFactory(name="Cart", segment_id="Xk9PdQ")
    SegmentFactory(name="100% wool")
    SegmentFactory(name="a_b")
    response = as_viewer.get(URL, {"q": text})
    assert sorted(row.name for row in response.context["page"].rows) == found


def test_filters_by_status_and_source(as_viewer: Client) -> None:
    SegmentFactory(name="manual")
    SegmentFactory(name="sleeping", active=False)
    SegmentFactory(name="csv", source=Source.CSV)
    assert names(as_viewer, "?status=active") == ["csv", "manual"]
    assert names(as_viewer, "?status=inactive") == ["sleeping"]
    assert names(as_viewer, "?source=csv") == ["csv"]
    assert names(as_viewer, "?status=inactive&source=csv") == []


@pytest.mark.parametrize("query", ["?status=x", "?source=x", "?sort=x", "?rows=7", "?cursor=x", "?rows=x&page=-1"])
def test_what_is_not_understood_is_left_out(as_viewer: Client, query: str) -> None:
    SegmentFactory(name="a")
    assert names(as_viewer, query) == ["a"]


def test_counts_what_matches(as_viewer: Client) -> None:
    for number in range(3):
        SegmentFactory(name=f"vip {number}")
    SegmentFactory(name="other")
    html = as_viewer.get(URL, {"q": "vip"}).content.decode()
    assert re.search(r'id="count">\s*3 of 4 segments', html)
    assert "Showing 1–3 of 3" in html
    assert re.search(r'id="count">\s*4 segments', as_viewer.get(URL).content.decode())


def test_counting_stops_at_a_limit(as_viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        SegmentFactory(name=f"vip {number}")
    capped = SegmentQuerySet.capped_count
    monkeypatch.setattr(SegmentQuerySet, "capped_count", lambda self: capped(self, 26))
    monkeypatch.setattr("segments.views.COUNT_CAP", 26)
    html = as_viewer.get(URL, {"q": "vip"}).content.decode()
    assert "Showing 1–25 of 26+" in html


def test_pages_go_on_and_back_and_the_size_is_remembered(as_viewer: Client) -> None:
    for number in range(60):
        SegmentFactory(name=f"s {number:02}")
    first = as_viewer.get(URL)
    assert "Page 1 of 3" in first.content.decode()
    after = re.search(r'href="([^"]+)" rel="next"', first.content.decode())
    assert after
    second = as_viewer.get(after[1].replace("&amp;", "&"))
    assert [second.context["page"].rows[0].name, second.context["page"].first] == ["s 25", 26]
    before = re.search(r'href="([^"]+)" rel="prev"', second.content.decode())
    assert before
    assert as_viewer.get(before[1].replace("&amp;", "&")).context["page"].rows[0].name == "s 00"

    assert len(as_viewer.get(URL, {"rows": "50"}).context["page"].rows) == 50
    assert len(as_viewer.get(URL).context["page"].rows) == 50


def test_page_links_keep_search_and_order(as_viewer: Client) -> None:
    for number in range(30):
        SegmentFactory(name=f"vip {number:02}")
    html = as_viewer.get(URL, {"q": "vip", "sort": "-name"}).content.decode()
    after = re.search(r'href="([^"]+)" rel="next"', html)
    assert after
    assert names(as_viewer, after[1].replace("&amp;", "&").removeprefix(URL)) == [
        f"vip {n:02}" for n in (4, 3, 2, 1, 0)
    ]


def test_sort_heads_say_their_order_and_turn_it_round(as_viewer: Client) -> None:
    SegmentFactory()
    html = as_viewer.get(URL).content.decode()
    assert html.count('aria-sort="ascending"') == 1
    assert 'href="/channels/email/segments/?sort=-name"' in html
    assert 'href="/channels/email/segments/?sort=-updated"' in html
    assert 'aria-sort="descending"' in as_viewer.get(URL, {"sort": "-updated"}).content.decode()


def test_the_export_follows_what_is_searched_while_one_types(as_viewer: Client) -> None:
    SegmentFactory(name="vip")
    html = as_viewer.get(URL, {"q": "vip", "status": "active"}, headers=HTMX).content.decode()
    assert f'href="{URL}export/?q=vip&amp;status=active" id="export" hx-swap-oob="true"' in html


def test_htmx_gets_the_fragment_of_the_same_address(as_viewer: Client) -> None:
    SegmentFactory(name="vip")
    page, fragment = as_viewer.get(URL), as_viewer.get(URL, headers=HTMX)
    assert "<html" in page.content.decode()
    html = fragment.content.decode()
    assert "<html" not in html
    assert html.strip().startswith('<div id="segments"')
    assert 'id="count" hx-swap-oob="true"' in html
    assert 'id="sort-by" hx-swap-oob="true"' in html
    assert "HX-Request" in fragment["Vary"]
    assert "HX-Request" in page["Vary"]


def test_empty_channel_shows_the_ways_in(as_marketer: Client) -> None:
    html = as_marketer.get(URL).content.decode()
    assert "No segments in Email yet" in html
    assert 'href="/data/upload/?channel=email"' in html
    assert 'href="/channels/email/segments/add/"' in html


def test_list_that_became_empty_is_reloaded_as_a_page(as_marketer: Client) -> None:
    assert as_marketer.get(URL, headers=HTMX)["HX-Refresh"] == "true"


def test_no_match_names_the_search_and_the_filters(as_viewer: Client) -> None:
    SegmentFactory()
    html = as_viewer.get(URL, {"q": "holiday <b>", "status": "inactive"}).content.decode()
    assert "No segment in Email matches “<bdi>holiday &lt;b&gt;</bdi>”" in html
    assert "You are only looking at inactive segments in Email." in html
    assert "Clear search and filters" in html


def test_viewer_is_offered_nothing_that_changes(as_viewer: Client) -> None:
    SegmentFactory()
    html = as_viewer.get(URL).content.decode()
    assert 'role="switch"' not in html
    assert "/add/" not in html
    assert "/delete/" not in html
    assert "Export" in html


def test_hostile_text_is_shown_as_text(as_marketer: Client) -> None:
    SegmentFactory(name='"><script>alert(1)</script>', segment_id="<img src=x onerror=alert(1)>")
    html = as_marketer.get(URL).content.decode()
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_label_is_marked(as_viewer: Client) -> None:
    SegmentFactory(name="a", segment_id="one", is_label=True)
    SegmentFactory(name="b", segment_id="two")
    html = as_viewer.get(URL).content.decode()
    assert html.count(">label</span>") == 1


@pytest.mark.parametrize("query", ["", "?q=s", "?q=nobody", "?sort=source", "?status=active&sort=segment_id"])
def test_number_of_queries_does_not_grow_with_rows(as_marketer: Client, query: str) -> None:
    SegmentFactory(name="s")
    counts = []
    for more in (29, 0):
        as_marketer.get(URL + query)
        with CaptureQueriesContext(connection) as queries:
            as_marketer.get(URL + query)
        counts.append(len(queries))
        for number in range(more):
            SegmentFactory(name=f"s {number}")
    assert counts[1] <= max(counts[0], 8)
    assert max(counts) <= 8


def test_no_row_is_read_twice_for_the_list(as_viewer: Client) -> None:
    SegmentFactory()
    with CaptureQueriesContext(connection) as queries:
        as_viewer.get(URL)
    assert len([q for q in queries if 'FROM "segments_segment"' in q["sql"]]) == 1


def test_every_segment_row_carries_what_the_page_shows(db: None) -> None:
    SegmentFactory(segment_id="x", is_label=True)
    row = Segment.objects.for_list().get()
    with CaptureQueriesContext(connection) as queries:
        _ = (
            row.name,
            row.segment_id,
            row.link,
            row.active,
            row.source,
            row.has_label,
            row.klaviyo_kind,
            row.updated_at,
        )
    assert not queries


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?source=klaviyo", ["List", "Segment"]),
        ("?source=klaviyo-list", ["List"]),
        ("?source=klaviyo-segment", ["Segment"]),
        ("?only=override", ["Segment"]),
        ("?only=no-link", ["By hand"]),
        ("?only=no-link&source=klaviyo", []),
        ("?only=nonsense", ["By hand", "List", "Segment"]),
    ],
)
def test_filters_by_what_klaviyo_calls_it_and_by_details(as_viewer: Client, query: str, found: list[str]) -> None:
    SegmentFactory(name="By hand")
    link = "https://www.klaviyo.com/lists/x"
    told = {"source": Source.KLAVIYO, "klaviyo_account": 1, "synced_link": link, "link": link}
    SegmentFactory(name="List", segment_id="l", klaviyo_id="l", klaviyo_kind="list", synced_name="List", **told)
    SegmentFactory(name="Segment", segment_id="s", klaviyo_id="s", klaviyo_kind="segment", synced_name="Was", **told)
    assert names(as_viewer, query) == found


def test_the_filters_that_are_on_are_said_in_words(as_viewer: Client) -> None:
    SegmentFactory(link="https://example.com")
    html = as_viewer.get(f"{URL}?status=inactive&source=klaviyo-list&only=no-link").content.decode()
    assert "You are only looking at inactive Klaviyo list segments without link in Email." in html


def test_a_row_offers_to_copy_the_id_and_says_where_the_link_leads(as_viewer: Client) -> None:
    SegmentFactory(name="VIP", segment_id="v-1", link="https://www.klaviyo.com/lists/v-1")
    SegmentFactory(name="Bare")
    page = as_viewer.get(URL).content.decode()
    assert page.count('class="ib copy"') == 1
    assert "Copy Segment ID of <bdi>VIP</bdi>" in page
    assert 'title="Open www.klaviyo.com in a new tab"' in page
