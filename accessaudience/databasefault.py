"""What an error of the database means to whoever runs it: what is wrong, and what to do.

Goes in: an error that Django raised. Comes out: a Fault, or None where only our own code can be at fault. It goes by
the class and the code that the driver gives: words change with versions and languages. Must not know: what was asked.
"""

import errno
import sqlite3
from dataclasses import dataclass

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError, connection

NOT_PREPARED = (
    "`make run` or `python -m accessaudience.prepare` does that; or DATABASE_URL or DATA_DIR names another one than "
    "you meant."
)
ADDRESS = (
    "Start it, and look at DATABASE_URL: host, port, user, password and name. A database of that name must have been "
    "made (createdb), as nothing here does that."
)
UNDEFINED = ("42P01", "42703")  # a table, a column
NO_ENTRY = ("08", "28", "3D", "57P")  # connections, credentials, no such database, going down
FULL, TOO_MANY, READ_ONLY, NOT_ALLOWED = "53100", "53300", "25006", "42501"


@dataclass(frozen=True)
class Fault:
    """What is wrong, said of the database, and what to do."""

    told: str
    do: str

    def __str__(self) -> str:
        return f"The database cannot be used. {self.told}{'' if self.told[-1] in '.?!)' else '.'} {self.do}"


def fault_of(error: DatabaseError | InterfaceError) -> Fault | None:
    """Return what `error` means, None if it is no fault of the database."""
    cause, words = error.__cause__, " ".join(str(error).split())
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(getattr(cause, "sqlite_errorcode", None), words)
    if isinstance(cause, psycopg.Error) and cause.sqlstate:
        return _of_postgresql(cause.sqlstate, words)
    if isinstance(error, (OperationalError, InterfaceError)):  # libpq gives none where it could not connect
        return Fault(f"It does not answer: {words}", ADDRESS)
    return None


def is_out_of_room(error: Exception) -> bool:
    """Whether `error`, of the database or of files, says that a disk is full."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    if isinstance(cause, psycopg.Error):
        return cause.sqlstate == FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _not_prepared(words: str) -> Fault:
    return Fault(f"It is not prepared for this version ({words}).", NOT_PREPARED)


def _of_postgresql(state: str, words: str) -> Fault | None:
    if state in UNDEFINED:
        return _not_prepared(words)
    if state == FULL:
        return Fault(f"Its disk is full: {words}", "Make room on the disk of PostgreSQL.")
    if state == TOO_MANY:
        do = "Raise max_connections of PostgreSQL, or set DATABASE_POOL or WEB_CONCURRENCY lower."
        return Fault(f"It takes no more connections: {words}", do)
    if state == READ_ONLY:
        return Fault(f"It can only be read: {words}", "Let DATABASE_URL name the primary server, not a replica.")
    if state == NOT_ALLOWED:
        return Fault(f"Its role may not do this: {words}", "Let the role of DATABASE_URL own the database.")
    return Fault(f"It does not answer: {words}", ADDRESS) if state.startswith(NO_ENTRY) else None


def _of_sqlite(code: int | None, words: str) -> Fault | None:
    file = connection.settings_dict["NAME"]
    match (code or 0) & 0xFF:  # what is above says more of the same
        case sqlite3.SQLITE_ERROR if words.startswith("no such "):  # a code of its own this has not
            return _not_prepared(words)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            do = f"Give the user of this process {file} and its folder, to read and to write."
            return Fault(f"SQLite cannot write it: {words}", do)
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            do = f"Restore the last backup (docs/backups.md); or DATABASE_URL or DATA_DIR should not lead to {file}."
            return Fault(f"Its file is damaged: {words}", do)
        case sqlite3.SQLITE_FULL:
            return Fault(f"Its disk is full: {words}", f"Make room where {file} is.")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Fault(f"It is busy: {words}", "Try again later, when nothing large is being written.")
        case sqlite3.SQLITE_IOERR:
            return Fault(
                f"Its disk gives errors: {words}", f"Look at the disk that {file} is on; it must be a local one."
            )
    return None
