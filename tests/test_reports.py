"""What Sentry is sent of an error: where it was, and nothing of what it was about."""

import gzip
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.conf import settings as project

CANARY = "pk_canary_7d41e6f0a92b4c83b5"
CELL = "Maya Lindqvist, Fernhill"
FAIL = f"""
import logging, os, django
django.setup()
from django.conf import settings
from django.test import Client
from accessaudience import health, logs
from django.urls import path
import accessaudience.urls as urls
def fail(request):
    held, row = "{CANARY}", ["{CELL}"]
    request.POST
    logging.getLogger("jobs").error("the key %s was refused for %s", held, row)
    logging.getLogger("library").error(f"refused {{held}} {{row}}")
    raise RuntimeError(f"no {{held}} for {{row}}") from ValueError(held)
from django.contrib.auth.decorators import login_not_required
urls.urlpatterns.append(path("fail", login_not_required(fail)))
settings.ALLOWED_HOSTS = ["*"]
client = Client(raise_request_exception=False)
client.cookies["sessionid"] = "{CANARY}"
headers = {{"Authorization": "Bearer {CANARY}", "X-Key": "{CANARY}", "User-Agent": "{CELL}"}}
answer = client.post("/fail?q={CANARY}", {{"key": "{CANARY}", "cell": "{CELL}"}}, headers=headers)
print(answer.status_code, answer["X-Request-ID"])
with logs.telling(job="j-1"):
    try:
        raise OSError("{CANARY}")
    except OSError:
        logging.getLogger("jobs.runner").exception("%s failed", "{CELL}")
"""


def unpacked(body: bytes, encoding: str | None) -> bytes:
    """Return what was sent; Brotli is used where some package has brought it along."""
    if encoding == "br":
        import brotli

        return brotli.decompress(body)
    return gzip.decompress(body) if encoding == "gzip" else body


@pytest.fixture
def sentry() -> Iterator[tuple[str, list[str]]]:
    """A DSN that leads here, and the bodies that were sent to it."""
    bodies: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(unpacked(body, self.headers["Content-Encoding"]).decode())
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://public@127.0.0.1:{server.server_port}/1", bodies
        server.shutdown()
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_reports_tell_where_it_failed_and_nothing_of_what_on(
    environment: dict[str, str], sentry: tuple[str, list[str]]
) -> None:
    dsn, bodies = sentry
    done = subprocess.run(
        [sys.executable, "-c", FAIL],
        env=environment | {"SENTRY_DSN": dsn},
        cwd=project.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    status, request = done.stdout.split()
    assert status == "500"
    sent = "\n".join(bodies)
    assert '"RuntimeError"' in sent
    assert '"OSError"' in sent
    assert '"lineno"' in sent
    assert "the key %s was refused for %s" in sent
    assert request in sent
    assert '"job":"j-1"' in sent.replace(" ", "")
    assert [word for word in (CANARY, "Maya", "Fernhill", "X-Key", "sessionid") if word in sent] == []


@pytest.mark.parametrize("dsn", ["", "https://public@sentry.example.com/1"])
def test_sentry_is_loaded_only_where_it_is_asked_for(environment: dict[str, str], dsn: str) -> None:
    code = "import sys, django; django.setup(); print('sentry_sdk' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"SENTRY_DSN": dsn},
        cwd=project.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{bool(dsn)}\n"


def test_reports_name_the_version_of_the_project() -> None:
    about = tomllib.loads((project.BASE_DIR / "pyproject.toml").read_text())
    assert about["project"]["version"] == project.VERSION
