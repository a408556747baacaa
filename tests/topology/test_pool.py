"""The threads of a web server share connections: no more than they are given, and lost ones are replaced."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from tests.topology.stack import POOL, Stack, Web, until

pytestmark = pytest.mark.django_db(transaction=True)


def of(web: Web, what: str) -> list[object]:
    """What the database tells of each connection of a web server."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {what} FROM pg_stat_activity WHERE application_name = %s", [web.name])
        return [value for (value,) in cursor.fetchall()]


def test_connections_are_shared_and_lost_ones_replaced(stack: Stack, session: str) -> None:
    web = stack.web(session)
    until(web.answers, stack.logs)
    with ThreadPoolExecutor(3 * POOL) as people:
        answers = list(people.map(web.ask, ["/data/imports/"] * (6 * POOL)))
    assert {status for status, _ in answers} == {200}
    assert 1 <= len(of(web, "pid")) <= POOL
    small = web.upload("Small", 20, "email")  # checked in the request, with signs of life beside it
    assert small.total
    assert all(of(web, "pg_terminate_backend(pid)"))
    assert [web.ask("/data/imports/")[0] for _ in range(2 * POOL)] == [200] * 2 * POOL
    assert "Traceback" not in stack.logs()
