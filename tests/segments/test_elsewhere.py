"""A search without a hit says which other channels have it, and adds it from there."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accessaudience.templatetags.aa import marked
from channels.models import Channel
from segments.elsewhere import SHOWN, hits
from segments.models import Segment
from segments.search import index
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db

LIST = "/channels/email/segments/"


@pytest.fixture
def sms() -> Channel:
    return Channel.objects.get(slug="sms")


@pytest.fixture(autouse=True)
def in_email() -> Segment:
    return SegmentFactory(name="Newsletter")


def test_matches_of_other_channels_are_shown_with_a_way_to_add_them(as_marketer: Client, sms: Channel) -> None:
    SegmentFactory(name="Keyword JOIN – spring", channel=sms, segment_id="seg_1")
    SegmentFactory(name="Keyword join – cold brew", channel=sms, active=False)
    html = as_marketer.get(f"{LIST}?q=keyword+join").content.decode()
    assert "2 matches in SMS" in html
    assert "<mark>Keyword JOIN</mark> – spring" in html
    assert "Add both to Email" in html
    assert "in Meta" not in html


def test_what_is_found_is_added_in_place(as_marketer: Client, sms: Channel) -> None:
    segment = SegmentFactory(name="Keyword JOIN", channel=sms)
    back = f"{LIST}?q=keyword"
    email = Channel.objects.get(slug="email")
    data = {"do": "add", "sure": "1", "channels": email.pk, "ids": segment.pk, "next": back}
    response = as_marketer.post("/channels/sms/segments/bulk/", data)
    assert response["Location"] == back
    assert "Keyword JOIN" in as_marketer.get(back).content.decode()
    assert email.segments.count() == 2


def test_of_very_many_matches_a_few_are_shown_and_the_way_to_all(as_marketer: Client, sms: Channel) -> None:
    for number in range(SHOWN + 1):
        SegmentFactory(name=f"Lapsed {number}", channel=sms)
    html = as_marketer.get(f"{LIST}?q=lapsed").content.decode()
    assert f"More than {SHOWN} matches in SMS" in html
    assert 'href="/channels/sms/segments/?q=lapsed"' in html


def test_an_empty_channel_is_searched_too(as_marketer: Client, sms: Channel) -> None:
    SegmentFactory(name="Keyword JOIN", channel=sms)
    html = as_marketer.get("/channels/meta/segments/?q=keyword").content.decode()
    assert "1 match in SMS" in html
    assert "Add to Meta" in html


def test_a_viewer_sees_them_and_adds_nothing(as_viewer: Client, sms: Channel) -> None:
    SegmentFactory(name="Keyword JOIN", channel=sms)
    html = as_viewer.get(f"{LIST}?q=keyword").content.decode()
    assert "1 match in SMS" in html
    assert "Add to Email" not in html


def test_where_no_channel_has_it_that_is_said(as_viewer: Client) -> None:
    assert "No other channel has it either." in as_viewer.get(f"{LIST}?q=nothing").content.decode()


@pytest.mark.parametrize(
    ("text", "searched", "shown"),
    [
        ("VIP club", "club", "VIP <mark>club</mark>"),
        ("VIP", "vip ", "<mark>VIP</mark>"),
        ("<b>VIP</b>", "b>v", "&lt;<mark>b&gt;V</mark>IP&lt;/b&gt;"),
        ("VIP", "x", "VIP"),
        ("VIP", "", "VIP"),
        ("Loyalty – group 1", "loyalty 1", "<mark>Loyalty</mark> – group <mark>1</mark>"),
        ("Keyword  JOIN", "keyword join", "<mark>Keyword  JOIN</mark>"),
        ("a{}b", "a b", "<mark>a</mark>{}<mark>b</mark>"),
    ],
)
def test_what_was_searched_is_marked(text: str, searched: str, shown: str) -> None:
    assert str(marked(text, searched)) == shown


@pytest.fixture(params=["common", "rare"])
def number_of_candidates(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """More matches than the index of searches tells, or fewer: both ways to find the first ones. SQLite has one."""
    if request.param == "common":
        monkeypatch.setattr(index, "MOST", 0)


def test_the_first_by_name_of_each_channel_are_found(sms: Channel, number_of_candidates: None) -> None:
    meta = Channel.objects.get(slug="meta")
    for name in ("Lapsed z", "Lapsed a", *(f"Lapsed m{number}" for number in range(SHOWN))):
        SegmentFactory(name=name, channel=sms)
    SegmentFactory(name="VIP", segment_id="lapsed-1", channel=meta)
    found = hits([meta, Channel.objects.get(slug="email"), sms], "LAPSED")
    expected = ["Lapsed a", *(f"Lapsed m{number}" for number in range(SHOWN - 1))]
    assert [(each.channel, [segment.name for segment in each.segments], each.more) for each in found] == [
        (meta, ["VIP"], False),
        (sms, expected, True),
    ]


def test_many_channels_are_searched_in_as_few_queries_as_one(sms: Channel, number_of_candidates: None) -> None:
    SegmentFactory(name="Lapsed", channel=sms)
    with CaptureQueriesContext(connection) as of_one:
        assert len(hits([sms], "lapsed")) == 1
    channels = [sms, *(Channel.objects.create(name=f"Shop {n}", slug=f"shop-{n}", position=n + 9) for n in range(30))]
    for channel in channels[1:]:
        SegmentFactory(name="Lapsed", channel=channel)
    with CaptureQueriesContext(connection) as of_many:
        found = hits(channels, "lapsed")
        sources = [segment.get_source_display() for each in found for segment in each.segments]
    assert [each.channel for each in found] == channels
    assert sources == ["Manual"] * len(channels)
    assert len(of_many) == len(of_one) <= 2
