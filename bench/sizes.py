"""Rows on files of other sizes, and on files with faults in them: memory is bounded, and every fault is counted.

One row in twenty is dirty: without a name, with one that is too long, with a link or a status that is none, or a
double of an earlier one. What the import says of them must be what gen_csv.py has put there.
"""

import json
from collections.abc import Callable, Iterator

from figures import Budget, Figure, compared
from machine import Database, import_file, postgresql, sample, sqlite
from writing import MEMORY

DIRTY = ("--dirty", "5")
FAULTS = ("blank_name", "long_name", "bad_url", "bad_bool")
WRONG = Budget(" rows", must=0, goal=0, digits=0)


def on_postgresql(rounds: int, rows: int) -> Iterator[Figure]:
    """Memory at a tenth of the rows and at all; a file with faults against a clean one."""
    yield from of_sizes("PostgreSQL", postgresql, rounds, rows)


def on_sqlite(rounds: int, rows: int) -> Iterator[Figure]:
    """Memory at a tenth of the rows and at all; a file with faults against a clean one."""
    yield from of_sizes("SQLite", sqlite, rounds, rows)


def of_sizes(name: str, make: Callable[[], Database], rounds: int, rows: int) -> Iterator[Figure]:
    """For each size: what an import needs above the import of one row, clean and dirty, and what the faults cost."""
    idle = import_file(make(), sample(1))[0].peak_mb
    for size in (max(rows // 10, 1), rows):
        clean, dirty, peaks, wrong = [], [], [], 0
        for _ in range(rounds):
            ran, _answer = import_file(make(), sample(size))
            clean.append(ran.seconds)
            peaks.append(ran.peak_mb)
            ran, answer = import_file(make(), sample(size, *DIRTY))
            dirty.append(ran.seconds)
            peaks.append(ran.peak_mb)
            wrong = max(wrong, miscounted(size, answer))
        what = f"{name}, {size:,} rows"
        yield Figure(f"{what}, clean and dirty, memory above idle", max(peaks) - idle, MEMORY, f"idle {idle:.0f} MB")
        yield compared(f"{what}, 5 % dirty, against a clean file", "clean", dirty, clean, Budget())
        yield Figure(f"{what}, 5 % dirty, rows that ended otherwise than they should", wrong, WRONG)


def miscounted(size: int, answer: dict[str, object]) -> int:
    """By how many rows the answer of the import differs from what the file holds."""
    truth = json.loads(sample(size, *DIRTY).with_suffix(".json").read_text("utf-8"))
    expected = {
        "created": truth["clean"],
        "errors": sum(truth[fault] for fault in FAULTS),
        "skipped": truth["duplicate"],
    }
    return sum(abs(int(str(answer[what])) - number) for what, number in expected.items())
