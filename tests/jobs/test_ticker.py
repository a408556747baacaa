"""What is done every so often goes on whatever the database does meanwhile, and says what deserves saying."""

import logging
import threading

import pytest
from django.db import OperationalError, connection

from jobs.ticker import Ticker


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("fault", "level"),
    [
        ("database is locked", logging.DEBUG if connection.vendor == "sqlite" else logging.WARNING),
        ("disk I/O error", logging.WARNING),
    ],
)
def test_lock_of_sqlite_is_expected_and_any_other_fault_is_a_warning(
    caplog: pytest.LogCaptureFixture, fault: str, level: int
) -> None:
    twice = threading.Semaphore(0)

    def tick() -> None:
        twice.release()
        raise OperationalError(fault)

    with caplog.at_level(logging.DEBUG, "jobs.ticker"), Ticker(tick, 0.01, name="heart"):
        assert twice.acquire(timeout=60)
        assert twice.acquire(timeout=60), "it has stopped after the first fault"
    assert {(record.levelno, fault in record.getMessage()) for record in caplog.records} == {(level, True)}
