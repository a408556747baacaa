"""Time the database's share of pages, and count their queries; run by reading.py with a benchmark database.

    python bench/page_times.py variants | pages TIMES

Prints one JSON object: for each variant of the Segments page, or each page, the median seconds in the database, the
queries of the last visit, and the most of any visit.
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

from imports.models import ImportJob
from people.models import Person
from segments.models import ChangeSet, Segment
from segments.pages import cursor_after

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
    """Ask for what `sys.argv` says, so many times."""
    what, times, client = sys.argv[1], int(sys.argv[2]), Client(headers={"host": "localhost"})
    person, _ = Person.objects.get_or_create(email="bench@example.com")
    person.groups.add(Group.objects.get(name="Admin"))
    client.force_login(person)
    paths = pages() if what == "pages" else variants(client)
    print(json.dumps({name: measured(client, path, times) for name, path in paths.items()}))


def pages() -> dict[str, str]:
    """The pages that list something, or show one of what is listed."""
    segment = Segment.objects.order_by("pk")[:1].get()
    return {
        "Overview": "/",
        "Segments": PAGE,
        "Segment": f"{PAGE}{segment.pk}/",
        "Across channels": "/segments/",
        "Imports": "/data/imports/",
        "Import": f"/data/imports/{ImportJob.objects.latest('created_at').pk}/",
        "Activity": "/activity/",
        "Change set": f"/activity/{ChangeSet.objects.latest('pk').pk}/",
        "People": "/people/",
    }


def variants(client: Client) -> dict[str, str]:
    """The Segments page in its first form, filtered, sorted, searched, and deep in the channel."""
    return {name: PAGE + query for name, query in (VARIANTS | {"deep": deep_page(client)}).items()}


def deep_page(client: Client) -> str:
    """The query of a page in the middle of the channel: the last one of the reverse order has no number to skip to."""
    middle = Segment.objects.filter(channel__slug="email").order_by("pk")[500_000:500_001].first()
    if middle is None:
        found = re.search(r'href="(\?[^"]*cursor=[^"]+)"', client.get(PAGE).content.decode())
        return found[1].replace("&amp;", "&") if found else ""
    return f"?cursor={cursor_after('name', middle)}"


def measured(client: Client, url: str, times: int) -> dict[str, Any]:
    """What `times` visits to `url` took, after one that warms the caches and counts only for its queries."""
    spent, queries = [], []

    def timed(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        start = time.perf_counter()
        try:
            return execute(sql, parameters, many, context)
        finally:
            queries[-1] += 1
            spent[-1] += time.perf_counter() - start

    for _ in range(times + 1):
        spent.append(0.0)
        queries.append(0)
        with connection.execute_wrapper(timed):
            answer = client.get(url)
        if answer.status_code != 200:
            sys.exit(f"{url} answered {answer.status_code}")
    return {"seconds": statistics.median(spent[1:]), "queries": queries[-1], "most": max(queries)}


main()
