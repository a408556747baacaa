"""Messages to the workers of Celery: sent once the row is committed, and by nobody missed who clicks."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.core.management import CommandError, call_command
from django.db import transaction

from channels.models import Channel
from imports.models import ImportJob
from jobs import messages
from jobs.lease import claim, finish, startable
from jobs.models import Status
from tests.topology.stack import free_port

pytestmark = pytest.mark.django_db(transaction=True)
Queue = Callable[..., ImportJob]


@pytest.fixture
def sent(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What workers are told."""
    told: list[tuple[str, Any]] = []
    settings.TASKS_BACKEND = "celery"
    monkeypatch.setattr(messages, "send", lambda kind, pk: told.append((kind, pk)))
    return told


def test_job_that_waits_is_told_of_once_it_is_committed(queue: Queue, sent: list[tuple[str, Any]]) -> None:
    with transaction.atomic():
        job = queue()
        assert sent == []
    assert sent == [("imports.importjob", job.pk)]


def test_job_that_is_rolled_back_is_not_told_of(queue: Queue, sent: list[tuple[str, Any]]) -> None:
    with transaction.atomic():
        queue()
        transaction.set_rollback(True)
    assert sent == []


def test_job_put_into_the_queue_is_told_of_and_no_other(queue: Queue, sent: list[tuple[str, Any]]) -> None:
    job = queue(status=Status.UPLOADED)
    assert sent == []
    assert job.transition(Status.WAITING, of=(Status.UPLOADED,))
    assert sent == [("imports.importjob", job.pk)]
    assert not job.transition(Status.WAITING, of=(Status.UPLOADED,))  # somebody was first
    assert job.transition(Status.WAITING, of=(Status.WAITING,), told=False)  # to be done here
    assert job.transition(Status.CANCELLED, of=(Status.WAITING,))
    assert len(sent) == 1


def test_where_workers_look_by_themselves_nothing_is_sent(
    queue: Queue, sent: list[tuple[str, Any]], settings: Any
) -> None:
    settings.TASKS_BACKEND = "database"
    queue()
    assert sent == []


def test_redis_that_is_away_is_no_matter_to_who_clicks(
    queue: Queue, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from jobs.celery import app

    settings.TASKS_BACKEND = "celery"
    monkeypatch.setattr(app.conf, "broker_url", f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setattr(messages, "_spared_until", 0.0)
    job, second = queue(), queue()
    assert set(ImportJob.objects.values_list("status", flat=True)) == {Status.WAITING}
    assert f"no worker could be told of imports.importjob {job.pk}" in caplog.text
    assert str(second.pk) not in caplog.text  # nobody is made to wait again at once


def test_celery_is_not_loaded_where_it_is_not_used(tmp_path: Path) -> None:
    code = "import django, sys; django.setup(); import accessaudience.urls, jobs.worker; print('celery' in sys.modules)"
    environment = {"DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "accessaudience.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.BASE_DIR, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_worker_of_the_database_says_what_to_start_instead(settings: Any) -> None:
    settings.TASKS_BACKEND = "celery"
    with pytest.raises(CommandError, match=r"celery -A jobs\.celery worker.*celery -A jobs\.celery beat"):
        call_command("worker")


def test_job_is_claimed_by_its_message_only_when_it_is_its_turn(queue: Queue, pipeline: Any) -> None:
    first, second, elsewhere = queue("email"), queue("email", "sms"), queue("meta")
    assert [job for job, _ in startable()] == [first, elsewhere]
    assert claim("w", only=second) is None
    assert claim("w", only=elsewhere) == elsewhere
    held = claim("w", only=first)
    assert held == first
    assert claim("w", only=first) is None
    assert list(startable()) == []
    finish(held, Status.DONE)
    assert [(job, lanes) for job, lanes in startable()] == [(second, second.lanes())]
    assert claim("w", only=second) == second


def test_claim_by_message_of_a_job_that_is_over_finds_nothing(queue: Queue, pipeline: Any) -> None:
    job = queue()
    assert Channel.objects.filter(slug="email").exists()
    held = claim("w", only=job)
    assert held
    finish(held, Status.DONE)
    assert claim("w", only=job) is None
