"""The database is gone in the middle of a job, as if its machine had lost power, and comes back."""

import os
import signal

import pytest

from tests.faults.conftest import POSTGRESQL, Cluster, Installation

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(not POSTGRESQL, reason="SQLite is a part of the process, not a server that stops"),
]
FULL = bool(os.environ.get("AA_FAULTS"))
POINTS = ["stage:batch@2", "apply:planned", "apply:written", "job:finished"] if FULL else ["apply:written"]


@pytest.mark.parametrize("point", POINTS)
def test_database_stopped_in_the_middle_leaves_nothing_and_the_job_is_done_when_it_is_back(
    installation: Installation, cluster: Cluster, point: str
) -> None:
    job = installation.queue()
    before = installation.catalogue()
    worker = installation.pause_at(point)
    cluster.stop("immediate")
    worker.send_signal(signal.SIGCONT)
    cluster.start()
    assert installation.catalogue() == before
    installation.reap()  # what the worker does by itself once 30 s have passed without a heartbeat
    installation.until(lambda site: site.job().status == "done")
    assert worker.poll() is None, "the worker has ended with the database"
    installation.assert_imported()
    assert "12,000" in installation.ask(f"/data/imports/{job}/")


@pytest.mark.skipif(not FULL, reason="takes a minute: in make faults")
def test_worker_waits_for_a_database_that_is_away_and_needs_nobody_to_go_on(
    installation: Installation, cluster: Cluster
) -> None:
    installation.queue()
    before = installation.catalogue()
    worker = installation.pause_at("apply:written")
    cluster.stop("immediate")
    worker.send_signal(signal.SIGCONT)
    with pytest.raises(Exception, match="timeout|timed out"):
        worker.wait(10)  # it is still there
    cluster.start()
    assert installation.catalogue() == before
    installation.until(lambda site: site.job().status == "done")
    installation.assert_imported()
