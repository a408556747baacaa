"""People and roles in Django admin."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accessaudience.roles import ADMIN, VIEWER, role_of
from people.models import Person

pytestmark = pytest.mark.django_db
PEOPLE = "/admin/people/person/"


def role(name: str) -> Group:
    return Group.objects.get(name=name)


def test_an_admin_makes_a_person_who_can_sign_in(as_admin: Client, client: Client) -> None:
    secret = "a long password of hers"
    data = {
        "email": "Tom@Example.com",
        "first_name": "Tom",
        "last_name": "",
        "groups": [role(VIEWER).pk],
        "usable_password": "true",
        "password1": secret,
        "password2": secret,
    }
    response = as_admin.post(f"{PEOPLE}add/", data)
    assert response.status_code == 302, response.context["adminform"].errors
    tom = Person.objects.get(email="tom@example.com")
    assert role_of(tom) == VIEWER
    assert client.post("/accounts/login/", {"login": "tom@example.com", "password": secret}).status_code == 302


def changed(person: Person, *roles: str, **values: str) -> dict[str, object]:
    return {
        "email": person.email,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "groups": [role(name).pk for name in roles],
        "is_active": "on",
        **values,
    }


def test_a_role_given_in_django_admin_counts_at_once(as_admin: Client, viewer: Person) -> None:
    as_admin.post(f"{PEOPLE}{viewer.pk}/change/", changed(viewer, ADMIN))
    assert role_of(Person.objects.get(pk=viewer.pk)) == ADMIN


def test_a_changed_address_is_the_one_to_sign_in_with(
    as_admin: Client, viewer: Person, client: Client, password: str
) -> None:
    before = viewer.email
    as_admin.post(f"{PEOPLE}{viewer.pk}/change/", changed(viewer, VIEWER, email="new@example.com"))
    assert client.post("/accounts/login/", {"login": before, "password": password}).status_code == 200
    assert client.post("/accounts/login/", {"login": "new@example.com", "password": password}).status_code == 302


@pytest.mark.parametrize("loss", [{"groups": []}, {"is_active": ""}])
def test_the_last_admin_cannot_be_shut_out(as_admin: Client, admin_person: Person, loss: dict[str, object]) -> None:
    response = as_admin.post(f"{PEOPLE}{admin_person.pk}/change/", {**changed(admin_person, ADMIN), **loss})
    assert "only active admin" in response.content.decode()
    assert Person.objects.admins().get() == admin_person


def test_nobody_takes_the_password_of_the_last_admin(as_admin: Client, admin_person: Person, viewer: Person) -> None:
    viewer.groups.set([role(ADMIN)])
    viewer.set_unusable_password()
    viewer.save()  # invited only: they could not sign in
    form = {"usable_password": "false", "unset-password": "1"}
    response = as_admin.post(f"{PEOPLE}{admin_person.pk}/password/", form)
    assert "only active admin" in response.content.decode()
    assert Person.objects.admins().get() == admin_person


def test_a_password_taken_away_signs_out(as_admin: Client, as_viewer: Client, viewer: Person) -> None:
    form = {"usable_password": "false", "unset-password": "1"}
    assert as_admin.post(f"{PEOPLE}{viewer.pk}/password/", form).status_code == 302
    assert as_viewer.get("/").status_code == 302


def test_of_two_admins_one_may_go(as_admin: Client, admin_person: Person, viewer: Person) -> None:
    viewer.groups.set([role(ADMIN)])
    as_admin.post(f"{PEOPLE}{viewer.pk}/change/", changed(viewer, VIEWER))
    assert Person.objects.admins().get() == admin_person


def test_nobody_deletes_themselves(as_admin: Client, admin_person: Person) -> None:
    assert as_admin.post(f"{PEOPLE}{admin_person.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Person.objects.filter(pk=admin_person.pk).exists()


def test_people_are_not_deleted_in_bulk(as_admin: Client) -> None:
    assert "delete_selected" not in as_admin.get(PEOPLE).content.decode()


def test_roles_are_shown_with_their_people_and_cannot_be_edited(as_admin: Client, viewer: Person) -> None:
    assert str(viewer) in as_admin.get("/admin/auth/group/").content.decode()
    assert as_admin.post(f"/admin/auth/group/{role(VIEWER).pk}/change/", {"name": "King"}).status_code == 403


@pytest.mark.parametrize("path", ["people/accessevent/?kind__exact=sign_in%00", "people/person/?q=%00", "r/1/%00/"])
def test_what_no_text_holds_is_refused(as_admin: Client, path: str) -> None:
    assert as_admin.get(f"/admin/{path}").status_code == 400


def test_a_role_is_what_opens_django_admin_and_nothing_else(client: Client, viewer: Person) -> None:
    Person.objects.filter(pk=viewer.pk).update(is_staff=True)
    client.force_login(viewer)
    assert client.get("/admin/").status_code == 403
