"""Adding and editing by hand: errors in words, the warning where names meet, once per form."""

import uuid
from typing import Any

import pytest
from django.test import Client

from channels.models import Channel
from people.models import Person
from segments import changes
from segments.models import ChangeSet, Segment
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db

ADD = "/channels/email/segments/add/"
LIST = "/channels/email/segments/"
HTMX = {"HX-Request": "true"}


def send(client: Client, url: str = ADD, htmx: bool = False, **values: Any) -> Any:
    data = {"name": "VIP", "active": "on", "form_token": str(uuid.uuid4())} | values
    data = {field: value for field, value in data.items() if value is not None}
    return client.post(url, data, headers=HTMX if htmx else {})


def edit_url(segment: Segment) -> str:
    return f"{LIST}{segment.pk}/edit/"


# ── adding ──


def test_form_is_a_page_and_a_fragment(as_marketer: Client) -> None:
    SegmentFactory(name="behind the panel")
    page = as_marketer.get(ADD).content.decode()
    assert "behind the panel" in page
    assert '<dialog class="panel" open' in page
    fragment = as_marketer.get(ADD, headers=HTMX).content.decode()
    assert fragment.strip().startswith("<dialog")
    assert 'name="form_token"' in fragment


def test_adds_a_segment_as_its_adder_typed_it(as_marketer: Client, marketer: Person) -> None:
    response = send(as_marketer, name="  VIP\n club ", segment_id=" v-1 ", link="https://a.example/x", active=None)
    assert (response.status_code, response["Location"]) == (302, LIST)
    segment = Segment.objects.get()
    assert (segment.name, segment.segment_id, segment.link, segment.active) == (
        "VIP club",
        "v-1",
        "https://a.example/x",
        False,
    )
    assert (segment.created_in.user, segment.created_in.via) == (marketer, ChangeSet.Via.WEB)
    assert Channel.objects.get(slug="email").segment_count == 1


def test_adding_says_so_and_offers_undo(as_marketer: Client) -> None:
    send(as_marketer)
    html = as_marketer.get(LIST).content.decode()
    assert "“VIP” is added to Email." in html
    assert f'action="/activity/{ChangeSet.objects.get().pk}/undo/"' in html


def test_htmx_closes_the_panel_and_loads_the_list(as_marketer: Client) -> None:
    SegmentFactory()
    response = send(as_marketer, htmx=True)
    assert response.status_code == 204
    assert response["HX-Trigger"] == '{"segmentsChanged": null, "closePanel": null}'


def test_first_segment_of_a_channel_reloads_the_page(as_marketer: Client) -> None:
    assert send(as_marketer, htmx=True)["HX-Redirect"] == "/channels/email/segments/"


def test_add_and_start_another_opens_an_empty_form(as_marketer: Client) -> None:
    SegmentFactory()
    response = send(as_marketer, htmx=True, again="1")
    assert response.status_code == 200
    assert response["HX-Trigger"] == "segmentsChanged"
    assert 'value="VIP"' not in response.content.decode()
    assert send(as_marketer, name="another", again="1")["Location"] == ADD


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "   ", "Fill in a segment name."),
        ("name", "x" * 256, "Shorten the name to 255 characters; it has 256."),
        ("name", "a\x00b", "Remove the character U+0000 from the segment name"),
        ("name", "\u202eabc", "Remove the character U+202E from the segment name"),
        ("segment_id", "i" * 256, "Shorten the segment ID to 255 characters"),
        ("segment_id", "a\x07", "Remove the character U+0007 from the segment ID"),
        ("link", "klaviyo.com/x", "Start the link with https:// so it can be opened."),
        ("link", "javascript:alert(1)", "Start the link with https:// so it can be opened."),
        ("link", "https://me:secret@a.example", "Take the user name and password out of the link."),
        ("link", "https://a b", "Use a full web address such as"),
    ],
)
@pytest.mark.parametrize("htmx", [True, False])
def test_bad_value_comes_back_with_what_to_do(
    as_marketer: Client, field: str, value: str, words: str, htmx: bool
) -> None:
    response = send(as_marketer, htmx=htmx, **{field: value})
    html = response.content.decode()
    assert response.status_code == 422
    assert words in html
    assert f'id="id_{field}_error"' in html
    assert 'role="alert"' in html
    assert f'href="#id_{field}"' in html
    assert "Fix 1 field to add this segment" in html
    assert not Segment.objects.exists()


def test_bad_values_come_back_as_typed_with_the_same_token(as_marketer: Client) -> None:
    token = str(uuid.uuid4())
    html = send(as_marketer, name="", link="<b>", active=None, form_token=token).content.decode()
    assert "Fix 2 fields" in html
    assert 'value="&lt;b&gt;"' in html
    assert token in html
    assert 'name="active" autocomplete="off" aria' in html


def test_empty_post_is_refused_too(as_marketer: Client) -> None:
    assert as_marketer.post(ADD).status_code == 422


def test_segment_id_in_use_names_who_has_it(as_marketer: Client) -> None:
    other = SegmentFactory(name="Cart <b>", segment_id="Xk9")
    html = send(as_marketer, segment_id="Xk9").content.decode()
    assert "“Cart &lt;b&gt;” in Email already uses this ID. Use another ID." in html
    assert f'href="{edit_url(other)}"' in html


def test_same_name_without_ids_is_refused(as_marketer: Client) -> None:
    SegmentFactory(name="vip")
    response = send(as_marketer)
    assert response.status_code == 422
    assert "“vip” is already in Email. Use another name, or give this one a segment ID." in response.content.decode()


def test_name_of_another_with_an_id_is_asked_about(as_marketer: Client) -> None:
    other = SegmentFactory(name="vip", segment_id="v-1")
    response = send(as_marketer)
    html = " ".join(response.content.decode().split())
    assert response.status_code == 422
    assert 'is already in Email with ID <span class="mono">v-1</span>. Add anyway?' in html
    assert Segment.objects.count() == 1

    assert send(as_marketer, anyway=str(other.pk)).status_code == 302
    assert Segment.objects.count() == 2


def test_saying_anyway_holds_for_the_segment_it_was_said_of(as_marketer: Client) -> None:
    SegmentFactory(name="vip", segment_id="v-1")
    assert send(as_marketer, anyway="999999").status_code == 422


def test_namesake_without_an_id_is_asked_about_too(as_marketer: Client) -> None:
    SegmentFactory(name="vip")
    html = " ".join(send(as_marketer, segment_id="new").content.decode().split())
    assert "is already in Email without a segment ID. Add anyway?" in html


def test_namesake_in_another_channel_is_nobody(as_marketer: Client) -> None:
    SegmentFactory(name="vip", channel=Channel.objects.get(slug="sms"))
    assert send(as_marketer).status_code == 302


def test_form_sent_twice_adds_once(as_marketer: Client) -> None:
    token = str(uuid.uuid4())
    first, second = (send(as_marketer, form_token=token, segment_id="v-1") for _ in range(2))
    assert (first.status_code, second.status_code) == (302, 302)
    assert first["Location"] == second["Location"]
    assert (Segment.objects.count(), ChangeSet.objects.count()) == (1, 1)


def test_form_without_its_token_is_refused(as_marketer: Client) -> None:
    assert send(as_marketer, form_token=None).status_code == 422
    assert send(as_marketer, form_token="x").status_code == 422


def test_busy_channel_is_said_in_the_form(as_marketer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*args: Any) -> None:
        raise changes.ChannelBusy

    monkeypatch.setattr(changes, "add", busy)
    response = send(as_marketer)
    assert response.status_code == 422
    assert "is being written here; try again in a moment." in response.content.decode()
    assert 'value="VIP"' in response.content.decode()


def test_viewer_may_not_add(as_viewer: Client) -> None:
    assert as_viewer.get(ADD).status_code == 403
    assert send(as_viewer).status_code == 403


def test_form_sent_again_with_other_values_says_that_it_did_nothing(as_marketer: Client) -> None:
    token = str(uuid.uuid4())
    send(as_marketer, name="First", form_token=token)
    assert send(as_marketer, name="Second", form_token=token).status_code == 302
    html = as_marketer.get(LIST).content.decode()
    assert "“Second” was not saved: this form was sent before. Open it again." in html
    assert not Segment.objects.filter(name="Second").exists()


def test_stranger_is_sent_to_sign_in(client: Client) -> None:
    assert send(client).status_code == 302
    assert not Segment.objects.exists()


def test_other_methods_are_refused(as_marketer: Client) -> None:
    assert as_marketer.delete(ADD).status_code == 405


# ── editing ──


def test_edit_shows_what_is_there(as_marketer: Client) -> None:
    segment = SegmentFactory(name='A "B"', segment_id="x", link="https://a.example", active=False)
    html = as_marketer.get(edit_url(segment)).content.decode()
    assert 'value="A &quot;B&quot;"' in html
    assert 'value="https://a.example"' in html
    assert 'name="active" autocomplete="off" checked' not in html
    assert f'name="seen" value="{segment.last_change_id}"' in html


def test_edit_saves_and_blanks_clear(as_marketer: Client) -> None:
    segment = SegmentFactory(name="old", segment_id="x", link="https://a.example")
    response = send(as_marketer, edit_url(segment), name="new", seen=segment.last_change_id)
    assert response.status_code == 302
    segment.refresh_from_db()
    assert (segment.name, segment.segment_id, segment.link) == ("new", "", "")
    assert "“new” is saved." in as_marketer.get(LIST).content.decode()


def test_edit_without_a_difference_writes_nothing(as_marketer: Client) -> None:
    segment = SegmentFactory(name="same")
    assert send(as_marketer, edit_url(segment), name="same", seen=segment.last_change_id).status_code == 302
    assert ChangeSet.objects.count() == 1


def test_edit_keeps_a_label_a_label(as_marketer: Client) -> None:
    segment = SegmentFactory(name="a", segment_id="one", is_label=True)
    send(as_marketer, edit_url(segment), name="b", segment_id="one", seen=segment.last_change_id)
    segment.refresh_from_db()
    assert (segment.name, segment.has_label) == ("b", True)


def test_edit_after_somebody_else_is_refused(as_marketer: Client) -> None:
    segment = SegmentFactory(name="old")
    changes.set_active(segment, False, changes.By())
    response = send(as_marketer, edit_url(segment), name="new", seen=segment.last_change_id)
    assert response.status_code == 422
    assert "Somebody changed this segment meanwhile" in response.content.decode()
    segment.refresh_from_db()
    assert segment.name == "old"


def test_renaming_to_a_namesake_is_asked_about(as_marketer: Client) -> None:
    SegmentFactory(name="vip", segment_id="v-1")
    segment = SegmentFactory(name="old")
    html = send(as_marketer, edit_url(segment), name="VIP", seen=segment.last_change_id).content.decode()
    assert "Save anyway?" in html


def test_segment_beside_a_namesake_can_be_edited_unasked(as_marketer: Client) -> None:
    SegmentFactory(name="vip", segment_id="v-1")
    segment = SegmentFactory(name="vip", segment_id="v-2")
    values = {"name": "VIP", "segment_id": "v-2", "link": "https://a.example", "seen": segment.last_change_id}
    assert send(as_marketer, edit_url(segment), **values).status_code == 302


def test_segment_of_another_channel_is_not_found(as_marketer: Client) -> None:
    segment = SegmentFactory(channel=Channel.objects.get(slug="sms"))
    assert as_marketer.get(edit_url(segment)).status_code == 404
    assert send(as_marketer, edit_url(segment)).status_code == 404


def test_viewer_may_not_edit(as_viewer: Client) -> None:
    segment = SegmentFactory()
    assert as_viewer.get(edit_url(segment)).status_code == 403
    assert send(as_viewer, edit_url(segment)).status_code == 403
