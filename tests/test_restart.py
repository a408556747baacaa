"""A new version is started, and no request breaks and no job is lost: the parts of `make run`, replaced at work."""

import signal
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from contextlib import closing

import pytest
from django.conf import settings

from tests.test_supervisor import PATIENCE, Service, start, until

__all__ = ["start"]  # the fixture
pytestmark = pytest.mark.once
ROWS = 12_000
QUEUE = f"""
import django
django.setup()
from tests.queued import queue_import
queue_import({ROWS}, "email")
"""


def test_web_server_and_worker_are_replaced_while_pages_are_asked_and_an_import_runs(
    start: Callable[..., Service],  # noqa: F811  # pytest gives the fixture by its name
) -> None:
    service = start()
    service.wait()
    environment = service.process.environ()

    def rows(sql: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(f"{environment['DATA_DIR']}/accessaudience.sqlite3", timeout=PATIENCE)) as opened:
            return opened.execute(sql).fetchall()

    answers: list[object] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{service.port}/accounts/login/", timeout=PATIENCE
                ) as page:
                    answers.append(page.status if b"</html>" in page.read() else "half a page")
            except OSError as error:
                answers.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        subprocess.run([sys.executable, "-c", QUEUE], cwd=settings.BASE_DIR, env=environment, check=True)
        until(lambda: rows("SELECT status FROM imports_importjob") != [("waiting",)], "no worker takes it")
        for word in ("worker", "gunicorn"):
            old = service.find(word)
            old.send_signal(signal.SIGTERM)
            old.wait(PATIENCE)
        until(service.whole, "the new parts never became ready")
        asked = len(answers)
        until(lambda: len(answers) > asked + 10, "the new server answers nobody")
        until(lambda: rows("SELECT status FROM imports_importjob") == [("done",)], "the import is lost")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert set(answers) == {200}
    assert rows("SELECT count(*) FROM segments_segment") == [(ROWS,)]
