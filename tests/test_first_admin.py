"""The first Admin: from the environment, else with a random password shown once, and never a second one."""

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from accessaudience.roles import ADMIN, role_of
from people.models import Person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_set(settings: Settings) -> None:
    """As if neither were in the environment."""
    settings.ADMIN_EMAIL = "admin@localhost"
    settings.ADMIN_PASSWORD = ""


def shown_password(output: str) -> str:
    """Return the password in what the command printed."""
    return next(line.split()[1] for line in output.splitlines() if line.strip().startswith("Password"))


def test_email_and_password_come_from_the_environment(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.ADMIN_EMAIL, settings.ADMIN_PASSWORD = "Ops@Example.com", "a long enough password"
    call_command("first_admin")
    person = Person.objects.get()
    assert (person.email, role_of(person)) == ("ops@example.com", ADMIN)
    assert person.check_password("a long enough password")
    assert "a long enough password" not in "".join(capsys.readouterr())


def test_without_a_password_a_random_one_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("first_admin")
    password = shown_password(capsys.readouterr().out)
    assert len(password) >= 16
    assert Person.objects.get(email="admin@localhost").check_password(password)


def test_the_random_password_is_never_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("first_admin")
    Person.objects.all().delete()
    call_command("first_admin")
    passwords = [line for line in capsys.readouterr().out.splitlines() if "Password" in line]
    assert len(set(passwords)) == 2


def test_where_there_is_an_admin_nothing_is_done(
    settings: Settings, admin_person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ADMIN_EMAIL, settings.ADMIN_PASSWORD = "other@example.com", "a long enough password"
    call_command("first_admin")
    assert list(Person.objects.all()) == [admin_person]
    assert capsys.readouterr() == ("", "")


def test_a_viewer_is_no_admin(viewer: Person, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("first_admin")
    assert Person.objects.exclude(pk=viewer.pk).count() == 1


def test_nobody_is_made_an_admin_behind_their_back(settings: Settings, viewer: Person) -> None:
    settings.ADMIN_EMAIL = viewer.email
    with pytest.raises(CommandError, match="ADMIN_EMAIL"):
        call_command("first_admin")
    assert role_of(Person.objects.get()) != ADMIN


def test_what_is_no_address_is_refused(settings: Settings) -> None:
    settings.ADMIN_EMAIL = "root"
    with pytest.raises(CommandError, match="ADMIN_EMAIL must be an email address, not 'root'"):
        call_command("first_admin")
    assert not Person.objects.exists()


@pytest.mark.parametrize("password", ["sh0rt", "12345678", "password123", "admin@localhost"])
def test_a_weak_password_makes_nobody_and_stops_the_start(settings: Settings, password: str) -> None:
    settings.ADMIN_PASSWORD = password
    with pytest.raises(CommandError, match="ADMIN_PASSWORD is too weak") as refused:
        call_command("first_admin")
    assert password not in str(refused.value)
    assert not Person.objects.exists()
