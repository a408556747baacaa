"""Changing a segment's name in its row of the list."""

from uuid import uuid4

import pytest
from django.test import Client
from pytest_django.asserts import assertContains, assertNotContains

from channels.models import Channel
from segments import changes
from segments.models import ChangeSet, Segment
from segments.values import SegmentValues

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def email() -> Channel:
    return Channel.objects.get(slug="email")


@pytest.fixture
def vip(email: Channel) -> Segment:
    return changes.add(email, SegmentValues("VIP", "v-1", "https://a.example/v", active=False), changes.By())


def path(segment: Segment) -> str:
    return f"/channels/email/segments/{segment.pk}/rename/"


def data(segment: Segment, name: str, **more: object) -> dict[str, object]:
    return {"name": name, "form_token": uuid4(), "seen": segment.last_change_id, **more}


def test_without_htmx_it_is_the_edit_page(as_marketer: Client, vip: Segment) -> None:
    assert as_marketer.get(path(vip))["Location"] == f"/channels/email/segments/{vip.pk}/edit/"
    row = as_marketer.get("/channels/email/segments/").content.decode()
    assert f'<a href="/channels/email/segments/{vip.pk}/edit/" hx-get="{path(vip)}"' in row


def test_a_viewer_is_offered_no_renaming(as_viewer: Client, vip: Segment) -> None:
    assertNotContains(as_viewer.get("/channels/email/segments/"), "Rename")


def test_the_name_alone_is_changed_and_can_be_undone(as_marketer: Client, vip: Segment) -> None:
    assertContains(as_marketer.get(path(vip), headers=HTMX), 'value="VIP"')
    answer = as_marketer.post(path(vip), data(vip, "  VIP  customers "), headers=HTMX)
    assert answer["HX-Reswap"] == "none"
    assertContains(answer, "VIP customers")
    assertContains(answer, "Undo")
    vip.refresh_from_db()
    assert (vip.name, vip.segment_id, vip.link, vip.active) == ("VIP customers", "v-1", "https://a.example/v", False)
    assert vip.last_change.kind == ChangeSet.Kind.EDIT
    changes.undo(vip.last_change, changes.By())
    assert Segment.objects.get(pk=vip.pk).name == "VIP"


def test_the_form_sent_twice_is_one_change(as_marketer: Client, vip: Segment) -> None:
    sent = data(vip, "VIP customers")
    for _ in range(2):
        assertContains(as_marketer.post(path(vip), sent, headers=HTMX), "VIP customers")
    assert ChangeSet.objects.filter(kind=ChangeSet.Kind.EDIT).count() == 1


def test_the_same_name_is_no_change(as_marketer: Client, vip: Segment) -> None:
    answer = as_marketer.post(path(vip), data(vip, "VIP"), headers=HTMX)
    assert (answer.status_code, answer["HX-Reswap"]) == (200, "none")
    assert ChangeSet.objects.count() == 1


def test_a_wrong_name_is_refused_in_the_row(as_marketer: Client, vip: Segment) -> None:
    for wrong in ("", "x" * 256):
        answer = as_marketer.post(path(vip), data(vip, wrong), headers=HTMX)
        assertContains(answer, 'class="err"', status_code=422)
    assert Segment.objects.get().name == "VIP"


def test_nothing_is_saved_over_what_somebody_else_changed(as_marketer: Client, vip: Segment) -> None:
    sent = data(vip, "VIP customers")
    changes.edit(vip, SegmentValues("Very important", "v-1"), changes.By())
    answer = as_marketer.post(path(vip), sent, headers=HTMX)
    assertContains(answer, "Somebody changed this segment meanwhile", status_code=422)
    assert Segment.objects.get().name == "Very important"


def test_a_name_that_another_segment_has_is_asked_about(as_marketer: Client, email: Channel, vip: Segment) -> None:
    other = changes.add(email, SegmentValues("Gold", "g-1"), changes.By())
    answer = as_marketer.post(path(vip), data(vip, "gold"), headers=HTMX)
    assertContains(answer, "is already in Email with ID", status_code=422)
    assert as_marketer.post(path(vip), data(vip, "gold", anyway=other.pk), headers=HTMX).status_code == 200
    assert Segment.objects.get(pk=vip.pk).name == "gold"


def test_a_name_that_identifies_another_segment_is_refused(as_marketer: Client, email: Channel) -> None:
    one, _ = (changes.add(email, SegmentValues(name), changes.By()) for name in ("One", "Two"))
    answer = as_marketer.post(path(one), data(one, "two"), headers=HTMX)
    assertContains(answer, "“Two” is already in Email.", status_code=422)
    assert Segment.objects.get(pk=one.pk).name == "One"
