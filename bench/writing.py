"""Rows on writing: a whole import job against the database's own bulk load of the same values."""

import pickle
import shutil
import sqlite3
import sys
from collections.abc import Iterator

from machine import WORK, Database, Ran, import_file, median, postgresql, run, sample, sqlite

COLUMNS = (
    "channel_id, name, segment_id, link, active, source, identity_key, name_key, id_key, "
    "klaviyo_kind, created_in_id, created_line, last_change_id, updated_at"
)
Line = tuple[str, str, str, str]  # what, measured, must, goal

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


def on_postgresql(rounds: int, rows: int) -> Iterator[Line]:
    """1,000,000 clean rows: first import, again, undo, memory; against `psql \\copy` in the file's order."""
    if not shutil.which("psql"):
        sys.exit("The benchmark compares with psql's \\copy, and there is no psql on this machine.")
    database, path, idle = postgresql(), sample(rows), idle_memory(postgresql())
    values = WORK / "values.tsv"
    import_file(database, path)
    psql(database, f"\\copy (SELECT {COLUMNS} FROM segments_segment ORDER BY created_line) TO '{values}'")
    firsts, agains, undos, copies, peaks = [], [], [], [], []
    for number in range(rounds):
        for turn in ("import", "copy") if number % 2 else ("copy", "import"):
            empty(database)
            if turn == "copy":
                load = f"\\copy segments_segment ({COLUMNS}) FROM '{values}'"
                copies.append(psql(database, load).seconds)
                continue
            first, answer = import_file(database, path)
            again, _ = import_file(database, path)
            undo = database.manage("undo_change", str(answer["change_set"]))
            firsts.append(first.seconds)
            agains.append(again.seconds)
            undos.append(undo.seconds)
            peaks.append(max(first.peak_mb, again.peak_mb, undo.peak_mb))
    what = f"PostgreSQL, {rows:,} rows"
    yield from compared(what, "\\copy", firsts, copies, "≤ 1.75", "≤ 1.2")
    yield from compared(f"{what}, again", "first import", agains, firsts, "≤ 0.6", "≤ 0.4")
    yield from compared(f"{what}, undo", "first import", undos, firsts, "≤ 0.6", "≤ 0.3")
    yield f"{what}, memory above idle", f"{max(peaks) - idle:.0f} MB", "≤ 64 MB", "≤ 32 MB"


def on_sqlite(rounds: int, rows: int) -> Iterator[Line]:
    """200,000 clean rows: first import, again, undo, memory; against executemany of ready values."""
    database, path, idle = sqlite(), sample(rows), idle_memory(sqlite())
    database = sqlite()
    import_file(database, path)
    file, values, script = database.data / "bench.sqlite3", WORK / "values.pickle", WORK / "executemany.py"
    with sqlite3.connect(file) as connection, values.open("wb") as out:
        pickle.dump(list(connection.execute(f"SELECT {COLUMNS} FROM segments_segment ORDER BY created_line")), out)
    script.write_text(EXECUTEMANY)
    firsts, agains, undos, loads, peaks = [], [], [], [], []
    for number in range(rounds):
        for turn in ("import", "load") if number % 2 else ("load", "import"):
            database = sqlite()
            if turn == "load":
                ran = run([sys.executable, str(script), str(file), str(values)], database.environment)
                loads.append(float(ran.output))
                continue
            first, answer = import_file(database, path)
            again, _ = import_file(database, path)
            undo = database.manage("undo_change", str(answer["change_set"]))
            firsts.append(first.seconds)
            agains.append(again.seconds)
            undos.append(undo.seconds)
            peaks.append(max(first.peak_mb, again.peak_mb, undo.peak_mb))
    what = f"SQLite, {rows:,} rows"
    yield from compared(what, "executemany", firsts, loads, "≤ 1.75", "≤ 1.3")
    yield from compared(f"{what}, again", "first import", agains, firsts, "≤ 1.2", "≤ 0.9")
    yield from compared(f"{what}, undo", "first import", undos, firsts, "≤ 0.6", "≤ 0.3")
    yield f"{what}, memory above idle", f"{max(peaks) - idle:.0f} MB", "≤ 64 MB", "≤ 32 MB"


def compared(what: str, peer: str, mine: list[float], theirs: list[float], must: str, goal: str) -> Iterator[Line]:
    """One line: the medians, and the median of the ratios round by round."""
    ratios = sorted(one / other for one, other in zip(mine, theirs, strict=True))
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
    yield (
        what,
        f"{median(mine):.1f} s, {median(ratios):.2f} × {peer} ({median(theirs):.1f} s; {spread})",
        f"{must} ×",
        f"{goal} ×",
    )


def idle_memory(database: Database) -> float:
    """The peak of a process that does all that an import does, for one row."""
    return import_file(database, sample(1))[0].peak_mb


def empty(database: Database) -> None:
    database.execute(
        "TRUNCATE segments_segment, segments_change, segments_changesetchannel, segments_changeset, "
        "imports_importrowerror, imports_importchannel, imports_importjob CASCADE"
    )
    database.execute("UPDATE channels_channel SET segment_count = 0")
    database.execute("CHECKPOINT")


def psql(database: Database, command: str) -> Ran:
    return run(["psql", "-q", "-v", "ON_ERROR_STOP=1", database.url, "-c", command], database.environment)
