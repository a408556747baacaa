"""Django admin: the same cleaning, the same writer, history that nobody edits."""

from typing import Any

import pytest
from django.contrib.admin import site
from django.test import Client

from channels.models import Channel
from people.models import Person
from segments import changes
from segments.models import Change, ChangeSet, Segment
from segments.values import SegmentValues
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db

URL = "/admin/segments/segment/"


def form(**values: Any) -> dict[str, Any]:
    channel = Channel.objects.get(slug="email").pk
    return {"channel": channel, "name": "VIP", "segment_id": "", "link": "", "active": "on"} | values


def test_adding_is_a_change_set_of_the_admin(as_admin: Client, admin_person: Person) -> None:
    response = as_admin.post(f"{URL}add/", form(name="  VIP\t club "))
    assert response.status_code == 302, response.content.decode()
    segment = Segment.objects.get()
    assert segment.name == "VIP club"
    assert (segment.created_in.user, segment.created_in.via) == (admin_person, ChangeSet.Via.ADMIN)
    assert Channel.objects.get(slug="email").segment_count == 1


def test_editing_keeps_before_and_after(as_admin: Client) -> None:
    segment = SegmentFactory(name="old", segment_id="x")
    assert as_admin.post(f"{URL}{segment.pk}/change/", form(name="new")).status_code == 302
    change = Change.objects.get()
    assert (change.before_name, change.before_segment_id, change.after_name, change.after_segment_id) == (
        "old",
        "x",
        "new",
        "",
    )
    assert change.change_set.via == ChangeSet.Via.ADMIN


def chosen(*segments: Segment) -> dict[str, Any]:
    """The form that deletes `segments`, confirmed."""
    return {"action": "delete_selected", "_selected_action": [each.pk for each in segments], "post": "yes"}


def test_deleting_one_or_many_can_be_undone(as_admin: Client) -> None:
    segments = [SegmentFactory() for _ in range(3)]
    as_admin.post(f"{URL}{segments[0].pk}/delete/", {"post": "yes"})
    as_admin.post(URL, chosen(*segments[1:]))
    assert not Segment.objects.exists()
    assert Channel.objects.get(slug="email").segment_count == 0
    for change_set in ChangeSet.objects.filter(kind__in=(ChangeSet.Kind.DELETE, ChangeSet.Kind.BULK)):
        changes.undo(change_set, changes.By())
    assert Segment.objects.count() == 3


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", " ", "Fill in a segment name."),
        ("name", "a\x00b", "Remove the character U+0000"),
        ("link", "javascript:alert(1)", "Start the link with https://"),
        ("segment_id", "x" * 256, "Shorten the segment ID"),
        ("segment_id", "taken", "Another segment of this channel has that segment ID or name."),
    ],
)
def test_same_values_are_refused_as_everywhere(as_admin: Client, field: str, value: str, words: str) -> None:
    SegmentFactory(segment_id="taken")
    response = as_admin.post(f"{URL}add/", form(**{field: value}))
    assert response.status_code == 200
    assert words in response.content.decode()
    assert Segment.objects.count() == 1


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (changes.ChannelBusy(), str(changes.ChannelBusy())),
        (changes.EditedMeanwhile(None), "Somebody changed this segment meanwhile."),
        (changes.IdentityTaken(Segment(name="x")), "Another segment of this channel has that segment ID or name."),
    ],
)
def test_what_cannot_be_written_is_a_message(
    as_admin: Client, monkeypatch: pytest.MonkeyPatch, problem: Exception, words: str
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise problem

    segment = SegmentFactory(name="old")
    monkeypatch.setattr(changes, "edit", refuse)
    response = as_admin.post(f"{URL}{segment.pk}/change/", form(name="new"), follow=True)
    assert words in response.content.decode()
    segment.refresh_from_db()
    assert segment.name == "old"


def test_a_page_that_somebody_overtook_is_refused(as_admin: Client) -> None:
    segment = SegmentFactory(name="old", link="https://example.com/1")
    seen = segment.last_change_id
    changes.edit(segment, SegmentValues("old", "", "https://example.com/2", False), changes.By())
    response = as_admin.post(f"{URL}{segment.pk}/change/", form(name="new", seen=seen), follow=True)
    assert "Somebody changed this segment meanwhile." in response.content.decode()
    segment.refresh_from_db()
    assert (segment.name, segment.link, segment.active) == ("old", "https://example.com/2", False)


def test_deleting_many_is_one_change_set_for_each_channel(as_admin: Client) -> None:
    segments = [SegmentFactory() for _ in range(3)]
    other = changes.add(Channel.objects.get(slug="sms"), SegmentValues("VIP"), changes.By())
    before = ChangeSet.objects.latest("pk").pk
    as_admin.post(URL, chosen(*segments[1:], other))
    assert [each.pk for each in Segment.objects.all()] == [segments[0].pk]
    made = ChangeSet.objects.filter(pk__gt=before).order_by("label")
    assert [(each.label, each.via, each.user_name) for each in made] == [
        ("Deleted 1 segment", ChangeSet.Via.ADMIN, "Admin Person"),
        ("Deleted 2 segments", ChangeSet.Via.ADMIN, "Admin Person"),
    ]


def test_deleting_many_is_all_or_nothing(as_admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    segments = [SegmentFactory(), changes.add(Channel.objects.get(slug="sms"), SegmentValues("VIP"), changes.By())]
    delete, calls = changes.delete_all, []

    def once(*args: Any) -> ChangeSet | None:
        calls.append(args)
        if len(calls) > 1:
            raise changes.ChannelBusy
        return delete(*args)

    monkeypatch.setattr(changes, "delete_all", once)
    words = as_admin.post(URL, chosen(*segments), follow=True).content.decode()
    assert "Nothing was changed" in words
    assert len(calls) == Segment.objects.count() == 2


def test_list_searches_folded(as_admin: Client) -> None:
    SegmentFactory(name="É club")
    assert "É club" in as_admin.get(URL, {"q": "é"}).content.decode()


def test_pages_open(as_admin: Client) -> None:
    segment = SegmentFactory(name="VIP")
    change_set = changes.set_active(segment, False, changes.By())
    assert change_set
    for path in (
        URL,
        f"{URL}add/",
        f"{URL}{segment.pk}/change/",
        f"{URL}{segment.pk}/delete/",
        "/admin/segments/changeset/",
        f"/admin/segments/changeset/{change_set.pk}/change/",
        "/admin/segments/change/",
        f"/admin/segments/change/{Change.objects.get().pk}/change/",
    ):
        response = as_admin.get(path)
        assert response.status_code == 200, path
        assert "<script>" not in response.content.decode()


@pytest.mark.parametrize("model", [ChangeSet, Change])
def test_history_is_read_only(as_admin: Client, model: type) -> None:
    changes.set_active(SegmentFactory(), False, changes.By())
    name = model.__name__.lower()
    row = model.objects.first()  # type: ignore[attr-defined]
    assert as_admin.get(f"/admin/segments/{name}/add/").status_code == 403
    assert as_admin.post(f"/admin/segments/{name}/{row.pk}/change/", {"label": "x"}).status_code == 403
    assert as_admin.post(f"/admin/segments/{name}/{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_there_is_no_side_door() -> None:
    admin = site._registry[Segment]
    assert not getattr(admin, "list_editable", ())
    assert not admin.actions
    assert not admin.inlines


def test_other_roles_stay_out(as_marketer: Client) -> None:
    assert as_marketer.get(URL).status_code in (302, 403)
