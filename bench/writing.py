"""Rows on writing: an import job against the database's own bulk load of the same values; its history; its undo."""

import csv
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from figures import Budget, Figure, compared
from machine import WORK, Database, Missing, Ran, import_file, postgresql, run, sample, sqlite

COLUMNS = (
    "channel_id, name, segment_id, link, active, source, identity_key, name_key, id_key, "
    "klaviyo_kind, created_in_id, created_line, last_change_id, updated_at"
)
VALUES = f"SELECT {COLUMNS} FROM segments_segment ORDER BY created_line"
UNDO = Budget(must=0.6, goal=0.3)
MEMORY = Budget(" MB", must=64, goal=32, digits=0)
Times = dict[str, list[float]]  # seconds (of "peak": megabytes) by what took them, a value a round

# The values of an import, kept by a process of its own: see machine.run on memory.
KEEP = f"""
import pickle, sqlite3, sys
with open(sys.argv[2], "wb") as out:
    pickle.dump(list(sqlite3.connect(sys.argv[1]).execute("{VALUES}")), out)
"""
# What the bulk load of ready values is: a process that reads them first, and is timed from the first INSERT.
EXECUTEMANY = f"""
import pickle, sqlite3, sys, time
rows = pickle.load(open(sys.argv[2], "rb"))
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.executescript("PRAGMA synchronous=FULL; PRAGMA cache_size=-16384; PRAGMA foreign_keys=ON")
start = time.perf_counter()
connection.execute("BEGIN IMMEDIATE")
connection.executemany("INSERT INTO segments_segment ({COLUMNS}) VALUES ({", ".join("?" * 14)})", rows)
connection.execute("COMMIT")
print(time.perf_counter() - start)
"""


@dataclass(frozen=True)
class Side:
    """A database to write to, and its own way of loading the values that an import has written there."""

    name: str
    peer: str
    make: Callable[[], Database]
    empty: Callable[[Database], Database]  # as if nothing had ever been written
    keep: Callable[[Database, Path], Ran]  # the values, for `load`
    load: Callable[[Database, Path], float]  # seconds
    first: Budget  # of the first import
    again: Budget  # of the second


def on_postgresql(rounds: int, rows: int) -> Iterator[Figure]:
    """1,000,000 clean rows against `psql \\copy` in the file's order."""
    if not shutil.which("psql"):
        raise Missing("it compares with psql's \\copy, and there is no psql on this machine")
    yield from imports(POSTGRESQL, rounds, rows)


def on_sqlite(rounds: int, rows: int) -> Iterator[Figure]:
    """200,000 clean rows against executemany of ready values."""
    yield from imports(SQLITE, rounds, rows)


def history_on_postgresql(rounds: int, rows: int) -> Iterator[Figure]:
    """Updates of 1,000,000 segments and of a tenth of them."""
    yield from history(POSTGRESQL, rounds, rows)


def history_on_sqlite(rounds: int, rows: int) -> Iterator[Figure]:
    """Updates of 200,000 segments and of a tenth of them."""
    yield from history(SQLITE, rounds, rows)


def imports(side: Side, rounds: int, rows: int) -> Iterator[Figure]:
    """The first import against the database's own load; the same again and its undo against the import; memory."""
    path, values = sample(rows), WORK / "values"
    database = side.make()
    idle = import_file(database, sample(1))[0].peak_mb
    database = side.empty(database)
    import_file(database, path)
    side.keep(database, values)
    took: Times = defaultdict(list)
    for number in range(rounds):
        for turn in ("import", "load") if number % 2 else ("load", "import"):
            database = side.empty(database)
            if turn == "load":
                took["load"].append(side.load(database, values))
                continue
            change_set = note(took, "first", *import_file(database, path))
            note(took, "again", *import_file(database, path))
            note(took, "undo", database.manage("undo_change", change_set))
    what = f"{side.name}, {rows:,} rows"
    yield compared(f"{what}, against {side.peer}", side.peer, took["first"], took["load"], side.first)
    yield compared(f"{what}, again, against the first", "first", took["again"], took["first"], side.again)
    yield compared(f"{what}, its undo, against it", "import", took["undo"], took["first"], UNDO)
    yield Figure(f"{what}, memory above idle", max(took["peak"]) - idle, MEMORY, f"idle {idle:.0f} MB")


def history(side: Side, rounds: int, rows: int) -> Iterator[Figure]:
    """Imports that update, each segment's before and after recorded, and the undo of each; against the first import."""
    took: Times = defaultdict(list)
    database = side.make()
    for _ in range(rounds):
        database = side.empty(database)
        note(took, "first", *import_file(database, sample(rows)))
        for every in (10, 1):
            change_set = note(took, f"update {every}", *import_file(database, other_links(rows, every)))
            note(took, f"undo {every}", database.manage("undo_change", change_set))
    what = f"{side.name}, {rows:,} rows"
    for every, which in ((10, "a tenth updated"), (1, "all updated")):
        update, undo = took[f"update {every}"], took[f"undo {every}"]
        budget = Budget(must=1) if every > 1 else Budget()
        yield compared(f"{what}, {which}, against the first import", "first", update, took["first"], budget)
        yield compared(f"{what}, {which}, its undo, against it", "import", undo, update, UNDO)


def note(took: Times, what: str, ran: Ran, answer: dict[str, object] | None = None) -> str:
    """Note what a command took; return the change set that it says it made."""
    took[what].append(ran.seconds)
    took["peak"].append(ran.peak_mb)
    return str((answer or {}).get("change_set"))


def other_links(rows: int, every: int) -> Path:
    """Return the sample of `rows` rows with another link in each row whose number `every` divides; made once."""
    path = WORK / f"{rows}-links-{every}.csv"
    if not path.exists():
        with (
            sample(rows).open(newline="", encoding="utf-8") as source,
            path.open("w", newline="", encoding="utf-8") as to,
        ):
            reader, writer = csv.reader(source), csv.writer(to)
            header = next(reader)
            link = header.index("URL")
            writer.writerow(header)
            for number, row in enumerate(reader):
                if number % every == 0:
                    row[link] = f"https://example.com/{every}/{number}"
                writer.writerow(row)
    return path


def truncated(database: Database) -> Database:
    """Return the PostgreSQL database with empty tables."""
    database.execute(
        "TRUNCATE segments_segment, segments_change, segments_changesetchannel, segments_changeset, "
        "segments_searchtext, imports_importrowerror, imports_importchannel, imports_importjob CASCADE"
    )
    database.execute("UPDATE channels_channel SET segment_count = 0")
    database.execute("CHECKPOINT")
    return database


def psql(database: Database, command: str) -> Ran:
    """Run one command of psql."""
    return run(["psql", "-q", "-v", "ON_ERROR_STOP=1", database.url, "-c", command], database.environment)


def python(database: Database, code: str, values: Path) -> Ran:
    """Run lines of Python with SQLite's file and that of the values."""
    file = database.data / "bench.sqlite3"
    return run([sys.executable, "-c", code, str(file), str(values)], database.environment)


POSTGRESQL = Side(
    "PostgreSQL",
    "\\copy",
    postgresql,
    truncated,
    lambda database, values: psql(database, f"\\copy ({VALUES}) TO '{values}'"),
    lambda database, values: psql(database, f"\\copy segments_segment ({COLUMNS}) FROM '{values}'").seconds,
    Budget(must=1.75, goal=1.2),
    Budget(must=0.6, goal=0.4),
)
SQLITE = Side(
    "SQLite",
    "executemany",
    sqlite,
    lambda _: sqlite(),
    lambda database, values: python(database, KEEP, values),
    lambda database, values: float(python(database, EXECUTEMANY, values).output),
    Budget(must=1.75, goal=1.3),
    Budget(must=1.2, goal=0.9),
)
