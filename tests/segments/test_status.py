"""The Active status switch: in place, in the list and on the page of the segment."""

import pytest
from django.test import Client

from segments import changes
from segments.models import Change, ChangeSet, Segment
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db

LIST = "/channels/email/segments/"


def url(segment: Segment) -> str:
    return f"{LIST}{segment.pk}/status/"


def in_row(segment: Segment) -> dict[str, str]:
    return {"HX-Request": "true", "HX-Target": f"segment-{segment.pk}"}


def test_switch_answers_with_the_row_and_a_message(as_marketer: Client) -> None:
    segment = SegmentFactory(name="Decaf buyers")
    html = as_marketer.post(url(segment), headers=in_row(segment)).content.decode().replace("\n", "")
    assert f'<template><tr role="row" id="segment-{segment.pk}" hx-swap-oob="true" class="is-off">' in html
    assert "“Decaf buyers” is now inactive" in html
    assert 'hx-swap-oob="beforeend"' in html
    assert f'action="/activity/{ChangeSet.objects.first().pk}/undo/"' in html  # type: ignore[union-attr]
    segment.refresh_from_db()
    assert segment.active is False


def test_a_segment_of_a_high_number_has_no_comma_in_its_ids(as_marketer: Client) -> None:
    SegmentFactory(pk=1_234_567)
    html = as_marketer.get(LIST).content.decode()
    assert 'hx-target="#segment-1234567"' in html
    assert "1,234,567" not in html


def test_switching_is_a_change_set_with_before_and_after(as_marketer: Client) -> None:
    segment = SegmentFactory(active=False)
    as_marketer.post(url(segment), {"active": "on"})
    change = Change.objects.get()
    assert (change.change_set.kind, change.before_active, change.after_active) == (ChangeSet.Kind.STATUS, False, True)


def test_same_status_again_writes_nothing(as_marketer: Client) -> None:
    segment = SegmentFactory()
    as_marketer.post(url(segment), {"active": "on"})
    assert ChangeSet.objects.count() == 1


def test_without_htmx_the_page_it_was_on_comes_back(as_marketer: Client) -> None:
    segment = SegmentFactory()
    response = as_marketer.post(url(segment), {"next": f"{LIST}?q=seg&status=active"})
    assert (response.status_code, response["Location"]) == (302, f"{LIST}?q=seg&status=active")


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "overview"])
def test_next_leads_to_no_other_host(as_marketer: Client, elsewhere: str) -> None:
    assert as_marketer.post(url(SegmentFactory()), {"next": elsewhere})["Location"] == LIST


def test_on_the_detail_page_it_loads_that_anew(as_marketer: Client) -> None:
    segment = SegmentFactory()
    response = as_marketer.post(url(segment), headers={"HX-Request": "true"})
    assert response.status_code == 204
    assert "segmentsChanged" in response["HX-Trigger"]


def test_busy_channel_leaves_the_switch_and_says_why(as_marketer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*args: object) -> None:
        raise changes.ChannelBusy

    segment = SegmentFactory()
    monkeypatch.setattr(changes, "set_active", busy)
    html = as_marketer.post(url(segment), headers=in_row(segment)).content.decode()
    assert "is being written here; try again in a moment." in html
    assert " checked" in html


def test_only_marketers_switch_and_only_by_post(as_marketer: Client, as_viewer: Client, client: Client) -> None:
    segment = SegmentFactory()
    assert as_marketer.get(url(segment)).status_code == 405
    assert as_viewer.post(url(segment)).status_code == 403
    assert client.post(url(segment)).status_code == 302
    assert Segment.objects.get().active


def test_unknown_segment_is_not_found(as_marketer: Client) -> None:
    assert as_marketer.post(f"{LIST}999/status/").status_code == 404
