"""The lock that somebody else has who writes: how long it is waited for, and which errors mean it.

Goes in: seconds, and what the database refused. Comes out: a connection that waits so long, and an answer. SQLite has
one write lock for all; on PostgreSQL a transaction says for itself how long it waits for rows. Must not know: what is
written.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection
from psycopg.errors import LockNotAvailable

SQLITE_WAIT = 20  # seconds, as in settings
BRIEFLY = 0.3  # seconds that a page waits to note what it can do without
TAKEN = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_taken(error: OperationalError) -> bool:
    """Whether the database refused because somebody else has the lock; its words are not looked at."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.OperationalError):
        code: int = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_OK)  # an error that SQLite has not made has none
        return code & 0xFF in TAKEN  # what is above says more exactly which
    return isinstance(cause, LockNotAvailable)


@contextmanager
def patience(wait: float | None) -> Iterator[None]:
    """Have SQLite wait `wait` seconds for its write lock, where it otherwise waits as settings say."""
    if wait is None or connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    sqlite = connection.connection  # of Python: this is no query of a page
    sqlite.execute(f"PRAGMA busy_timeout = {wait * 1000:.0f}")
    try:
        yield
    finally:
        sqlite.execute(f"PRAGMA busy_timeout = {SQLITE_WAIT * 1000:d}")


@contextmanager
def if_free() -> Iterator[None]:
    """Let the body write what the page can do without: it is left, where SQLite's lock is not free soon."""
    try:
        with patience(BRIEFLY):
            yield
    except OperationalError as error:
        if not is_taken(error):
            raise
