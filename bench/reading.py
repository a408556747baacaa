"""Rows on reading: the Segments page of a channel with a million segments, and the queries of every list."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from figures import Budget, Figure
from machine import ROOT, Database, import_file, postgresql, run, sample, sqlite

SHOWN = Budget(" ms", must=10, goal=3, digits=1)
SEARCHED = Budget(" ms", must=150, goal=20, digits=1)
QUERIES = Budget(" queries", must=8, goal=5, digits=0)


def on_postgresql(rounds: int, rows: int) -> Iterator[Figure]:
    """The Segments page of one channel: its time in PostgreSQL, its queries."""
    database = postgresql()
    imported, _ = import_file(database, sample(rows))
    indexed = database.manage("index_search")
    what = f"PostgreSQL, {rows:,} rows, search index, made by workers afterwards, against the import"
    yield Figure(what, indexed.seconds / imported.seconds, Budget(), f"{indexed.seconds:.1f} s")
    database.execute("VACUUM ANALYZE")  # as autovacuum does, within a minute
    yield from page(database, f"PostgreSQL, {rows:,}", rounds)


def on_sqlite(rounds: int, rows: int) -> Iterator[Figure]:
    """The Segments page of one channel: its time in SQLite, its queries."""
    database = sqlite()
    import_file(database, sample(rows))
    yield from page(database, f"SQLite, {rows:,}", rounds)


def page(database: Database, what: str, rounds: int) -> Iterator[Figure]:
    """The page's variants: the median of the time in the database, and the queries."""
    for variant, took in visited(database, "variants", rounds * 4).items():
        budget = SEARCHED if variant.startswith("search") else SHOWN
        queries = f"{took['queries']} queries"
        yield Figure(f"Segments page, {what}: {variant}", took["seconds"] * 1000, budget, queries)


def queries_on_postgresql(rounds: int, rows: int) -> Iterator[Figure]:
    """Queries of each page that lists something, with one row in the channel and with many."""
    yield from queries("PostgreSQL", postgresql, rows)


def queries_on_sqlite(rounds: int, rows: int) -> Iterator[Figure]:
    """Queries of each page that lists something, with one row in the channel and with many."""
    yield from queries("SQLite", sqlite, rows)


def queries(name: str, make: Callable[[], Database], rows: int) -> Iterator[Figure]:
    """The most queries of several visits to each page, the first one after the import included."""
    found = []
    for size in (1, rows):
        database = make()
        import_file(database, sample(size))
        found.append(visited(database, "pages", 2))
    few, many = found
    for page_name, took in many.items():
        with_one = f"{few[page_name]['most']} with one row"
        yield Figure(f"{page_name}, {name}, {rows:,} rows", took["most"], QUERIES, with_one)


def visited(database: Database, what: str, times: int) -> dict[str, dict[str, Any]]:
    """Have page_times.py ask for pages so many times; return what it tells."""
    run([sys.executable, "-m", "accessaudience.prepare"], database.environment)  # pages need static files
    script = str(ROOT / "bench" / "page_times.py")
    ran = run([sys.executable, script, what, str(times)], database.environment)
    found: dict[str, dict[str, Any]] = json.loads(ran.output.strip().splitlines()[-1])
    return found
