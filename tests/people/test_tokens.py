"""API tokens: shown once, kept as a fingerprint, one's own to revoke."""

from collections.abc import Callable

import pytest
from django.core import serializers
from django.db import connection
from django.test import Client

from people.models import AccessEvent, ApiToken, Person
from people.token_views import MOST

pytestmark = pytest.mark.django_db
MAKE = "/accounts/tokens/"


def test_a_token_is_shown_once_and_kept_as_a_fingerprint(as_viewer: Client, viewer: Person) -> None:
    response = as_viewer.post(MAKE, {"name": "Campaign builder"})
    text = response.context["text"]
    assert text in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    token = ApiToken.objects.get(person=viewer)
    assert text.startswith(token.shown)
    assert ApiToken.objects.known(text) == token
    assert text not in serializers.serialize("json", [token])
    html = as_viewer.get("/accounts/").content.decode()
    assert text not in html
    assert token.shown in html
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_data FROM django_session")
        assert not any(text in row[0] for row in cursor.fetchall())


def test_making_and_revoking_are_recorded_without_the_text(as_viewer: Client) -> None:
    text = as_viewer.post(MAKE, {"name": "Builder"}).context["text"]
    token = ApiToken.objects.get()
    assert as_viewer.post(f"{MAKE}{token.pk}/revoke/").status_code == 302
    assert ApiToken.objects.known(text) is None
    told = [event.about for event in AccessEvent.objects.order_by("pk")]
    assert told == [f"Made the API token Builder ({token.shown}…)", f"Revoked the API token Builder ({token.shown}…)"]
    assert not any(text in each for each in told)


def test_it_is_asked_before_one_is_revoked(as_viewer: Client, viewer: Person) -> None:
    token, text = ApiToken.objects.make(viewer, "Builder")
    html = as_viewer.get(f"{MAKE}{token.pk}/revoke/").content.decode()
    assert "Revoke <bdi>Builder</bdi>?" in html
    assert "never used" in html
    assert ApiToken.objects.known(text)


def test_sent_again_it_makes_no_second_one(as_viewer: Client) -> None:
    as_viewer.post(MAKE, {"name": "Builder"})
    response = as_viewer.post(MAKE, {"name": "Builder"})
    assert response.status_code == 422
    assert "You have a token of that name." in response.content.decode()
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize(("name", "said"), [("", "Name the program"), ("x" * 61, "Shorten the name")])
def test_a_token_needs_a_name(as_viewer: Client, name: str, said: str) -> None:
    response = as_viewer.post(MAKE, {"name": name})
    assert response.status_code == 422
    assert said in response.content.decode()


def test_nobody_has_more_than_they_can_keep_in_mind(as_viewer: Client, viewer: Person) -> None:
    for number in range(MOST):
        ApiToken.objects.make(viewer, f"Program {number}")
    assert "Revoke one that is not used" in as_viewer.post(MAKE, {"name": "One more"}).content.decode()


@pytest.mark.parametrize("door", ["/people/{}/deactivate/", "/admin/people/person/{}/change/"])
def test_deactivating_ends_tokens_for_good(as_admin: Client, viewer: Person, door: str) -> None:
    text = ApiToken.objects.make(viewer, "Made by whoever got in")[1]
    groups = [group.pk for group in viewer.groups.all()]
    as_admin.post(door.format(viewer.pk), {"email": viewer.email, "groups": groups})
    as_admin.post(f"/people/{viewer.pk}/activate/")
    viewer.refresh_from_db()
    assert viewer.is_active
    assert ApiToken.objects.known(text) is None


def test_a_token_of_somebody_else_is_not_found(as_viewer: Client, person_with: Callable[[str], Person]) -> None:
    token, _ = ApiToken.objects.make(person_with("Marketer"), "Builder")
    for ask in (as_viewer.get, as_viewer.post):
        assert ask(f"{MAKE}{token.pk}/revoke/").status_code == 404
    assert ApiToken.objects.filter(pk=token.pk).exists()


def test_hostile_names_are_shown_as_text(as_viewer: Client) -> None:
    assert "<script>alert" not in as_viewer.post(MAKE, {"name": "<script>alert(1)</script>"}).content.decode()


def test_that_it_is_used_is_noted_but_not_each_time(viewer: Person) -> None:
    token, text = ApiToken.objects.make(viewer, "Builder")
    ApiToken.objects.known(text)
    token.refresh_from_db()
    first = token.used_at
    ApiToken.objects.known(text)
    token.refresh_from_db()
    assert first is not None
    assert token.used_at == first
