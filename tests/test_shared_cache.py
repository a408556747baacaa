"""The cache that processes share: in Redis, and in the database while Redis is away."""

from typing import Any

import pytest
from django.conf import settings as project
from django.core.cache import caches
from django.db import connection
from django.test import Client

from accessaudience.shared_cache import RedisOrDatabase
from people.models import Person
from tests.topology.stack import RedisServer, free_port, redis_server

pytestmark = pytest.mark.django_db


@pytest.fixture
def away(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is not there."""
    monkeypatch.setattr(RedisOrDatabase, "_spared_until", 0.0)
    location = f"redis://127.0.0.1:{free_port()}/0"
    settings.CACHES = {"default": {"BACKEND": "accessaudience.shared_cache.RedisOrDatabase", "LOCATION": location}}


def test_without_redis_the_database_keeps_what_is_shared(away: None, caplog: pytest.LogCaptureFixture) -> None:
    cache = caches["default"]
    assert cache.add("a", 1)
    assert not cache.add("a", 2)
    cache.set("b", [2.5])
    assert cache.get_many(["a", "b"]) == {"a": 1, "b": [2.5]}
    assert cache.touch("a")
    assert cache.delete("a")
    assert cache.get("a", "gone") == "gone"
    cache.clear()
    assert cache.get("b") is None
    assert caplog.text.count("Redis does not answer") == 1  # and nobody is made to wait each time


def test_nobody_has_the_tries_of_others_forgotten_by_filling_the_table() -> None:
    cache = caches["default"]
    cache.set("allauth.mfa.totp.used", "y")
    cache.set("over", "y", timeout=-1)
    for number in range(400):  # Django would have made room
        cache.set(f"stranger-{number}", "y")
    assert cache.get("allauth.mfa.totp.used") == "y"
    assert cache.get("stranger-0") == cache.get("stranger-399") == "y"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM shared_cache WHERE cache_key LIKE '%over'")
        assert cursor.fetchone() == (0,)


def test_without_redis_tries_to_sign_in_are_still_counted(away: None, client: Client, marketer: Person) -> None:
    wrong = {"login": marketer.email, "password": "wrong"}
    pages = [client.post(project.LOGIN_URL, wrong).content.decode() for _ in range(12)]
    assert "don&#x27;t belong together" in pages[0]
    assert "Too many failed tries" in pages[-1] or "tried too often" in pages[-1]


def test_redis_keeps_it_where_there_is_one(away: None, settings: Any, tmp_path: Any) -> None:
    program = redis_server()
    if not program:
        pytest.skip("no redis-server is installed")
    server = RedisServer(program, tmp_path)
    try:
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": server.url}}
        cache = caches["default"]
        cache.set("a", 1)
        assert cache.get("a") == 1
        server.kill()
        assert cache.get("a") is None
        cache.set("a", 2)
        assert cache.get("a") == 2
    finally:
        server.kill()
