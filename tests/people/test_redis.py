"""Tries to sign in are counted in Redis, where there is one."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import caches
from django.test import Client
from pytest_django import Settings
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as NotThere
from redis.retry import Retry

pytestmark = pytest.mark.django_db


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """The address of a Redis of the test's own."""
    server = shutil.which("redis-server")
    if not server:
        pytest.skip("redis-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([server, "--port", str(port), "--save", "", "--dir", str(tmp_path)], stdout=-3)
    try:
        with Redis(port=port, retry=Retry(ConstantBackoff(0.05), 200), retry_on_error=[NotThere]) as connection:
            connection.ping()
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


def test_tries_are_counted_in_redis_where_there_is_one(client: Client, redis: str, settings: Settings) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis}}
    for _ in range(6):
        response = client.post("/accounts/login/", {"login": "nobody@example.com", "password": "x"})
    assert "Too many failed tries" in response.content.decode()
    with Redis.from_url(redis) as connection:
        assert len(connection.keys("*login_failed*")) == 2  # by address, and by who it was
    caches["default"].close()
