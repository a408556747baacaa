"""Channels in Django admin."""

import pytest
from django.contrib.admin import site
from django.test import Client, RequestFactory

from channels.models import Channel
from people.models import Person
from segments import changes
from segments.values import SegmentValues

pytestmark = pytest.mark.django_db
CHANNELS = "/admin/channels/channel/"


@pytest.fixture
def email() -> Channel:
    return Channel.objects.get(slug="email")


def values(**more: str) -> dict[str, str]:
    return {"name": "Push", "slug": "push", "icon": "bell", "position": "40", **more}


def test_a_new_channel_is_in_the_navigation(as_admin: Client) -> None:
    assert as_admin.post(f"{CHANNELS}add/", values()).status_code == 302
    assert "/channels/push/segments/" in as_admin.get("/").content.decode()


@pytest.mark.parametrize("slug", ["Push", "push me", "pûsh", ""])
def test_a_slug_is_of_small_letters_digits_and_hyphens(as_admin: Client, slug: str) -> None:
    as_admin.post(f"{CHANNELS}add/", values(slug=slug))
    assert not Channel.objects.filter(name="Push").exists()


def test_a_channel_is_renamed_and_keeps_its_slug(as_admin: Client, email: Channel) -> None:
    data = values(name="Electronic mail", slug="other")
    assert as_admin.post(f"{CHANNELS}{email.pk}/change/", data).status_code == 302
    email.refresh_from_db()
    assert (email.name, email.slug) == ("Electronic mail", "email")


def test_a_channel_with_segments_cannot_be_deleted(as_admin: Client, email: Channel) -> None:
    changes.add(email, SegmentValues("VIP"), changes.By())
    assert as_admin.post(f"{CHANNELS}{email.pk}/delete/", {"post": "yes"}).status_code == 403


def test_nor_can_one_with_a_history_and_the_page_says_so(as_admin: Client, email: Channel) -> None:
    changes.delete(changes.add(email, SegmentValues("VIP"), changes.By()), changes.By())
    assert (
        "would require deleting the following protected"
        in as_admin.get(f"{CHANNELS}{email.pk}/delete/").content.decode()
    )
    as_admin.post(f"{CHANNELS}{email.pk}/delete/", {"post": "yes"})
    assert Channel.objects.filter(pk=email.pk).exists()


def test_an_empty_channel_can_be_deleted(as_admin: Client, email: Channel) -> None:
    as_admin.post(f"{CHANNELS}{email.pk}/delete/", {"post": "yes"})
    assert not Channel.objects.filter(pk=email.pk).exists()


def test_deleting_many_at_once_spares_those_with_segments(as_admin: Client, email: Channel) -> None:
    changes.add(email, SegmentValues("VIP"), changes.By())
    data = {"action": "delete_selected", "_selected_action": [email.pk], "post": "yes"}
    as_admin.post(CHANNELS, data)
    assert Channel.objects.filter(pk=email.pk).exists()


def test_saving_a_channel_leaves_its_count_to_the_writer(as_admin: Client, email: Channel) -> None:
    page = {"name": "E-mail", "icon": email.icon, "position": "5"}
    request = RequestFactory().post("/")
    request.user = Person(is_superuser=True)
    stale = Channel.objects.get(pk=email.pk)
    changes.add(email, SegmentValues("VIP"), changes.By())
    form = site.get_model_admin(Channel).get_form(request, stale)(page, instance=stale)
    assert form.is_valid(), form.errors
    site.get_model_admin(Channel).save_model(request, form.save(commit=False), form, True)
    email.refresh_from_db()
    assert (email.name, email.segment_count) == ("E-mail", 1)
