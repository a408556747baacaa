"""The page People: who is here, roles, deactivating, the second proof of others."""

from collections.abc import Callable

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accessaudience.roles import ADMIN, MARKETER, VIEWER
from people.invitations import invite
from people.models import AccessEvent, Person
from tests.factories import PersonFactory

pytestmark = pytest.mark.django_db
URL = "/people/"


def signed_in(person: Person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def events() -> list[str]:
    return [str(event) for event in AccessEvent.objects.order_by("pk")]


def test_everybody_is_listed_with_role_second_proof_and_state(
    as_admin: Client, admin_person: Person, viewer: Person, marketer: Person
) -> None:
    TOTP.activate(viewer, generate_totp_secret())
    marketer.deactivate()
    invite("ruth@example.com", MARKETER, admin_person)
    page = as_admin.get(URL).content.decode()
    for words in ("Admin Person (you)", "viewer@example.com", "App</span>", "invited by you", "Deactivated</span>"):
        assert words in page
    assert ">4 people<" in page


@pytest.mark.parametrize(("show", "count"), [("", 4), ("active", 2), ("invited", 1), ("deactivated", 1), ("odd", 4)])
def test_one_state_is_shown_alone(
    as_admin: Client, admin_person: Person, viewer: Person, marketer: Person, show: str, count: int
) -> None:
    marketer.deactivate()
    invite("ruth@example.com", MARKETER, admin_person)
    assert len(as_admin.get(URL, {"show": show}).context["rows"]) == count


@pytest.mark.parametrize(
    ("address", "warned"),
    [
        ("http://localhost:8000", True),
        ("http://127.0.0.1:8000", True),
        ("http://[::1]:8000", True),
        ("https://audience.example.com", False),
    ],
)
def test_it_warns_where_invitations_lead_to_the_server_s_own_computer(
    as_admin: Client, settings: Settings, address: str, warned: bool
) -> None:
    settings.SITE_URL = address
    assert ("opens on this computer alone" in as_admin.get(URL).content.decode()) == warned


def test_the_number_of_queries_does_not_depend_on_how_many_there_are(as_admin: Client) -> None:
    as_admin.get(URL)
    with CaptureQueriesContext(connection) as few:
        as_admin.get(URL)
    for _ in range(30):
        PersonFactory()
    with CaptureQueriesContext(connection) as many:
        as_admin.get(URL)
    assert len(many) == len(few) <= 8


def test_only_admins_have_it_in_the_navigation(as_admin: Client, as_marketer: Client) -> None:
    assert 'href="/people/"' in as_admin.get("/").content.decode()
    assert 'href="/people/"' not in as_marketer.get("/").content.decode()


def test_a_role_counts_from_the_next_request_on(as_admin: Client, viewer: Person) -> None:
    theirs = signed_in(viewer)
    assert theirs.get("/data/upload/").status_code == 403
    as_admin.post(f"{URL}{viewer.pk}/role/", {"role": MARKETER})
    assert theirs.get("/data/upload/").status_code == 200
    as_admin.post(f"{URL}{viewer.pk}/role/", {"role": VIEWER})
    assert theirs.get("/data/upload/").status_code == 403


def test_a_person_has_one_role(as_admin: Client, marketer: Person) -> None:
    as_admin.post(f"{URL}{marketer.pk}/role/", {"role": VIEWER})
    assert [group.name for group in marketer.groups.all()] == [VIEWER]


def test_a_superuser_made_a_viewer_is_none_any_more(as_admin: Client) -> None:
    king = Person.objects.create_superuser("king@example.com", "secret")
    as_admin.post(f"{URL}{king.pk}/role/", {"role": VIEWER})
    king.refresh_from_db()
    assert (king.role, king.is_superuser) == (VIEWER, False)


def test_a_changed_role_is_recorded_and_the_same_again_is_not(as_admin: Client, viewer: Person) -> None:
    for _ in range(2):
        as_admin.post(f"{URL}{viewer.pk}/role/", {"role": MARKETER})
    assert events() == ["Admin Person Changed a role viewer@example.com from Viewer to Marketer"]


def test_a_made_up_role_is_refused(as_admin: Client, viewer: Person) -> None:
    assert as_admin.post(f"{URL}{viewer.pk}/role/", {"role": "King"}).status_code == 400
    assert viewer.role == VIEWER


@pytest.mark.parametrize("path", ["role/", "deactivate/", "two-factor/off/"])
def test_nobody_shuts_themselves_out(as_admin: Client, admin_person: Person, path: str) -> None:
    assert as_admin.post(f"{URL}{admin_person.pk}/{path}", {"role": VIEWER}).status_code == 404
    admin_person.refresh_from_db()
    assert (admin_person.role, admin_person.is_active) == (ADMIN, True)


@pytest.mark.parametrize("path", ["role/", "deactivate/", "activate/", "invite/", "two-factor/off/"])
def test_who_is_not_there_is_a_404(as_admin: Client, path: str) -> None:
    assert as_admin.post(f"{URL}999999/{path}", {"role": VIEWER}).status_code == 404


def test_deactivating_asks_first(as_admin: Client, viewer: Person) -> None:
    assert "Deactivate <bdi>Viewer Person</bdi>?" in as_admin.get(f"{URL}{viewer.pk}/deactivate/").content.decode()
    viewer.refresh_from_db()
    assert viewer.is_active


def test_who_is_deactivated_is_out_at_once_and_activating_revives_no_session(
    as_admin: Client, viewer: Person, password: str
) -> None:
    theirs = signed_in(viewer)
    as_admin.post(f"{URL}{viewer.pk}/deactivate/")
    assert theirs.get("/").status_code == 302
    as_admin.post(f"{URL}{viewer.pk}/activate/")
    assert theirs.get("/").status_code == 302
    assert theirs.post("/accounts/login/", {"login": viewer.email, "password": password}).status_code == 302
    assert theirs.get("/").status_code == 200
    assert events()[:2] == [
        "Admin Person Deactivated viewer@example.com",
        "Admin Person Activated viewer@example.com as Viewer",
    ]


def test_the_second_proof_of_somebody_else_is_turned_off(as_admin: Client, viewer: Person) -> None:
    TOTP.activate(viewer, generate_totp_secret())
    theirs = signed_in(viewer)
    assert "Turn off two-factor" in as_admin.get(f"{URL}{viewer.pk}/two-factor/off/").content.decode()
    as_admin.post(f"{URL}{viewer.pk}/two-factor/off/")
    assert not Authenticator.objects.exists()
    assert theirs.get("/").status_code == 302
    assert events() == ["Admin Person Changed two-factor sign-in Off for viewer@example.com"]


def test_names_are_shown_as_text(as_admin: Client, person_with: Callable[[str], Person]) -> None:
    person = person_with(VIEWER)
    Person.objects.filter(pk=person.pk).update(first_name="<script>alert(1)</script>")
    assert "<script>alert" not in as_admin.get(URL).content.decode()
