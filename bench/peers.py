"""Rows on django-import-export, the package that Django projects import with: the same file into the same table.

Both are timed within a process that has started, as a worker's or a web server's has. bench/peer.py says what is on and
what is off in the package's two forms.
"""

import json
import sys
from collections.abc import Callable, Iterator

from figures import Budget, Figure, compared
from machine import ROOT, Database, postgresql, run, sample, sqlite

FASTEST = Budget(" × faster", must=4, goal=10, least=True, digits=1)
CHECKED = Budget(" × faster", must=50, goal=150, least=True, digits=1)


def fastest_on_postgresql(rounds: int, rows: int) -> Iterator[Figure]:
    """Against django-import-export with its fastest settings, which neither validate nor match."""
    yield faster("PostgreSQL", postgresql, "fastest", FASTEST, rounds, rows)


def fastest_on_sqlite(rounds: int, rows: int) -> Iterator[Figure]:
    """Against django-import-export with its fastest settings, which neither validate nor match."""
    yield faster("SQLite", sqlite, "fastest", FASTEST, rounds, rows)


def checked_on_postgresql(rounds: int, rows: int) -> Iterator[Figure]:
    """Against django-import-export with validation and look-ups on."""
    yield faster("PostgreSQL", postgresql, "checked", CHECKED, rounds, rows)


def checked_on_sqlite(rounds: int, rows: int) -> Iterator[Figure]:
    """Against django-import-export with validation and look-ups on."""
    yield faster("SQLite", sqlite, "checked", CHECKED, rounds, rows)


def faster(name: str, make: Callable[[], Database], form: str, budget: Budget, rounds: int, rows: int) -> Figure:
    """How many times faster an import is than django-import-export, both into an empty table."""
    path = sample(rows)
    script = str(ROOT / "bench" / "peer.py")
    took: dict[str, list[float]] = {"mine": [], form: []}
    for number in range(rounds):
        for turn in ("mine", form) if number % 2 else (form, "mine"):
            database = make()
            said = json.loads(run([sys.executable, script, turn, str(path)], database.environment).output)
            written = database.execute("SELECT count(*) FROM segments_segment")
            assert written == [(said["new"],)] == [(rows,)], f"{turn}: {written} of {rows} rows were written"
            took[turn].append(said["seconds"])
    what = f"{name}, {rows:,} rows, against django-import-export, {form}"
    return compared(what, form, took["mine"], took[form], budget)
