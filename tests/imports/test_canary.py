"""What a cell holds is in its segment, or among the rows left out, and in the upload: in no log, mail or dump else."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as project
from django.core import mail
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils.log import AdminEmailHandler

from imports.models import ImportJob
from jobs.models import Status
from segments.models import Segment

pytestmark = pytest.mark.django_db(transaction=True)

CANARY = "canary-8b1f0c55d2"
UNMAPPED = "unmapped-71e4a9f03c"
FILE = f"""Segment name,Segment ID,Link,Active status,Owner's phone
Name {CANARY},id-{CANARY},https://www.example.com/{CANARY},true,{UNMAPPED}
Wrong {CANARY},other-{CANARY},not a link {CANARY},perhaps,{UNMAPPED}
"""
BELONGS = {  # who may hold a cell that is mapped: the segment, what was left out, and what a change of it was
    "segments.segment",
    "imports.importrowerror",
}


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Everything logged at DEBUG or printed so far."""
    caplog.set_level(logging.DEBUG)
    said: list[str] = []

    def so_far() -> str:
        said.extend(capfd.readouterr())
        return "".join([caplog.text, *said])

    return so_far


@pytest.fixture
def mails_to_admins(settings: Any) -> Iterator[list[Any]]:
    """What Django mails to ADMINS of errors, with the page of the traceback in it."""
    settings.ADMINS = [("Ops", "ops@example.com")]
    handler = AdminEmailHandler(include_html=True)
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    yield mail.outbox
    logger.removeHandler(handler)


def rows_with(text: str) -> set[str]:
    """The models that have it in a row."""
    out = io.StringIO()
    call_command("dumpdata", stdout=out)
    return {row["model"] for row in json.loads(out.getvalue()) if text in json.dumps(row)}


def test_an_import_leaves_cells_where_they_belong_alone(
    uploaded: Callable[..., ImportJob],
    as_marketer: Client,
    as_viewer: Client,
    work: Callable[[], int],
    heard: Callable[[], str],
) -> None:
    job = uploaded(FILE.encode())
    as_marketer.post(reverse("imports:start", args=[job.pk]))
    work()
    job.refresh_from_db()
    assert (job.status, Segment.objects.get().name) == (Status.DONE, f"Name {CANARY}")
    as_marketer.get(job.get_absolute_url())
    assert rows_with(CANARY) == BELONGS
    assert rows_with(UNMAPPED) == set()
    said = heard()
    assert CANARY not in said
    assert UNMAPPED not in said
    for path in ("/", "/activity/", "/data/imports/", "/people/", job.get_absolute_url()):
        assert UNMAPPED not in as_viewer.get(path).content.decode()
    holding = set()
    for name in default_storage.listdir(f"imports/{job.pk}")[1]:
        with default_storage.open(f"imports/{job.pk}/{name}") as file:
            if UNMAPPED.encode() in file.read():
                holding.add("upload" if job.file.endswith(f"/{name}") else name.rpartition("-")[2])
    assert holding == {"upload", "errors.csv"}


def test_a_request_that_fails_with_a_cell_in_its_hands_tells_nobody(
    upload: Callable[..., Any],
    as_marketer: Client,
    monkeypatch: pytest.MonkeyPatch,
    mails_to_admins: list[Any],
    heard: Callable[[], str],
) -> None:
    def fail(header: Any) -> None:
        cell = f"held {CANARY}"
        raise RuntimeError(f"unexpected, {len(cell)}")

    monkeypatch.setattr("imports.forms.looks_like_people", fail)
    as_marketer.raise_request_exception = False
    answer = upload(FILE.encode())
    assert answer.status_code == 500
    (sent,) = mails_to_admins
    assert "RuntimeError" in sent.body
    told = [
        answer.content.decode(),
        sent.message().as_string(),
        sent.body,
        *(str(part[0]) for part in sent.alternatives),
    ]
    assert CANARY not in "".join(told)
    assert CANARY not in heard()


@pytest.mark.parametrize("as_json", ["true", "false"])
def test_no_log_of_a_worker_at_debug_has_a_cell(
    uploaded: Callable[..., ImportJob], as_marketer: Client, environment: dict[str, str], as_json: str
) -> None:
    job = uploaded(FILE.encode())
    as_marketer.post(reverse("imports:start", args=[job.pk]))
    ran = subprocess.run(
        [sys.executable, "manage.py", "worker", "--once"],
        env=environment | {"LOG_LEVEL": "DEBUG", "LOG_JSON": as_json},
        cwd=project.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    job.refresh_from_db()
    assert job.status == Status.DONE
    assert str(job.pk) in ran.stderr
    assert CANARY not in ran.stdout + ran.stderr
    assert UNMAPPED not in ran.stdout + ran.stderr


def test_a_refused_upload_leaves_nothing(upload: Callable[..., Any], heard: Callable[[], str]) -> None:
    answer = upload(f"Email,Phone,First name\n{CANARY}@example.com,{UNMAPPED},Maya\n".encode())
    assert answer.status_code == 422
    assert UNMAPPED not in answer.content.decode()
    assert rows_with(CANARY) == set()
    assert CANARY not in heard()
    assert list(project.FILE_UPLOAD_TEMP_DIR.iterdir()) == []
