"""Deleting: asked first, with "Deactivate instead", and undone from the message."""

import uuid

import pytest
from django.test import Client

from channels.models import Channel
from segments import changes
from segments.models import ChangeSet, Segment
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db

LIST = "/channels/email/segments/"


def url(segment: Segment) -> str:
    return f"{LIST}{segment.pk}/delete/"


def token() -> dict[str, str]:
    return {"form_token": str(uuid.uuid4())}


def test_asks_first_as_page_and_as_dialog(as_marketer: Client) -> None:
    segment = SegmentFactory(name="VIP <b>")
    page = as_marketer.get(url(segment)).content.decode()
    dialog = as_marketer.get(url(segment), headers={"HX-Request": "true"}).content.decode()
    assert dialog.strip().startswith('<dialog class="box"')
    for html in (page, dialog):
        assert "Delete “<bdi>VIP &lt;b&gt;</bdi>” from Email?" in html
        assert f'formaction="/channels/email/segments/{segment.pk}/status/"' in html
        assert "data-close autofocus>Cancel" in html
    assert "Klaviyo" not in dialog
    assert Segment.objects.exists()


def test_klaviyo_segment_is_said_to_come_back(as_marketer: Client) -> None:
    segment = SegmentFactory(source="klaviyo", segment_id="Xk9", klaviyo_id="Xk9", klaviyo_account=1)
    assert "The next sync adds it again." in as_marketer.get(url(segment)).content.decode()


def test_inactive_segment_is_not_offered_to_be_deactivated(as_marketer: Client) -> None:
    assert "Deactivate instead" not in as_marketer.get(url(SegmentFactory(active=False))).content.decode()


def test_deletes_and_offers_undo(as_marketer: Client) -> None:
    segment = SegmentFactory(name="VIP")
    SegmentFactory()
    response = as_marketer.post(url(segment), token())
    assert (response.status_code, response["Location"]) == (302, LIST)
    assert not Segment.objects.filter(pk=segment.pk).exists()
    html = as_marketer.get(LIST).content.decode()
    assert "“VIP” is deleted from Email." in html
    assert Channel.objects.get(slug="email").segment_count == 1


def test_in_the_list_htmx_loads_it_anew(as_marketer: Client) -> None:
    segment = SegmentFactory()
    SegmentFactory()
    response = as_marketer.post(url(segment), token(), headers={"HX-Request": "true"})
    assert (response.status_code, "segmentsChanged" in response["HX-Trigger"]) == (204, True)


def test_from_its_own_page_htmx_goes_to_the_list(as_marketer: Client) -> None:
    segment = SegmentFactory()
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{segment.get_absolute_url()}"}
    assert as_marketer.post(url(segment), token(), headers=headers)["HX-Redirect"] == LIST


def test_last_segment_gone_reloads_the_page(as_marketer: Client) -> None:
    headers = {"HX-Request": "true"}
    assert (
        as_marketer.post(url(SegmentFactory()), token(), headers=headers)["HX-Redirect"] == "/channels/email/segments/"
    )


def test_sent_twice_it_deletes_once_and_goes_the_same_way(as_marketer: Client) -> None:
    segment = SegmentFactory()
    data = token()
    answers = [as_marketer.post(url(segment), data) for _ in range(2)]
    assert [(answer.status_code, answer["Location"]) for answer in answers] == [(302, LIST)] * 2
    assert ChangeSet.objects.filter(kind=ChangeSet.Kind.DELETE).count() == 1


def test_busy_channel_keeps_the_dialog_and_says_why(as_marketer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*args: object) -> None:
        raise changes.ChannelBusy

    monkeypatch.setattr(changes, "delete", busy)
    response = as_marketer.post(url(SegmentFactory()), token())
    assert response.status_code == 422
    assert "is being written here; try again in a moment." in response.content.decode()


def test_deleted_segment_and_that_of_another_channel_are_not_found(as_marketer: Client) -> None:
    other = SegmentFactory(channel=Channel.objects.get(slug="sms"))
    assert as_marketer.post(url(other), token()).status_code == 404
    assert as_marketer.get(f"{LIST}999/delete/").status_code == 404


def test_only_marketers_delete(as_viewer: Client, client: Client) -> None:
    segment = SegmentFactory()
    assert as_viewer.get(url(segment)).status_code == 403
    assert as_viewer.post(url(segment), token()).status_code == 403
    assert client.post(url(segment), token()).status_code == 302
    assert Segment.objects.exists()


def test_other_methods_are_refused(as_marketer: Client) -> None:
    assert as_marketer.put(url(SegmentFactory())).status_code == 405
