"""A stack for the tests of this folder: on PostgreSQL, with the redis-server of this machine and a store of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client

from people.models import Person
from tests.store import Bucket
from tests.topology.stack import Stack, redis_server


@pytest.fixture
def stack(tmp_path: Path, environment: dict[str, str], bucket: Bucket) -> Iterator[Stack]:
    """A Redis of the test's own, and what the test starts with it."""
    if settings.EMBEDDED:
        pytest.skip("several machines need PostgreSQL")
    program = redis_server()
    if not program:
        pytest.skip("no redis-server is installed")
    made = Stack(program, tmp_path, environment | {"STORAGE_URL": bucket.url})
    try:
        yield made
    finally:
        made.end()
        connections.close_all()


@pytest.fixture
def session(marketer: Person) -> str:
    """The session of a Marketer who has signed in."""
    client = Client()
    client.force_login(marketer)
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)
