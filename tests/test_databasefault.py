"""What is said when the database cannot be used: a sentence with what to do, whichever command asks."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, ProgrammingError

from accessaudience.databasefault import fault_of

NOWHERE = "postgres://nobody:hush@127.0.0.1:1/none"
COMMANDS = {
    "export": ["manage.py", "export_segments", "--channel", "email"],
    "import": ["manage.py", "import_segments", "README.md", "--channel", "email"],
    "undo": ["manage.py", "undo_change", "1"],
    "sync": ["manage.py", "sync_klaviyo", "--all"],
    "keys": ["manage.py", "rotate_keys"],
    "admin": ["manage.py", "first_admin"],
    "index": ["manage.py", "index_search"],
    "two-factor": ["manage.py", "turn_off_two_factor", "a@example.com"],
    "prepare": ["-m", "accessaudience.prepare"],
}
FEW = ("import", "keys", "prepare")  # of these the others hardly differ, and each is a process


def said(command: list[str], folder: Path, **environment: str) -> str:
    """Return what `command` ends with, which is a sentence."""
    keys = {"SECRET_KEY": settings.SECRET_KEY, "ENCRYPTION_KEYS": settings.ENCRYPTION_KEYS[0]}
    given = {"PATH": os.environ["PATH"], "DATA_DIR": str(folder), **keys, **environment}
    done = subprocess.run(
        [sys.executable, *command], cwd=settings.BASE_DIR, env=given, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.once
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, id=name, marks=() if name in FEW else pytest.mark.long)
        for name, command in COMMANDS.items()
    ],
)
def test_without_a_database_every_command_ends_in_a_sentence(command: list[str], tmp_path: Path) -> None:
    told = said(command, tmp_path, DATABASE_URL=NOWHERE)
    assert told.startswith("The database cannot be used. It does not answer: ")
    assert "look at DATABASE_URL" in told
    assert "hush" not in told


@pytest.mark.once
@pytest.mark.parametrize("command", [COMMANDS["export"], COMMANDS["prepare"]], ids=["export", "prepare"])
def test_a_damaged_file_is_a_sentence(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "accessaudience.sqlite3").write_bytes(b"damaged" * 1000)
    told = said(command, tmp_path)
    assert told.startswith("The database cannot be used. Its file is damaged: file is not a database. Restore")


@pytest.mark.once
def test_a_database_file_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    told = said(COMMANDS["prepare"], tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/none/a.sqlite3")
    assert str(tmp_path) in told


def raised(kind: type[DatabaseError], cause: Exception) -> DatabaseError:
    """Return an error as Django raises it of a driver's."""
    error = kind(*cause.args)
    error.__cause__ = cause
    return error


def test_a_file_that_can_only_be_read_is_told_from_one_that_is_not_prepared(tmp_path: Path) -> None:
    path = tmp_path / "some.sqlite3"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE some (thing)")
    reading = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    found = []
    for statement in ("INSERT INTO some VALUES (1)", "SELECT * FROM other", "SELECT other FROM some", "SELEC"):
        with pytest.raises(sqlite3.OperationalError) as caught:
            reading.execute(statement)
        fault = fault_of(raised(OperationalError, caught.value))
        found.append(fault and fault.told.partition(":")[0].partition(" (")[0])
    reading.close()
    made.close()
    not_prepared = "It is not prepared for this version"
    assert found == ["SQLite cannot write it", not_prepared, not_prepared, None]


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        (psycopg.errors.UndefinedTable, "It is not prepared for this version (words)."),
        (psycopg.errors.DiskFull, "Its disk is full: words"),
        (psycopg.errors.TooManyConnections, "It takes no more connections: words"),
        (psycopg.errors.ReadOnlySqlTransaction, "It can only be read: words"),
        (psycopg.errors.InsufficientPrivilege, "Its role may not do this: words"),
        (psycopg.errors.AdminShutdown, "It does not answer: words"),
        (psycopg.OperationalError, "It does not answer: words"),  # as libpq has it: the database "none" does not exist
    ],
)
def test_an_error_of_postgresql_is_known_by_its_code(cause: type[psycopg.Error], told: str) -> None:
    fault = fault_of(raised(OperationalError, cause("words")))
    assert fault
    assert fault.told == told
    assert fault.do


@pytest.mark.parametrize(
    "error",
    [
        raised(ProgrammingError, psycopg.errors.SyntaxError("words")),
        raised(IntegrityError, psycopg.errors.UniqueViolation("words")),
        ProgrammingError("does not exist"),
    ],
)
def test_a_mistake_of_the_code_is_no_fault_of_the_database(error: DatabaseError) -> None:
    assert fault_of(error) is None


def test_a_connection_that_is_gone_is_one_of_a_database_that_does_not_answer() -> None:
    fault = fault_of(InterfaceError("connection already closed"))
    assert str(fault).startswith("The database cannot be used. It does not answer: connection already closed. Start it")
