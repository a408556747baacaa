"""Installations to break: each has a data folder and a database of its own, and is used through processes.

SQLite has its file; PostgreSQL a server of its own under the temporary folder, which tests may stop. What cannot be
tried here (no right to mount, no PostgreSQL programs) is skipped with the reason: `make faults` prints it.
"""

import json
import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from django.conf import settings
from django.db import connection

ROWS = 12_000  # three batches of stage
PATIENCE = 300  # seconds after which something never comes; no measure of speed
POSTGRESQL = connection.vendor == "postgresql"

PRELUDE = """
import json
import django
django.setup()
from django.test import Client
from channels.models import Channel
from imports.models import ImportJob
from jobs.lease import Reaper
from jobs.models import Lane, Status
from people.models import Person
from segments import changes
from segments.undo import undoing
from segments.models import ChangeSet, Segment, UndoJob
from segments.values import SegmentValues
from tests.queued import queue_import
"""
ASK = """
person = Person.objects.filter(is_superuser=True).first() or Person.objects.create_superuser("a@example.com", "x")
client = Client(raise_request_exception=False, SERVER_NAME="localhost")
client.force_login(person)
"""


class Job(NamedTuple):
    """How a job stands."""

    status: str
    attempt: int
    code: str
    message: str


class Cluster:
    """A PostgreSQL server of the test's own, on a port of 127.0.0.1."""

    def __init__(self, folder: Path, *options: str) -> None:
        found = shutil.which("pg_ctl") or next(iter(sorted(glob("/usr/lib/postgresql/*/bin/pg_ctl"))), None)
        if not found:
            pytest.skip("PostgreSQL's programs (initdb, pg_ctl) are not installed")
        self.programs = Path(found).resolve().parent
        self.data = folder / "data"
        self.user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        if self.user:
            try:
                entry = pwd.getpwnam(self.user)
            except KeyError:
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "--pgdata", str(self.data), "--username=postgres", "--auth=trust", "--wal-segsize=1")
        self.options = f"-p {self.port} -k {folder} -c listen_addresses=127.0.0.1 {' '.join(options)}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._run("pg_ctl", "--pgdata", str(self.data), "--wait", "-o", self.options, "-l", "/dev/null", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is a crash."""
        self._run("pg_ctl", "--pgdata", str(self.data), "--wait", "--mode", mode, "stop", check=False)

    def is_running(self) -> bool:
        """Whether it has not crashed."""
        return self._run("pg_ctl", "--pgdata", str(self.data), "status", check=False) == 0

    def url(self, name: str) -> str:
        """The address of a database."""
        return f"postgres://postgres@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(
            command, user=self.user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.returncode


class Installation:
    """A data folder and a database, used through processes that can be killed."""

    def __init__(self, data: Path, url: str) -> None:
        self.data = data
        self.url = url
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "DATA_DIR": str(data),
            "DATABASE_URL": url,
            "SECRET_KEY": settings.SECRET_KEY,
            "LOG_LEVEL": "WARNING",
        }
        self.started: list[subprocess.Popen[str]] = []
        self.cluster: Cluster | None = None  # if it has one to itself

    def run(self, *arguments: str) -> str:
        """Run Python, and return what it printed."""
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=settings.BASE_DIR,
            text=True,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def python(self, code: str) -> str:
        """Run lines of Python with the project's names at hand, and return what they printed."""
        return self.run("-c", f"{PRELUDE}ROWS = {ROWS}\n{code}").strip()

    def queue(self) -> str:
        """Put an import into the queue, and return its primary key."""
        return self.python('print(queue_import(ROWS, "email").pk)')

    def ask(self, path: str) -> str:
        """Return the page at `path`, as an Admin sees it."""
        return self.python(f"{ASK}print(client.get({path!r}, follow=True).content.decode())")

    def worker(self, *options: str, **variables: str) -> "subprocess.Popen[str]":
        """Start a worker."""
        command = [sys.executable, "manage.py", "worker", "--poll", "0.1", *options]
        process = subprocess.Popen(
            command,
            env=self.environment | variables,
            cwd=settings.BASE_DIR,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.started.append(process)
        return process

    def work_once(self, **variables: str) -> int:
        """Let a worker do one job, now, and return how it ended."""
        self.execute("UPDATE imports_importjob SET not_before = NULL")
        return self.worker("--once", **variables).wait(PATIENCE)

    def pause_at(self, point: str, *options: str) -> "subprocess.Popen[str]":
        """Start a worker, and return it when it has stopped at `point`, until it is told to go on."""
        process = self.worker(*options, AA_KILL_AT=point, AA_KILL_WITH="SIGSTOP")
        assert process.stdout
        assert process.stdout.readline().startswith("SIGSTOP at ")
        os.waitpid(process.pid, os.WUNTRACED)  # until it is stopped: it says so just before
        return process

    def reap(self) -> None:
        """Give back what nobody does any more."""
        self.python("Reaper(after=0).look()")

    def try_again(self) -> None:
        """Put the job into the queue as its page does."""
        self.python("ImportJob.objects.get().transition(Status.WAITING, of=(Status.FAILED,))")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the database answers."""
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=60)) as opened:
                return opened.execute(sql).fetchall()
        with psycopg.connect(self.url) as opened:
            return opened.execute(sql).fetchall()  # type: ignore[call-overload]  # no literal string

    def execute(self, sql: str) -> None:
        """Write to the database from outside."""
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=60)) as opened, opened:
                opened.execute(sql)
        else:
            with psycopg.connect(self.url) as opened:
                opened.execute(sql)  # type: ignore[call-overload]  # no literal string

    def catalogue(self) -> list[Any]:
        """All segments, and what else a change of them changes."""
        columns = "id, channel_id, name, segment_id, link, active, created_in_id, last_change_id"
        segments = self.rows(f"SELECT {columns} FROM segments_segment ORDER BY id")
        counts = self.rows("SELECT slug, segment_count FROM channels_channel ORDER BY id")
        sets = self.rows("SELECT id, kind FROM segments_changeset ORDER BY id")
        return [segments, counts, sets, self.rows("SELECT count(*) FROM segments_change")]

    def job(self, table: str = "imports_importjob") -> Job:
        """How the only job stands."""
        ((status, attempt, code, message),) = self.rows(f"SELECT status, attempt, code, message FROM {table}")
        return Job(status, attempt, code, message)

    def assert_sound(self) -> None:
        """Assert that the totals add up, and that nothing is held that nobody holds."""
        counted = self.rows(
            "SELECT c.slug FROM channels_channel c WHERE c.segment_count <> "
            "(SELECT count(*) FROM segments_segment s WHERE s.channel_id = c.id)"
        )
        assert counted == []
        if self.job().status not in ("running", "checking"):
            assert self.rows("SELECT name FROM jobs_lane") == []

    def assert_imported(self) -> None:
        """Assert that all of the import is there, once."""
        assert self.job().status == "done"
        self.assert_sound()
        ((total, named, ids),) = self.rows(
            "SELECT count(*), sum(CASE WHEN name = 'Segment ' || substr(segment_id, 4) THEN 1 ELSE 0 END), "
            "count(DISTINCT segment_id) FROM segments_segment"
        )
        assert (total, named, ids) == (ROWS, ROWS, ROWS)
        assert self.rows("SELECT created, updated, errors FROM imports_importchannel") == [(ROWS - 2, 2, 0)]
        assert self.rows("SELECT count(*) FROM segments_changeset WHERE kind = 'import'") == [(1,)]

    def until(self, condition: Callable[["Installation"], Any]) -> None:
        """Wait until the condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition(self):
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.2)

    def end(self) -> None:
        """Kill what is left of its workers."""
        for process in self.started:
            process.kill()
            process.communicate()


MakeInstallation = Callable[[Path], AbstractContextManager[Installation]]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A server of PostgreSQL that tests may stop."""
    folder = Path(tempfile.mkdtemp(prefix="aa-faults-pg-"))
    made = Cluster(folder)
    made.start()
    yield made
    made.stop("immediate")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> str:
    """The name of a migrated database to copy."""
    if not POSTGRESQL:
        folder = tmp_path_factory.mktemp("faults")
        url = f"sqlite:///{folder / 'template.sqlite3'}"
        Installation(folder, url).run("manage.py", "migrate", "--verbosity=0")
        return url.removeprefix("sqlite:///")
    cluster: Cluster = request.getfixturevalue("cluster")
    create_database(cluster, "template_of_tests")
    folder = tmp_path_factory.mktemp("faults")
    Installation(folder, cluster.url("template_of_tests")).run("manage.py", "migrate", "--verbosity=0")
    return "template_of_tests"


def create_database(cluster: Cluster, name: str, template: str = "template1") -> None:
    """Create a database on `cluster`."""
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as opened:
        opened.execute(f"CREATE DATABASE {name} TEMPLATE {template}")  # type: ignore[call-overload]  # no literal string


@pytest.fixture(scope="session")
def make_installation(template: str, request: pytest.FixtureRequest) -> MakeInstallation:
    """Make an installation on the database under test, with nothing in it."""

    @contextmanager
    def make(folder: Path) -> Iterator[Installation]:
        if POSTGRESQL:
            cluster: Cluster = request.getfixturevalue("cluster")
            name = f"test_{time.monotonic_ns()}"
            create_database(cluster, name, template)
            url = cluster.url(name)
        else:
            url = f"sqlite:///{shutil.copy(template, folder / 'accessaudience.sqlite3')}"
        made = Installation(folder, url)
        yield made
        made.end()

    return make


@pytest.fixture
def installation(make_installation: MakeInstallation, tmp_path: Path) -> Iterator[Installation]:
    """One for this test."""
    with make_installation(tmp_path) as made:
        yield made


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Make `folder` a disk of its own that holds only so much."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this process may not mount a tmpfs: a full disk cannot be tried")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def answers(text: str) -> Any:
    """The JSON in the last line of what a process printed."""
    return json.loads(text.splitlines()[-1])
