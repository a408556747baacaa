"""The record of access: what is in it, and that nothing of it is changed."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accessaudience.roles import MARKETER
from people.audit import Kind, forget_the_oldest, record
from people.models import AccessEvent, Person

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def _no_tries_counted() -> None:
    cache.clear()


def events() -> list[str]:
    return [str(event) for event in AccessEvent.objects.order_by("pk")]


def test_a_sign_in_and_a_sign_out_are_recorded_with_where_they_came_from(
    client: Client, viewer: Person, password: str
) -> None:
    client.post(LOGIN, {"login": viewer.email, "password": password}, headers={"user-agent": "Firefox"})
    client.post("/accounts/logout/")
    assert events() == ["Viewer Person Signed in", "Viewer Person Signed out"]
    event = AccessEvent.objects.earliest("pk")
    assert (event.person, event.address, event.user_agent) == (viewer, "127.0.0.1", "Firefox")


def test_a_failure_is_recorded_with_the_address_that_was_typed_and_no_password(client: Client, viewer: Person) -> None:
    client.post(LOGIN, {"login": "Nobody@example.com", "password": "hunter2 hunter2"})
    client.post(LOGIN, {"login": viewer.email, "password": "hunter2 hunter2"})
    assert events() == ["Failed to sign in nobody@example.com", "Failed to sign in viewer@example.com"]
    assert not any("hunter2" in str(row) for row in AccessEvent.objects.values_list())


def test_somebody_inactive_who_tries_is_recorded(client: Client, viewer: Person, password: str) -> None:
    Person.objects.update(is_active=False)
    client.post(LOGIN, {"login": viewer.email, "password": password})
    assert events() == ["Failed to sign in viewer@example.com"]


def test_who_tried_too_often_is_recorded_as_refused(client: Client) -> None:
    for _ in range(6):
        client.post(LOGIN, {"login": "nobody@example.com", "password": "x"})
    assert events()[-1] == "Refused after too many tries nobody@example.com"


def test_a_changed_password_is_recorded(as_viewer: Client, password: str) -> None:
    new = "another long password"
    as_viewer.post("/accounts/password/", {"oldpassword": password, "password1": new, "password2": new})
    assert events() == ["Viewer Person Changed the password"]


def test_ended_sessions_are_recorded(as_viewer: Client) -> None:
    as_viewer.post("/accounts/sessions/end-others/")
    assert events() == ["Viewer Person Ended sessions Everywhere else"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"is_active": ""}, ["Deactivated viewer@example.com in Django admin"]),
        ({"role": MARKETER}, ["Changed a role viewer@example.com from Viewer to Marketer in Django admin"]),
        ({"first_name": "New"}, []),
    ],
)
def test_what_is_changed_in_django_admin_is_recorded_too(
    as_admin: Client, viewer: Person, change: dict[str, Any], words: list[str]
) -> None:
    role = change.pop("role", "Viewer")
    data = {"email": viewer.email, "first_name": "Viewer", "last_name": "Person", "is_active": "on", **change}
    data["groups"] = [Group.objects.get(name=role).pk]
    assert as_admin.post(f"/admin/people/person/{viewer.pk}/change/", data).status_code == 302
    assert events() == [f"Admin Person {each}" for each in words]


def test_deleting_a_person_keeps_what_they_did(as_admin: Client, viewer: Person, client: Client, password: str) -> None:
    client.post(LOGIN, {"login": viewer.email, "password": password})
    as_admin.post(f"/admin/people/person/{viewer.pk}/delete/", {"post": "yes"})
    assert not Person.objects.filter(pk=viewer.pk).exists()
    assert events() == ["Viewer Person Signed in", "Admin Person Deleted a person viewer@example.com"]


def test_a_password_set_by_an_admin_is_recorded(as_admin: Client, viewer: Person) -> None:
    data = {"usable_password": "true", "password1": "another long password", "password2": "another long password"}
    as_admin.post(f"/admin/people/person/{viewer.pk}/password/", data)
    assert events() == ["Admin Person Changed the password Of viewer@example.com in Django admin"]


def test_an_event_is_neither_changed_nor_deleted(viewer: Person) -> None:
    record(Kind.EXPORT, None, "Segments of Email", person=viewer)
    event = AccessEvent.objects.get()
    for attempt in (
        event.save,
        event.delete,
        AccessEvent.objects.all().delete,
        lambda: AccessEvent.objects.update(about="nothing"),
    ):
        with pytest.raises(TypeError):
            attempt()
    assert events() == ["Viewer Person Exported Segments of Email"]


def test_django_admin_only_shows_it(as_admin: Client, viewer: Person) -> None:
    record(Kind.EXPORT, None, "Segments of Email", person=viewer)
    url = "/admin/people/accessevent/"
    assert "Segments of Email" in as_admin.get(url).content.decode()
    assert "delete_selected" not in as_admin.get(url).content.decode()
    event = AccessEvent.objects.get()
    assert as_admin.post(f"{url}{event.pk}/delete/", {"post": "yes"}).status_code == 403


def test_what_is_older_than_a_year_is_forgotten_at_the_next_sign_in(
    client: Client, viewer: Person, password: str
) -> None:
    for days in (366, 364):
        AccessEvent.objects.create(kind=Kind.SIGN_IN, person=viewer, at=timezone.now() - timedelta(days=days))
    client.post(LOGIN, {"login": viewer.email, "password": password})
    assert AccessEvent.objects.count() == 2


def test_sessions_that_are_over_are_cleared_away() -> None:
    Session.objects.create(session_key="old", session_data="", expire_date=timezone.now() - timedelta(seconds=1))
    Session.objects.create(session_key="new", session_data="", expire_date=timezone.now() + timedelta(days=1))
    forget_the_oldest()
    assert Session.objects.get().session_key == "new"


def test_long_and_odd_text_is_kept_in_its_length(client: Client) -> None:
    client.post(LOGIN, {"login": f"{'x' * 240}@example.com", "password": "x"}, headers={"user-agent": "a\tb" * 500})
    assert len(AccessEvent.objects.get().user_agent) == 200
