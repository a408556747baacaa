"""What a line of the log says: one line, of one request or job."""

import json
import logging
import logging.config
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from accessaudience import logs
from imports.models import ImportJob
from jobs.models import Origin, Status
from tests.served import Server

FORGED = "2026-01-01T00:00:00Z [info     ] all is well"
ODD = [f"a\n{FORGED}", f"a\r{FORGED}", f"a\u2028{FORGED}", f"a\x85{FORGED}", "a\x1b[2Jb", "a\u202eb"]


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """Log by the configuration of the application, for people or as JSON; return what was written."""
    loggers = [logging.getLogger(), *map(logging.getLogger, ("django", "gunicorn.error", "gunicorn.access"))]
    before = [(each, each.handlers[:], each.level, each.propagate, each.filters[:]) for each in loggers]

    def write(log: Callable[[logging.Logger], None], *, as_json: bool) -> str:
        logging.config.dictConfig(logs.configuration("INFO", as_json=as_json))
        log(logging.getLogger("test"))
        return capsys.readouterr().err

    yield write
    for each, each.handlers, each.level, each.propagate, each.filters in before:
        each.manager._clear_cache()  # type: ignore[attr-defined]  # of which level is enabled


@pytest.mark.parametrize("odd", ODD)
def test_no_text_makes_a_line_of_its_own(written: Callable[..., str], odd: str) -> None:
    for as_json in (False, True):
        said = written(lambda log: log.warning("read %s", odd), as_json=as_json)
        assert len(said.splitlines()) == 1
        assert said.rstrip("\n").isprintable()


@pytest.mark.parametrize("odd", ODD)
def test_no_message_of_an_exception_looks_like_a_line(written: Callable[..., str], odd: str) -> None:
    def fail(log: logging.Logger) -> None:
        try:
            raise ValueError(odd)
        except ValueError:
            log.exception("failed")

    first, *rest = written(fail, as_json=False).splitlines()
    assert "failed" in first
    assert rest[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") and line.isprintable() for line in rest)
    (line,) = written(fail, as_json=True).splitlines()
    assert json.loads(line)["exception"][0]["exc_value"] == odd


@pytest.mark.parametrize("as_json", [False, True])
def test_a_row_that_a_database_quotes_is_not_logged(written: Callable[..., str], as_json: bool) -> None:
    detail = "it violates a constraint\nDETAIL:  Failing row contains (canary,\nmore of it)."
    context = "it violates\nCONTEXT:  COPY aa_stage, line 1: canary"

    def log_it(log: logging.Logger) -> None:
        try:
            try:
                raise ValueError(detail)
            except ValueError as cause:
                raise RuntimeError(context) from cause
        except RuntimeError:
            log.exception("failed")

    said = written(log_it, as_json=as_json)
    assert "violates a constraint" in said
    assert "RuntimeError" in said
    assert "canary" not in said
    assert "more of it" not in said


def test_lines_say_what_they_are_about_and_only_while_it_lasts(written: Callable[..., str]) -> None:
    def log_three(log: logging.Logger) -> None:
        with logs.telling(request="r-1"):
            log.info("one")
            with logs.telling(job="j-1", request=""):
                log.info("two")
        log.info("three")

    said = [json.loads(line) for line in written(log_three, as_json=True).splitlines()]
    assert [(line["event"], line.get("request"), line.get("job")) for line in said] == [
        ("one", "r-1", None),
        ("two", "r-1", "j-1"),
        ("three", None, None),
    ]


def test_every_answer_names_its_request(client: Client) -> None:
    names = [client.get(path)["X-Request-ID"] for path in ("/health/live", "/nowhere", "/static/nothing.css")]
    assert len(set(names)) == 3
    assert all(len(name) == 32 for name in names)


@pytest.mark.parametrize(
    ("trusted", "said", "taken"),
    [
        ("X-Request-ID", "Root=1-67891233-abcdef0123456789", True),
        ("X-Amzn-Trace-Id", "abc", False),
        ("", "abc", False),
        ("X-Request-ID", "two\nlines", False),
        ("X-Request-ID", "ümlaut", False),
        ("X-Request-ID", "a" * 129, False),
        ("X-Request-ID", "", False),
    ],
)
def test_a_name_is_taken_from_the_header_that_the_settings_trust(
    client: Client, settings: Any, trusted: str, said: str, taken: bool
) -> None:
    settings.REQUEST_ID_HEADER = trusted
    answer = client.get("/health/live", headers={"X-Request-ID": said})
    assert (answer["X-Request-ID"] == said) is taken
    assert answer["X-Request-ID"].isprintable()


@pytest.mark.django_db(transaction=True)
def test_what_a_worker_logs_of_a_job_names_the_request_that_started_it(
    as_marketer: Client, environment: dict[str, str], settings: Any
) -> None:
    settings.IMPORT_CHECK_IN_REQUEST_BYTES = 0
    file = SimpleUploadedFile("segments.csv", b"Segment name\nVIP\n")
    uploaded = as_marketer.post("/data/upload/", {"object_type": "segments", "channel": "email", "file": file})
    job = ImportJob.objects.get()
    assert Origin.of(job) == uploaded["X-Request-ID"]
    ImportJob.objects.filter(pk=job.pk).update(status="waiting", file="imports/gone")
    done = subprocess.run(
        [sys.executable, "manage.py", "worker", "--once"],
        env=environment | {"LOG_JSON": "true"},
        cwd=project.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    said = [json.loads(line) for line in done.stderr.splitlines()]
    of_job = [line for line in said if str(job.pk) in line["event"]]
    assert of_job
    assert {(line["job"], line["request"]) for line in of_job} == {(str(job.pk), uploaded["X-Request-ID"])}
    assert all("request" not in line for line in said if "is here" in line["event"])


@pytest.mark.django_db
def test_a_job_is_of_the_request_that_last_put_it_into_the_queue() -> None:
    with logs.telling(request="made-it"):
        job = ImportJob.objects.create(file_name="a.csv", status="uploaded")
    assert Origin.of(job) == "made-it"
    with logs.telling(request="started-it"):
        assert job.transition(Status.WAITING, of=(Status.UPLOADED,))
    assert Origin.of(job) == "started-it"
    assert job.transition(Status.WAITING, of=(Status.WAITING,))
    assert Origin.of(job) == "started-it"
    assert Origin.of(ImportJob.objects.create(file_name="b.csv")) == ""


@pytest.mark.django_db
def test_origins_are_kept_for_a_month() -> None:
    with logs.telling(request="r-1"):
        old, new = (ImportJob.objects.create(file_name="a.csv") for _ in range(2))
    Origin.objects.filter(pk=old.pk).update(noted_at=timezone.now() - timedelta(days=31))
    Origin.forget_old()
    assert list(Origin.objects.values_list("job", flat=True)) == [new.pk]


@pytest.mark.django_db(transaction=True)
def test_the_servers_line_of_a_request_is_one_line_and_names_it(environment: dict[str, str], tmp_path: Path) -> None:
    for as_json in ("true", "false"):
        server = Server(tmp_path, environment | {"LOG_JSON": as_json})
        try:
            status, _, headers = server.get("/nowhere%0A2026-01-01T00:00:00Z%20[info]%20forged")
            server.stop()
        finally:
            server.kill()
        assert status == 404
        (line,) = [line for line in server.log.read_text().splitlines() if "nowhere" in line]
        assert "forged" in line
        assert headers["X-Request-ID"] in (json.loads(line)["request"] if as_json == "true" else line)
