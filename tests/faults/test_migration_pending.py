"""A worker of a newer version meets a database that has not been prepared for it yet."""

import pytest

from tests.faults.conftest import Installation, answers

pytestmark = [pytest.mark.fault, pytest.mark.once]

HEALTH = """
answer = Client(SERVER_NAME="localhost").get("/health/ready")
print(json.dumps([answer.status_code, answer.json()["migrations"]]))
"""


def test_worker_touches_nothing_until_the_database_is_prepared(installation: Installation) -> None:
    installation.queue()
    installation.run("manage.py", "migrate", "--verbosity=0", "segments", "0001")
    before = installation.catalogue()
    assert answers(installation.python(HEALTH)) == [503, False]
    worker = installation.worker()
    installation.until(lambda site: site.rows("SELECT 1 FROM jobs_workerseen"))
    assert (installation.job().status, installation.job().attempt) == ("waiting", 0)
    assert installation.catalogue() == before
    installation.run("manage.py", "migrate", "--verbosity=0")
    installation.until(lambda site: site.job().status == "done")
    assert worker.poll() is None, "the worker has ended"
    installation.assert_imported()
