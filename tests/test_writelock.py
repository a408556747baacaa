"""While somebody else writes: pages and the API are read all the same, and a refusal is known by its code."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import psycopg.errors
import pytest
from django.db import OperationalError, connection
from django.test import Client

from accessaudience.writelock import SQLITE_WAIT, is_taken
from channels.models import Channel
from people.models import ApiToken, Person
from segments import changes
from segments.changes.lock import locked

LIST = "/channels/email/segments/"


@pytest.fixture
def held(transactional_db: None) -> Iterator[None]:
    """A connection beside ours that writes: all of SQLite is its own, on PostgreSQL the channels and people."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(name, isolation_level=None)) as holding:
            holding.execute("BEGIN IMMEDIATE")
            yield
        return
    settings = connection.get_connection_params()
    address = {key: settings[key] for key in ("dbname", "user", "password", "host", "port") if settings.get(key)}
    with psycopg.connect(**address) as holding:
        holding.execute("SELECT 1 FROM channels_channel FOR UPDATE")
        yield


def busy_timeout() -> int:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        return int(cursor.fetchone()[0])


@pytest.fixture
def token(transactional_db: None, viewer: Person) -> tuple[ApiToken, str]:
    """A token that has not been used yet."""
    return ApiToken.objects.make(viewer, "Builder")


def test_a_list_of_so_many_rows_comes_while_somebody_writes(as_viewer: Client, held: None) -> None:
    assert as_viewer.get(LIST, {"rows": "100"}).context["size"] == 100
    if connection.vendor == "sqlite":
        assert busy_timeout() == SQLITE_WAIT * 1000
        assert as_viewer.get(LIST).context["size"] != 100  # it was not kept


def test_a_token_is_known_while_somebody_writes(token: tuple[ApiToken, str], held: None) -> None:
    made, text = token
    assert ApiToken.objects.known(text) == made


def test_a_channel_that_is_being_written_is_busy(held: None) -> None:
    with pytest.raises(changes.ChannelBusy), locked(Channel.objects.all(), wait=1):
        pass


@pytest.mark.once
@pytest.mark.parametrize(
    "cause",
    [
        psycopg.errors.DeadlockDetected("deadlock detected"),
        psycopg.errors.IoError("could not read block 7 in file base/1/2"),
        sqlite3.OperationalError("disk I/O error: unlocked"),
    ],
)
def test_words_of_an_error_do_not_make_a_channel_busy(cause: Exception) -> None:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    assert not is_taken(error)


@pytest.mark.once
def test_a_translated_refusal_is_known() -> None:
    error = OperationalError("Anfrage abgebrochen wegen Zeitüberschreitung")
    error.__cause__ = psycopg.errors.LockNotAvailable()
    assert is_taken(error)
