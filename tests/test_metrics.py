"""What /metrics answers: to whom, which figures, and the same from every process."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read

from accessaudience.settings import MIDDLEWARE
from channels.models import Channel
from imports.models import ImportJob
from integrations.models import KlaviyoAccount, SyncJob
from jobs.models import WorkerSeen
from tests.served import PATIENCE, Server

TOKEN = "0123456789abcdefghij"
Figures = dict[tuple[str, ...], float]


@pytest.fixture
def scrape(client: Client, settings: Any) -> Callable[[], Figures]:
    """Ask for the figures: by name, and the values of the labels in the order of their names."""
    settings.METRICS_TOKEN = TOKEN

    def ask() -> Figures:
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        return figures_of(answer.content.decode())

    return ask


def figures_of(text: str) -> Figures:
    """Read what Prometheus reads."""
    samples = (each for family in read(text) for each in family.samples)
    return {(each.name, *dict(sorted(each.labels.items())).values()): each.value for each in samples}


def ended(rows: int, seconds: float, ago: timedelta, **counts: int) -> ImportJob:
    """An import that ended so long ago."""
    at = timezone.now() - ago
    job = ImportJob.objects.create(
        file_name="secret name.csv",
        status="done",
        rows=rows,
        started_at=at - timedelta(seconds=seconds),
        finished_at=at,
    )
    job.targets.create(channel=Channel.objects.get(slug="email"), **counts)
    return job


@pytest.mark.parametrize("said", ["", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer é"])
def test_whoever_does_not_know_the_token_is_told_nothing(client: Client, settings: Any, said: str) -> None:
    settings.METRICS_TOKEN = TOKEN
    answer = client.get("/metrics", headers={"Authorization": said})
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert b"accessaudience" not in answer.content


@pytest.mark.parametrize("said", ["", "Bearer", "Bearer "])
def test_without_a_token_there_is_no_such_page(client: Client, said: str) -> None:
    assert client.get("/metrics", headers={"Authorization": said}).status_code == 404


@pytest.mark.django_db
def test_jobs_are_counted_by_kind_and_status(scrape: Callable[[], Figures]) -> None:
    ImportJob.objects.create(file_name="a.csv", created_at=timezone.now() - timedelta(seconds=300))
    ImportJob.objects.create(file_name="b.csv", created_at=timezone.now() - timedelta(seconds=20))
    ImportJob.objects.create(file_name="c.csv", status="failed")
    found = scrape()
    assert found["accessaudience_jobs", "import", "waiting"] == 2
    assert found["accessaudience_jobs", "import", "failed"] == 1
    assert found["accessaudience_jobs", "undo", "running"] == 0
    assert 300 <= found["accessaudience_oldest_waiting_job_seconds", "import"] < 400
    assert found["accessaudience_oldest_waiting_job_seconds", "sync"] == 0


@pytest.mark.django_db
def test_a_file_whose_columns_were_matched_slowly_has_not_waited_for_a_worker(scrape: Callable[[], Figures]) -> None:
    now = timezone.now()
    ImportJob.objects.create(
        file_name="a.csv", created_at=now - timedelta(days=1), started_at=now - timedelta(seconds=50)
    )
    assert 50 <= scrape()["accessaudience_oldest_waiting_job_seconds", "import"] < 150


@pytest.mark.django_db
def test_rows_of_recent_imports_are_told_with_the_time_they_took(scrape: Callable[[], Figures]) -> None:
    ended(1000, 2, timedelta(minutes=5), created=900, updated=40, unchanged=30, skipped=20, errors=10)
    ended(500, 1, timedelta(minutes=50), created=500)
    ended(7, 1, timedelta(minutes=70), created=7)
    found = scrape()
    assert found["accessaudience_recent_import_rows", "created"] == 1400
    assert found["accessaudience_recent_import_rows", "errors"] == 10
    assert found[("accessaudience_recent_import_seconds",)] == pytest.approx(3, abs=0.01)
    assert found[("accessaudience_recent_import_rows_per_second",)] == pytest.approx(500, rel=0.01)


@pytest.mark.django_db
def test_without_a_recent_import_there_is_no_rate(scrape: Callable[[], Figures]) -> None:
    found = scrape()
    assert found["accessaudience_recent_import_rows", "created"] == 0
    assert ("accessaudience_recent_import_rows_per_second",) not in found


@pytest.mark.django_db
def test_syncs_are_counted_by_how_they_ended(scrape: Callable[[], Figures]) -> None:
    channel = Channel.objects.get(slug="email")
    account = KlaviyoAccount.objects.create(account_id="XyZ123", name="Fernhill")
    now = timezone.now()
    for status, at, goal in (
        ("done", now - timedelta(hours=1), "run"),
        ("done", now - timedelta(hours=30), "run"),
        ("failed", now, "run"),
        ("needs_answer", now, "run"),
        ("done", now, "check"),  # a preview
    ):
        SyncJob.objects.create(
            channel=channel, account=account, status=status, goal=goal, created_at=at, finished_at=at
        )
    found = scrape()
    outcomes = {key[1]: value for key, value in found.items() if key[0] == "accessaudience_recent_syncs"}
    assert outcomes == {"done": 1, "failed": 1, "cancelled": 0, "needs_answer": 1}
    last = found[("accessaudience_last_good_sync_timestamp_seconds",)]
    assert last == pytest.approx((now - timedelta(hours=1)).timestamp(), abs=1)


@pytest.mark.django_db
def test_only_workers_of_the_last_minute_count(scrape: Callable[[], Figures]) -> None:
    now = timezone.now()
    for name, ago in (("a:1", 5), ("a:2", 30), ("a:3", 90)):
        WorkerSeen.objects.create(name=name, started_at=now, seen_at=now - timedelta(seconds=ago))
    assert scrape()[("accessaudience_workers_seen",)] == 2


@pytest.mark.django_db
def test_no_name_is_told(client: Client, settings: Any, marketer: object) -> None:
    settings.METRICS_TOKEN = TOKEN
    account = KlaviyoAccount.objects.create(account_id="XyZ123", name="Fernhill")
    SyncJob.objects.create(channel=Channel.objects.get(slug="email"), account=account, message="Fernhill is away")
    ended(1, 1, timedelta(0), created=1)
    WorkerSeen.objects.create(name="host-of-ours:1", started_at=timezone.now(), seen_at=timezone.now())
    text = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).content.decode()
    told = [
        word for word in ("Fernhill", "XyZ123", "secret name", "host-of-ours", "Email", "example.com") if word in text
    ]
    assert told == []


@pytest.mark.django_db
def test_it_takes_as_many_queries_for_much_as_for_little(scrape: Callable[[], Figures]) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            scrape()
        return len(seen)

    ended(1, 1, timedelta(0), created=1)
    few = queries()
    for _ in range(30):
        ended(1, 1, timedelta(0), created=1)
    assert queries() == few <= 10


@pytest.mark.django_db
def test_old_imports_are_not_read_to_tell_of_the_last_hour() -> None:
    for _ in range(30):
        ended(1, 1, timedelta(days=3), created=1)
    recent = ImportJob.objects.order_by().filter(status="done", goal="run", finished_at__gte=timezone.now())
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # which reads a table as small as this whole
            cursor.execute("ANALYZE imports_importjob")
            cursor.execute("SET LOCAL enable_seqscan = off")
    assert "imports_ended" in recent.explain()


def test_of_a_database_that_is_away_that_is_told(
    scrape: Callable[[], Figures], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(connection, "cursor", refuse)
    found = scrape()
    assert found[("accessaudience_database_up",)] == 0
    assert not [key for key in found if key[0] == "accessaudience_jobs"]


@pytest.mark.django_db
def test_who_asks_for_openmetrics_gets_it(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}", "Accept": accept})
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert "accessaudience_jobs" in {family.name for family in read_openmetrics(answer.content.decode())}


@pytest.mark.django_db
def test_requests_are_timed_by_view_and_status(scrape: Callable[[], Figures], settings: Any) -> None:
    settings.MIDDLEWARE = MIDDLEWARE  # built anew, with a token
    client = Client()
    for path in ("/health/live", "/health/live", "/health/ready", "/channels/email/segments/", "/nowhere"):
        client.get(path)
    client.generic("BREW", "/health/live")
    found = scrape()

    def requests(*labels: str) -> float:
        return found["accessaudience_request_seconds_count", *labels]

    assert requests("GET", "200", "health_live") == 2
    assert requests("other", "405", "health_live") == 1
    assert requests("GET", "503", "health_ready") == 1
    assert requests("GET", "302", "segments:list") == 1
    assert requests("GET", "404", "none") >= 1
    assert found["accessaudience_request_seconds_bucket", "+Inf", "GET", "200", "health_live"] == 2


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path) -> Iterator[Server]:
    """A server that knows the token."""
    started = Server(tmp_path, environment | {"METRICS_TOKEN": TOKEN})
    yield started
    started.kill()


@pytest.mark.django_db(transaction=True)
def test_every_process_tells_what_all_have_counted_and_those_before_them(server: Server, tmp_path: Path) -> None:
    def counted() -> float:
        _, text, _ = server.get("/metrics", Authorization=f"Bearer {TOKEN}")
        return figures_of(text)["accessaudience_request_seconds_count", "GET", "200", "health_live"]

    server.get("/health/live")
    (folder,) = tmp_path.glob("accessaudience-metrics-*")
    asked, give_up = 1, time.monotonic() + PATIENCE
    while len(list(folder.iterdir())) < 2:  # a process that has answered has a file
        assert time.monotonic() < give_up
        server.get("/health/live")
        asked += 1
    assert [counted() for _ in range(6)] == [asked] * 6
    server.process.children()[0].terminate()  # another takes its place
    assert [counted() for _ in range(6)] == [asked] * 6
    server.process.send_signal(signal.SIGHUP)  # and now of both
    assert [counted() for _ in range(6)] == [asked] * 6
    assert server.stop() == 0
    assert not folder.exists()


@pytest.mark.django_db
def test_the_documentation_names_every_metric_and_no_other(
    scrape: Callable[[], Figures], client: Client, settings: Any
) -> None:
    settings.MIDDLEWARE = MIDDLEWARE
    WorkerSeen.objects.create(name="a:1", started_at=timezone.now(), seen_at=timezone.now())
    account = KlaviyoAccount.objects.create(account_id="XyZ123", name="Fernhill")
    channel = Channel.objects.get(slug="email")
    SyncJob.objects.create(channel=channel, account=account, status="done", finished_at=timezone.now())
    ended(1, 1, timedelta(0), created=1)
    scrape()
    text = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).content.decode()
    documented = re.findall(r"^\| `(accessaudience_\w+)", (project.BASE_DIR / "docs/operations.md").read_text(), re.M)
    assert sorted(documented) == sorted({family.name for family in read(text)})
