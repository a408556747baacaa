"""There is always an admin, whoever does what at the same time."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client

from accessaudience.roles import ADMIN, VIEWER
from people.invitations import invite
from people.models import LastAdmin, Person
from tests.factories import PersonFactory

EACH = [
    pytest.param(lambda person: person.give_role(VIEWER), id="demoted"),
    pytest.param(Person.deactivate, id="deactivated"),
]


@pytest.mark.django_db
@pytest.mark.parametrize("do", EACH)
def test_the_last_admin_stays(admin_person: Person, viewer: Person, do: Callable[[Person], None]) -> None:
    with pytest.raises(LastAdmin):
        do(admin_person)
    assert Person.objects.admins().get() == admin_person


@pytest.mark.django_db
@pytest.mark.parametrize("do", EACH)
def test_an_admin_who_is_deactivated_or_invited_does_not_count_for_signing_in(
    admin_person: Person, do: Callable[[Person], None]
) -> None:
    PersonFactory(role=ADMIN).deactivate()
    invite("ruth@example.com", ADMIN, by=admin_person)
    with pytest.raises(LastAdmin):
        do(admin_person)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("do", EACH)
def test_of_two_admins_who_shut_each_other_out_at_the_same_time_one_stays(
    do: Callable[[Person], None], password: str
) -> None:
    admins = [PersonFactory(role=ADMIN) for _ in range(2)]
    start = threading.Barrier(2)
    refused = []

    def shut_out(person: Person) -> None:
        start.wait()
        try:
            do(person)
        except LastAdmin:
            refused.append(person)
        finally:
            connection.close()

    threads = [threading.Thread(target=shut_out, args=[person]) for person in admins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Person.objects.admins().count() == len(refused) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/people/{}/role/", "/people/{}/deactivate/", "/admin/people/person/{}/delete/"])
def test_the_same_through_the_pages(path: str) -> None:
    admins = [PersonFactory(role=ADMIN) for _ in range(2)]
    clients = [Client() for _ in admins]
    for client, person in zip(clients, admins, strict=True):
        client.force_login(person)
    start = threading.Barrier(2)

    def shut_out(client: Client, other: Person) -> None:
        start.wait()
        client.post(path.format(other.pk), {"role": VIEWER, "post": "yes"})
        connection.close()

    threads = [threading.Thread(target=shut_out, args=pair) for pair in zip(clients, admins[::-1], strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Person.objects.admins().exists()
