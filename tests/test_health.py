"""What /health/live and /health/ready answer."""

from collections.abc import Callable

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone

from jobs.models import WorkerSeen

ALL_WELL = {"status": "ok", "database": True, "migrations": True, "worker": True}


@pytest.fixture
def worker_seen(db: None) -> None:
    """A worker that has just said that it lives."""
    WorkerSeen.objects.create(name="here:1", started_at=timezone.now(), seen_at=timezone.now())


def test_a_process_that_answers_is_live_and_needs_no_database(client: Client) -> None:
    answer = client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.usefixtures("worker_seen")
def test_all_well_is_ready(client: Client) -> None:
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, ALL_WELL)
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_without_a_worker_it_is_not_ready(client: Client) -> None:
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {**ALL_WELL, "status": "not ready", "worker": False})


@pytest.mark.usefixtures("worker_seen")
def test_a_pending_migration_is_not_ready(client: Client) -> None:
    MigrationRecorder.Migration.objects.filter(app="jobs").delete()
    answer = client.get("/health/ready")
    expected = {"status": "not ready", "database": True, "migrations": False, "worker": None}
    assert (answer.status_code, answer.json()) == (503, expected)


@pytest.mark.django_db
def test_a_database_that_does_not_answer_is_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> Callable[..., None]:
        raise OperationalError("connection refused")

    monkeypatch.setattr(connection, "cursor", refuse)
    answer = client.get("/health/ready")
    expected = {"status": "not ready", "database": False, "migrations": None, "worker": None}
    assert (answer.status_code, answer.json()) == (503, expected)
