"""Uploads to test with, and how many examples hypothesis tries.

100 at a desk, 500 in CI (HYPOTHESIS_PROFILE or CI in the environment).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from hypothesis import settings

from imports.models import ImportJob
from jobs import lease
from jobs.runner import perform

settings.register_profile("desk", max_examples=100, deadline=None)
settings.register_profile("ci", max_examples=500, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "desk"))

SAMPLES = Path(__file__).parent.parent / "data" / "csv-samples"


@pytest.fixture
def upload(as_marketer: Client) -> Callable[..., Any]:
    """Upload bytes, or a sample by its name, as a Marketer does; return the answer: `upload(b"…", channel=["sms"])`."""

    def send(content: bytes | str, **data: Any) -> Any:
        name = data.pop("name", content if isinstance(content, str) else "segments.csv")
        content = (SAMPLES / content).read_bytes() if isinstance(content, str) else content
        file = SimpleUploadedFile(name, content, content_type="text/csv")
        return as_marketer.post(
            reverse("imports:upload"), {"object_type": "segments", "channel": "email", "file": file, **data}
        )

    return send


@pytest.fixture
def uploaded(upload: Callable[..., Any], transactional_db: None) -> Callable[..., ImportJob]:
    """Upload a file that is good for it, and return its import, checked: under a lease, whose thread must see it."""

    def send(content: bytes | str, **data: Any) -> ImportJob:
        answer = upload(content, **data)
        assert answer.status_code == 302, answer.content.decode()
        return ImportJob.objects.get(pk=answer["Location"].split("/")[-3])

    return send


@pytest.fixture
def work() -> Callable[[], int]:
    """Do what waits, as a worker would; return how many jobs that were."""

    def drain() -> int:
        done = 0
        while job := lease.claim("worker of the test"):
            perform(job)
            done += 1
        return done

    return drain
