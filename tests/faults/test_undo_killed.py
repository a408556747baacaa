"""The worker that undoes an import is killed, or paused past its lease: nothing is undone, or all of it."""

import signal

import pytest

from tests.faults.conftest import PATIENCE, POSTGRESQL, ROWS, Installation
from tests.thinned import thinned

pytestmark = pytest.mark.fault
BEFORE_COMMIT = ("undo:planned", "undo:written", "job:finished", "undo:before_commit")
AFTER_COMMIT = ("undo:committed", "job:done")
UNDO = "undoing.begin(ChangeSet.objects.get(kind='import'), changes.By(via=ChangeSet.Via.COMMAND))"
JOBS = "segments_undojob"


@pytest.fixture
def imported(installation: Installation) -> Installation:
    """An installation with an import that somebody wants undone."""
    installation.queue()
    assert installation.work_once() == 0
    installation.assert_imported()
    installation.python(UNDO)
    return installation


def assert_undone(installation: Installation) -> None:
    """Assert that the import is undone, once."""
    assert installation.job(JOBS).status == "done"
    installation.assert_sound()
    names = installation.rows("SELECT name FROM segments_segment ORDER BY id")
    assert names == [("Old name 1",), ("Old name 2",)]
    assert installation.rows("SELECT count(*) FROM segments_changeset WHERE kind = 'undo'") == [(1,)]
    done = installation.rows("SELECT deleted, updated, kept FROM segments_changesetchannel ORDER BY id DESC LIMIT 1")
    assert done == [(ROWS - 2, 2, 0)]


@pytest.mark.parametrize("point", thinned(BEFORE_COMMIT, "undo:before_commit"))
def test_undo_killed_before_the_commit_leaves_all_as_it_was_and_another_finishes(
    imported: Installation, point: str
) -> None:
    before = imported.catalogue()
    assert imported.work_once(AA_KILL_AT=point) == -signal.SIGKILL
    assert imported.catalogue() == before
    imported.reap()
    assert imported.work_once() == 0
    assert_undone(imported)


@pytest.mark.parametrize("point", thinned(AFTER_COMMIT, "undo:committed"))
def test_undo_killed_after_the_commit_is_done_and_not_done_again(imported: Installation, point: str) -> None:
    assert imported.work_once(AA_KILL_AT=point) == -signal.SIGKILL
    assert_undone(imported)
    imported.reap()
    assert imported.work_once() == 0
    assert_undone(imported)


def test_undo_paused_past_its_lease_writes_nothing_when_it_wakes(imported: Installation) -> None:
    before = imported.catalogue()
    paused = imported.pause_at("undo:planned", "--once")
    if POSTGRESQL:  # SQLite lets nobody write meanwhile, also not that the lease is over
        imported.reap()
        assert imported.job(JOBS).status == "waiting"
    other = imported.worker("--once")
    assert imported.catalogue() == before
    paused.send_signal(signal.SIGCONT)
    assert (paused.wait(PATIENCE), other.wait(PATIENCE)) == (0, 0)
    assert_undone(imported)
