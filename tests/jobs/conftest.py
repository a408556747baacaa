"""Jobs to test with: imports whose pipeline is made of the test's own functions."""

import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from django.db import connection

from channels.models import Channel
from imports.models import ImportJob
from jobs import lease
from jobs.models import Job, Status

PATIENCE = 60  # seconds after which a test that waits for something gives up; never a measure of speed


class Pipeline(ModuleType):
    """What the jobs of a test do; replace `check` and `run`."""

    def __init__(self) -> None:
        super().__init__("pipeline_of_the_test")
        self.check: Callable[[Job], None] = lambda job: lease.finish(job, Status.READY)
        self.run: Callable[[Job], None] = lambda job: lease.finish(job, Status.DONE)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """What the jobs of this test do."""
    made = Pipeline()
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setattr(ImportJob, "pipeline", made.__name__)
    return made


@pytest.fixture
def queue() -> Callable[..., ImportJob]:
    """Make a job that waits: `queue("email", "sms", goal=…)`, for Email alone unless said otherwise."""

    def make(*slugs: str, **fields: Any) -> ImportJob:
        job = ImportJob.objects.create(
            **{"file_name": "segments.csv", "via": "web" if "user" in fields else "command", **fields}
        )
        job.channels.set([Channel.objects.get(slug=slug) for slug in slugs or ("email",)])
        return job

    return make


@pytest.fixture
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let hearts beat faster than in life, so that tests need not wait a second."""
    monkeypatch.setattr(lease, "BEAT", 0.02)


@pytest.fixture
def together() -> Callable[..., list[Any]]:
    """Call a function in so many threads at once: `together(8, claim)`; return what each returned or raised."""

    def run(times: int, function: Callable[[], Any]) -> list[Any]:
        start = threading.Barrier(times)
        results: list[Any] = []

        def one() -> None:
            start.wait()
            try:
                results.append(function())
            except Exception as error:
                results.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=one) for _ in range(times)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    return run


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    """Wait until a function returns something true, and return that."""

    def wait(condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if result := condition():
                return result
            time.sleep(0.02)
        raise AssertionError(f"waited {PATIENCE} s in vain")

    return wait
