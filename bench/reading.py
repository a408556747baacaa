"""Rows on reading: the Segments page of a channel with a million segments."""

import json
import sys
from collections.abc import Iterator

from machine import ROOT, Database, import_file, postgresql, run, sample, sqlite
from writing import Line


def on_postgresql(rounds: int, rows: int) -> Iterator[Line]:
    """The page's time in PostgreSQL, and its queries."""
    database = postgresql()
    imported, _ = import_file(database, sample(rows))
    indexed = database.manage("index_search")
    what = f"PostgreSQL, {rows:,} rows, search index made by workers afterwards"
    yield what, f"{indexed.seconds:.1f} s, {indexed.seconds / imported.seconds:.2f} × the import", "—", "—"
    database.execute("ANALYZE")
    yield from page(database, f"Page, PostgreSQL, {rows:,}", rounds)


def on_sqlite(rounds: int, rows: int) -> Iterator[Line]:
    """The page's time in SQLite."""
    database = sqlite()
    import_file(database, sample(rows))
    yield from page(database, f"Page, SQLite, {rows:,}", rounds)


def page(database: Database, what: str, rounds: int) -> Iterator[Line]:
    ran = run([sys.executable, str(ROOT / "bench" / "page_times.py"), str(rounds * 4)], database.environment)
    for variant, took in json.loads(ran.output.strip().splitlines()[-1]).items():
        limits = ("≤ 150 ms", "≤ 20 ms") if variant.startswith("search") else ("≤ 10 ms", "≤ 3 ms")
        yield f"{what}: {variant}", f"{took['seconds'] * 1000:.1f} ms, {took['queries']} queries", *limits
