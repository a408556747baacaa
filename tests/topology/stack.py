"""The scale stack as plain processes on loopback: web servers, Celery workers, beat, and a Redis that can be killed.

Each process writes into a log of its own, and is ended with its children when the stack is left.
"""

import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import psutil
from celery import Celery
from django.conf import settings
from redis import Redis, RedisError

from imports.models import ImportJob
from jobs.messages import PERFORM
from jobs.models import Job, Status

PATIENCE = 150.0  # seconds after which something hangs; never a measure of speed
CSRF = "c" * 32
POOL = 8  # connections of a web server
BOUNDARY = "the-boundary-of-this-test"
QUEUE = "accessaudience"
T = TypeVar("T")


def until(what: Callable[[], T], told: Callable[[], object] = lambda: "waited in vain") -> T:
    """Wait until `what` returns something true, and return that."""
    give_up = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < give_up, told()
        time.sleep(0.05)
    return found


def free_port() -> int:
    """Return a port of loopback that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Process:
    """A process of the stack."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str], *command: str) -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("a") as log:
            self.process = psutil.Popen(command, cwd=settings.BASE_DIR, env=environment, stdout=log, stderr=log)

    def said(self, text: str) -> bool:
        """Whether its log has `text`."""
        return text in self.log.read_text("utf-8")

    def kill(self) -> None:
        """End it and its children as a power cut would."""
        if self.process.poll() is None:
            family = [self.process, *self.process.children(recursive=True)]
            for process in family:
                process.suspend()  # so that none sees another's end
            for process in reversed(family):  # children first: an orphan that is suspended would be woken
                process.kill()
            self.process.wait(PATIENCE)

    def stop(self) -> int:
        """End it gently; return its status."""
        self.process.terminate()
        return int(self.process.wait(PATIENCE))


class RedisServer:
    """A Redis that keeps nothing: killed and started again it is empty."""

    def __init__(self, program: str, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = (program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = Process("redis", self._folder, {}, *self._command, "--dir", str(self._folder))
        until(self._answers, lambda: self._process.log.read_text())

    def kill(self) -> None:
        """Kill it with all that it knows."""
        self._process.kill()

    def _answers(self) -> bool:
        try:
            with Redis.from_url(self.url) as redis:
                return bool(redis.ping())
        except RedisError:
            return False

    def unread(self) -> int:
        """How many messages of jobs no worker has taken."""
        with Redis.from_url(self.url) as redis:
            return int(redis.llen(QUEUE))

    def send(self, job: Job, times: int = 1) -> None:
        """Send the message about `job`."""
        with Celery(broker=self.url) as app:
            for _ in range(times):
                app.send_task(PERFORM, (job._meta.label_lower, str(job.pk)), queue=QUEUE)


class Web:
    """A web server, used by somebody who has signed in."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str], session: str) -> None:
        self.name, self.port = name, free_port()
        self.process = Process(
            name,
            folder,
            environment | {"WEB_CONCURRENCY": "1", "DATABASE_POOL": str(POOL), "PGAPPNAME": name},
            *(sys.executable, "-m", "gunicorn", "--no-control-socket", f"--bind=127.0.0.1:{self.port}"),
            "accessaudience.wsgi",
        )
        self._cookies = f"{settings.SESSION_COOKIE_NAME}={session}; csrftoken={CSRF}"

    def ask(self, path: str, data: bytes | None = None, content_type: str = "") -> tuple[int, str]:
        """Return status and body of its answer, that of where it leads to."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data)
        request.add_header("Cookie", self._cookies)
        request.add_header("X-CSRFToken", CSRF)
        if content_type:
            request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def answers(self, path: str = "/health/live") -> bool:
        """Whether it serves."""
        try:
            return self.ask(path)[0] == 200
        except OSError:
            return False

    def is_ready(self) -> bool:
        """Whether it serves, and has seen a worker."""
        return self.answers("/health/ready")

    def upload(self, name: str, rows: int, *channels: str) -> ImportJob:
        """Upload a file of so many segments called `name`; return its import, checked."""
        content = "Segment name,Segment ID\n" + "".join(f"{name} {n},{name}-{n}\n" for n in range(1, rows + 1))
        status, page = self.ask("/data/upload/")
        token = re.search(r'name="token" value="([^"]*)"', page)
        assert status == 200
        assert token
        fields = [("token", token[1]), ("object_type", "segments"), *(("channel", slug) for slug in channels)]
        body = "".join(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
            for field, value in fields
        )
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}.csv"\r\n\r\n'
        body += f"{content}\r\n--{BOUNDARY}--\r\n"
        status, _ = self.ask("/data/upload/", body.encode(), f"multipart/form-data; boundary={BOUNDARY}")
        assert status == 200
        job = ImportJob.objects.get(pk=token[1])
        assert job.status == Status.READY  # such a small file is checked by the server itself
        return job

    def start(self, job: ImportJob) -> int:
        """Click "Import"; return the status of the page that comes."""
        return self.ask(f"/data/imports/{job.pk}/start/", urlencode({"csrfmiddlewaretoken": CSRF}).encode())[0]


class Stack:
    """All of it. What is started is ended by end()."""

    def __init__(self, redis_server: str, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.redis = RedisServer(redis_server, folder)
        self.environment = environment | {
            "TASKS_BACKEND": "celery",
            "REDIS_URL": self.redis.url,
            "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS),
        }
        self.processes: list[Process] = []

    def web(self, session: str) -> Web:
        """Start a web server."""
        made = Web(f"web-{len(self.processes)}", self.folder, self.environment, session)
        self.processes.append(made.process)
        return made

    def celery(self, what: str, *options: str, **variables: str) -> Process:
        """Start a `worker` or a `beat`."""
        command = (sys.executable, "-m", "celery", "--quiet", "--app", "jobs.celery", what, *options)
        name = f"{what}-{len(self.processes)}"
        made = Process(name, self.folder, self.environment | variables, *command)
        self.processes.append(made)
        return made

    def logs(self) -> str:
        """Return what all of them have written."""
        return "\n".join(f"== {each.log.name}\n{each.log.read_text()}" for each in self.processes)

    def end(self) -> None:
        """Kill what still runs."""
        for each in self.processes:
            each.kill()
        self.redis.kill()


def redis_server() -> str | None:
    """Return the program, if it is installed and starts."""
    path = shutil.which("redis-server")
    if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
        return path
    return None
