"""Fixtures for every test: the database under test, and people of each role.

A person of a role is `viewer`, `marketer` or `admin_person`; a client that has signed in as one is
`as_viewer`, `as_marketer` or `as_admin`. Their password is `PASSWORD` (fixture `password`).
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client, TransactionTestCase
from pytest_django import DjangoDbBlocker

from accessaudience.bucketurl import bucket_options
from accessaudience.roles import ADMIN, MARKETER, VIEWER
from people.models import Person
from segments.api import limit
from tests.migrated import Migrated

if TYPE_CHECKING:
    from tests.store import Bucket, Store

PASSWORD = "correct horse battery staple"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what tests stored, once all of them have ended."""
    if not hasattr(config, "workerinput"):  # the process that started the others, or the only one
        shutil.rmtree(settings.DATA_DIR, ignore_errors=True)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what has nothing to do with the database."""
    marker = item.get_closest_marker("django_db")
    fixtures = set(getattr(item, "fixturenames", []))
    if not (marker or item.get_closest_marker("fault") or fixtures & {"db", "live_server", "transactional_db"}):
        item.add_marker("once")


@pytest.fixture(autouse=True)
def _no_request_of_the_api_counted() -> None:
    limit.counts.clear()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keep SQLite's test database in a file: threads and processes of a test must share it."""
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        path: Path = tmp_path_factory.mktemp("database") / "test.sqlite3"
        database.setdefault("TEST", {})["NAME"] = str(path)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let each test that commits leave the rows of the migrations behind, such as channels and roles, and no others."""
    with django_db_blocker.unblock():
        migrated = Migrated()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda test: migrated.bring_back())
        yield


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment for a process of the application that shall use this test's database.

    Such a process sees what is committed: the test needs `django_db(transaction=True)`.
    """
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        host = f"/{database['HOST']}" if database["HOST"].startswith("/") else "{HOST}:{PORT}".format_map(database)
        url = f"postgres://{database['USER']}:{database['PASSWORD']}@{host}/{database['NAME']}"
    return {
        **os.environ,
        "DATABASE_URL": url,
        "DATA_DIR": str(settings.DATA_DIR),
        "SECRET_KEY": settings.SECRET_KEY,
    }


@pytest.fixture
def password() -> str:
    """The password of every person made here."""
    return PASSWORD


@pytest.fixture
def person_with(db: None) -> Callable[[str], Person]:
    """Make a person with one role: `person_with(VIEWER)`."""

    def make(role: str) -> Person:
        name = role.lower()
        person = Person.objects.create_user(f"{name}@example.com", PASSWORD, first_name=role, last_name="Person")
        person.groups.add(Group.objects.get_or_create(name=role)[0])
        person.is_staff = role == ADMIN
        person.save()
        return person

    return make


@pytest.fixture
def viewer(person_with: Callable[[str], Person]) -> Person:
    """A person who may look."""
    return person_with(VIEWER)


@pytest.fixture
def marketer(person_with: Callable[[str], Person]) -> Person:
    """A person who may also change segments."""
    return person_with(MARKETER)


@pytest.fixture
def admin_person(person_with: Callable[[str], Person]) -> Person:
    """A person who may also change settings."""
    return person_with(ADMIN)


def signed_in(person: Person) -> Client:
    """Return a client that has signed in as `person`."""
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def as_viewer(viewer: Person) -> Client:
    """A client signed in as a Viewer."""
    return signed_in(viewer)


@pytest.fixture
def as_marketer(marketer: Person) -> Client:
    """A client signed in as a Marketer."""
    return signed_in(marketer)


@pytest.fixture
def as_admin(admin_person: Person) -> Client:
    """A client signed in as an Admin."""
    return signed_in(admin_person)


@pytest.fixture(scope="session")
def store() -> Iterator["Store"]:
    """An S3-compatible store; what speaks to one is loaded for the tests that need it alone."""
    from tests.store import Store

    made = Store()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def bucket(store: "Store", settings: Any) -> "Bucket":
    """A bucket of its own, in which all uploads of this test are kept."""
    from tests.store import Bucket

    made = Bucket(store)
    use_storage(settings, made.url)
    return made


def use_storage(settings: Any, url: str) -> None:
    """Keep uploads where `url` says, as STORAGE_URL does."""
    in_bucket = {"BACKEND": "accessaudience.objectstore.Bucket", "OPTIONS": bucket_options(url)}
    settings.STORAGES = {**settings.STORAGES, "default": in_bucket}
