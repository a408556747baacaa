"""Validated values into a temporary table, from which plan and apply work in sets.

Goes in: an iterable of (line, SegmentValues), in line order. Comes out: Staged, one row a line,
doubles within the file taken aside. No segment is read or written, and no lock is held: PostgreSQL
loads by COPY, SQLite by executemany. Memory is one batch. Must not know: channels, rules, files.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from jobs.points import reach
from segments.models import Segment
from segments.values import KEY_MAX, SegmentValues, fold, folded_key

BATCH = 5_000
COLUMNS = "line, key, name_key, name, segment_id, id_key, link, active"

_SPECIAL = re.compile(r"[\\\n\r]")  # with the tab, what COPY's text format escapes

Row = tuple[int, SegmentValues]
StagedRow = tuple[int, bytes, str, str, str, str, str, bool | None]


@dataclass
class Staged:
    """What is in the temporary tables: `rows` to match, and `twice` that repeat an earlier line."""

    rows: int
    twice: int
    label: bool


@contextmanager
def stage(
    rows: Iterable[Row], *, label: bool = False, on_batch: Callable[[int], None] | None = None
) -> Iterator[Staged]:
    """Load `rows` into this connection's temporary tables; they are dropped at the end.

    `label` says that the segment IDs are a static value: shown, never identifying (RULES.md).
    `on_batch` is called with the number of rows so far; what it raises stops the staging.
    """
    _create_tables()
    try:
        rows_in = _load(rows, label, on_batch)
        if connection.vendor == "postgresql":
            _execute("ANALYZE aa_stage")
        reach("stage:loaded")
        twice = _take_doubles_aside()
        yield Staged(rows_in - twice, twice, label)
    finally:
        drop_tables("aa_stage", "aa_twice")


@contextmanager
def stage_segments(segments: "QuerySet[Segment]") -> Iterator[Staged]:
    """Stage rows with the values of `segments`, which are of one channel, in the order of their names.

    They never leave the database. No two of a channel have the same key, so there are no doubles to take aside.
    """
    values = segments.order_by().values("identity_key", "name_key", "name", "segment_id", "id_key", "link", "active")
    sql, parameters = values.query.sql_with_params()
    _create_tables()
    try:
        with raw_transaction(), connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO aa_stage ({COLUMNS}) "
                f"SELECT row_number() OVER (ORDER BY name_key), f.* FROM ({sql}) f ORDER BY name_key",
                parameters,
            )
            rows = cursor.rowcount
        if rows and connection.vendor == "postgresql":
            _execute("ANALYZE aa_stage")
        yield Staged(rows, 0, label=False)
    finally:
        drop_tables("aa_stage", "aa_twice")


def _load(rows: Iterable[Row], label: bool, on_batch: Callable[[int], None] | None) -> int:
    loading = _copying() if connection.vendor == "postgresql" else nullcontext(_insert_many)
    keyed = _with_keys(rows, label)
    total = 0
    with loading as load:
        while batch := list(islice(keyed, BATCH)):
            load(batch)
            total += len(batch)
            reach("stage:batch")
            if on_batch:
                on_batch(total)
    return total


def _with_keys(rows: Iterable[Row], label: bool) -> Iterator[StagedRow]:
    """Add to each row the keys by which it is matched, sorted and found.

    ASCII, as nearly all is, is keyed in place: cleaned names need no joining or NFC, and IDs rarely do.
    """
    for line, (name, segment_id, link, active) in rows:
        if name.isascii():
            folded = name_key = name.lower()
        else:
            folded = fold(name)
            name_key = folded if len(folded) <= KEY_MAX else folded_key(name)
        if segment_id and not label:
            key = b"i" + blake2b(segment_id.encode(), digest_size=16).digest()
        else:
            key = b"n" + blake2b(folded.encode(), digest_size=16).digest()
        if segment_id.isascii() and segment_id.isprintable() and "  " not in segment_id:
            id_key = segment_id.lower()
        else:
            id_key = folded_key(segment_id)
        yield line, key, name_key, name, segment_id, id_key, link, active


@contextmanager
def _copying() -> Iterator[Callable[[list[StagedRow]], None]]:
    """One COPY for all batches, so that the server reads one while the next is made ready."""
    with connection.cursor() as cursor, cursor.copy(f"COPY aa_stage ({COLUMNS}) FROM STDIN") as copy:
        yield lambda batch: copy.write("".join(map(_copy_line, batch)))


def _copy_line(row: StagedRow) -> str:
    """One line of COPY's text format."""
    line, key, name_key, name, segment_id, id_key, link, active = row
    text = f"{name_key}\t{name}\t{segment_id}\t{id_key}\t{link}"
    if _SPECIAL.search(text) or text.count("\t") != 4:
        text = "\t".join(map(_escape, (name_key, name, segment_id, id_key, link)))
    flag = r"\N" if active is None else "t" if active else "f"
    return f"{line}\t\\\\x{key.hex()}\t{text}\t{flag}\n"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")


def _insert_many(batch: list[StagedRow]) -> None:
    with raw_transaction(), connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO aa_stage ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", batch)


@contextmanager
def raw_transaction() -> Iterator[None]:
    """On SQLite, a deferred transaction for work on temporary tables alone; elsewhere nothing.

    Not atomic(), whose BEGIN IMMEDIATE would take the database's one write lock; and not none, as
    each statement would then be its own.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    _execute("BEGIN DEFERRED")
    try:
        yield
    except BaseException:
        _execute("ROLLBACK")
        raise
    _execute("COMMIT")


def _take_doubles_aside() -> int:
    """Move every row whose key an earlier line has into aa_twice, and return how many they were.

    The rows come first in the join: the other way round SQLite reads them all again for each double.
    """
    with raw_transaction(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO aa_twice (line, of_line, name, segment_id, link, active) "
            "SELECT s.line, f.line, s.name, s.segment_id, s.link, s.active FROM "
            "aa_stage s CROSS JOIN (SELECT key, min(line) AS line FROM aa_stage GROUP BY key HAVING count(*) > 1) f "
            "WHERE f.key = s.key AND s.line > f.line"
        )
        twice: int = cursor.rowcount
        if twice:
            cursor.execute("DELETE FROM aa_stage WHERE line IN (SELECT line FROM aa_twice)")
    return twice


def _create_tables() -> None:
    folded = ' COLLATE "C"' if connection.vendor == "postgresql" else ""
    blob = "bytea" if connection.vendor == "postgresql" else "blob"
    # PostgreSQL reads the table whole and needs no index; SQLite looks lines up.
    line = "integer" if connection.vendor == "postgresql" else "integer PRIMARY KEY"
    values = "name text NOT NULL, segment_id text NOT NULL, link text NOT NULL, active bool"
    _execute(
        f"CREATE TEMPORARY TABLE aa_stage (line {line}, key {blob} NOT NULL, "
        f"name_key text{folded} NOT NULL, id_key text NOT NULL, {values})"
    )
    _execute(f"CREATE TEMPORARY TABLE aa_twice (line {line}, of_line integer NOT NULL, {values})")


def drop_tables(*tables: str) -> None:
    """Drop temporary tables, unless the connection or a failed transaction takes them with it anyway."""
    raw = connection.connection
    if raw is None or (connection.in_atomic_block and connection.needs_rollback):
        return
    if connection.vendor == "postgresql" and (raw.closed or raw.info.transaction_status.name == "INERROR"):
        return
    for table in tables:
        _execute(f"DROP TABLE IF EXISTS {table}")


def _execute(sql: str, parameters: dict[str, Any] | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
