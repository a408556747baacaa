"""Time the database's share of the Segments page; run by reading.py in the environment of a benchmark database.

Prints one JSON object: for each variant of the page, the median seconds in the database, and its queries.
"""

import json
import os
import re
import statistics
import sys
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "accessaudience.settings")

import django

django.setup()

from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client

from people.models import Person

PAGE = "/channels/email/segments/"
VARIANTS = {
    "first": "",
    "filtered by status": "?status=inactive",
    "filtered by source": "?source=csv",
    "sorted by name, Z to A": "?sort=-name",
    "sorted by ID": "?sort=segment_id",
    "sorted by newest change": "?sort=-updated",
    "search, rare term": "?q=Dstillery+%3E+Pets+%3E+Lapsed+SE+7",
    "search, common word": "?q=retail",
    "search, two letters": "?q=zq",
    "search, no hit": "?q=xylophone+quartz",
}


def main() -> None:
    """Ask for each variant `sys.argv[1]` times."""
    times, client = int(sys.argv[1]), Client(headers={"host": "localhost"})
    person, _ = Person.objects.get_or_create(email="bench@example.com")
    person.groups.add(Group.objects.get(name="Viewer"))
    client.force_login(person)
    variants = VARIANTS | {"deep": deep_page(client)}
    print(json.dumps({what: measured(client, PAGE + query, times) for what, query in variants.items()}))


def deep_page(client: Client) -> str:
    """The query of a page in the middle of the channel: the last one of the reverse order has no number to skip to."""
    from segments.models import Segment
    from segments.pages import cursor_after

    middle = Segment.objects.filter(channel__slug="email").order_by("pk")[500_000:500_001].first()
    if middle is None:
        found = re.search(r'href="(\?[^"]*cursor=[^"]+)"', client.get(PAGE).content.decode())
        return found[1].replace("&amp;", "&") if found else ""
    return f"?cursor={cursor_after('name', middle)}"


def measured(client: Client, url: str, times: int) -> dict[str, Any]:
    spent, queries = [], 0

    def timed(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        nonlocal queries
        start = time.perf_counter()
        try:
            return execute(sql, parameters, many, context)
        finally:
            queries += 1
            spent[-1] += time.perf_counter() - start

    for number in range(times + 1):
        spent.append(0.0)
        queries = 0
        with connection.execute_wrapper(timed):
            answer = client.get(url)
        if answer.status_code != 200:
            sys.exit(f"{url} answered {answer.status_code}")
        if number == 0:
            spent.clear()  # the first one warms the caches
    return {"seconds": statistics.median(spent), "queries": queries}


main()
