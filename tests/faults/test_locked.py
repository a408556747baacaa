"""Another process holds what an import needs to write: all of SQLite, or on PostgreSQL the channel."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from tests.faults.conftest import ASK, POSTGRESQL, Installation, answers

pytestmark = pytest.mark.fault
HELD = 30 if os.environ.get("AA_FAULTS") else 6  # seconds

ADD = """
client = Client(SERVER_NAME="localhost")
client.cookies["sessionid"] = session
answer = client.post("/channels/email/segments/add/", {
    "name": "Meanwhile", "active": "on", "form_token": "0d0e7c9e-9c9f-4f0e-8f6e-0c4b9a2f7a11",
})
says_so = "try again in a moment" in answer.content.decode()
print(json.dumps([answer.status_code, says_so, client.get("/channels/email/segments/").status_code]))
"""


@contextmanager
def locked(installation: Installation) -> Iterator[None]:
    """Hold it, as a backup of the old kind or somebody in a database shell would."""
    if POSTGRESQL:
        with psycopg.connect(installation.url) as holding:
            holding.execute("SELECT 1 FROM channels_channel WHERE slug = 'email' FOR UPDATE")
            yield
        return
    with closing(sqlite3.connect(installation.url.removeprefix("sqlite:///"), isolation_level=None)) as holding:
        holding.execute("BEGIN IMMEDIATE")
        yield
        holding.execute("ROLLBACK")


def test_import_waits_for_who_holds_the_lock_and_is_done_afterwards(installation: Installation) -> None:
    installation.queue()
    before = installation.catalogue()
    with locked(installation):
        worker = installation.worker()
        time.sleep(HELD)
        assert installation.catalogue() == before
    installation.until(lambda site: site.job().status == "done")
    assert worker.poll() is None
    installation.assert_imported()


def test_person_is_told_to_try_again_and_pages_are_shown_meanwhile(installation: Installation) -> None:
    session = installation.python(f"{ASK}print(client.cookies['sessionid'].value)")
    before = installation.catalogue()
    with locked(installation):
        status, says_so, page = answers(installation.python(f"session = {session!r}\n{ADD}"))
    assert (status, says_so, page) == (422, True, 200)
    assert installation.catalogue() == before
