"""What the benchmarks run on and with: databases of their own, commands as whole processes.

Every figure is taken of a process that is started, waited for and accounted by the kernel: wall
seconds, the seconds of the processors, and the peak of its resident memory (VmHWM).
"""

import functools
import hashlib
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parent.parent
WORK = Path(os.environ.get("BENCH_DIR", ROOT / "build" / "bench"))
# A name of this folder's own: two checkouts may be measured at the same time.
NAME = f"aa_bench_{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
SERVER = os.environ.get("BENCH_DATABASE_URL", f"postgres://postgres@127.0.0.1:5432/{NAME}")
ADMIN, _, DATABASE = SERVER.replace("postgres://", "postgresql://", 1).rpartition("/")
MANAGE = [sys.executable, str(ROOT / "manage.py")]
KEYS = {
    "SECRET_KEY": "for the benchmark only, and long enough for the checks: 012",
    "ENCRYPTION_KEYS": "YmVuY2ggb25seTogdGhlc2UgYXJlIDMyIGJ5dGVzISE=",
}
LIMITS = {"IMPORT_MAX_ROWS": "1000000", "IMPORT_MAX_BYTES": str(1 << 30)}


class Missing(Exception):
    """Something that a row needs is not on this machine; the text says what."""


@dataclass(frozen=True)
class Ran:
    """One finished process."""

    seconds: float
    cpu_seconds: float  # its own, not those of a database server
    peak_mb: float
    output: str


@dataclass(frozen=True)
class Database:
    """A database of the benchmark's own, made anew."""

    url: str
    data: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a command is to be started with, to work on this database."""
        return os.environ | KEYS | LIMITS | {"DATABASE_URL": self.url, "DATA_DIR": str(self.data)}

    def manage(self, *words: str) -> Ran:
        """Run `manage.py` to its end; stop the benchmark if it fails."""
        return run([*MANAGE, *words], self.environment)

    def execute(self, sql: str) -> list[tuple[object, ...]]:
        """Run one statement, without Django, and return its rows."""
        if self.url.startswith("sqlite"):
            with sqlite3.connect(self.data / "bench.sqlite3") as connection:
                return list(connection.execute(sql))
        return on_server(DATABASE, sql)


def on_server(database: str, sql: str) -> list[tuple[object, ...]]:
    """Run one statement in a database of the server, and return its rows; raises Missing where no server answers."""
    try:
        with psycopg.connect(f"{ADMIN}/{database}", autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []
    except psycopg.OperationalError as error:
        said = " ".join(str(error).split())
        raise Missing(f"no PostgreSQL answers at {SERVER} (BENCH_DATABASE_URL names another): {said}") from error


def postgresql() -> Database:
    """Return a fresh PostgreSQL database, migrated; raises Missing where there is no server."""
    template = postgresql_template()
    on_server("postgres", f'DROP DATABASE IF EXISTS "{DATABASE}" WITH (FORCE)')
    on_server("postgres", f'CREATE DATABASE "{DATABASE}" TEMPLATE "{template}"')
    return Database(SERVER, fresh(WORK / "postgresql"))


@functools.cache
def postgresql_template() -> str:
    """Make the database that the others are copied from; return its name."""
    name = f"{DATABASE}_template"
    on_server("postgres", f'DROP DATABASE IF EXISTS "{name}"')
    on_server("postgres", f'CREATE DATABASE "{name}"')
    Database(SERVER.rpartition("/")[0] + "/" + name, fresh(WORK / "postgresql")).manage("migrate", "-v0")
    return name


def sqlite() -> Database:
    """Return a fresh SQLite database, migrated."""
    template = sqlite_template()
    data = fresh(WORK / "sqlite")
    shutil.copy(template, data / "bench.sqlite3")
    return Database(f"sqlite:///{data / 'bench.sqlite3'}", data)


@functools.cache
def sqlite_template() -> Path:
    """Make the file that the others are copied from."""
    data = fresh(WORK / "sqlite-template")
    Database(f"sqlite:///{data / 'bench.sqlite3'}", data).manage("migrate", "-v0")
    return data / "bench.sqlite3"


@contextmanager
def tidied() -> Iterator[None]:
    """Remove what the body has made and nobody needs again: the databases, not the samples."""
    try:
        yield
    finally:
        for folder in ("sqlite", "sqlite-template", "postgresql"):
            shutil.rmtree(WORK / folder, ignore_errors=True)
        with suppress(Missing):
            for name in (DATABASE, f"{DATABASE}_template"):
                on_server("postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def fresh(folder: Path) -> Path:
    """Return `folder`, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def run(command: list[str], environment: dict[str, str]) -> Ran:
    """Run a command and return what it took; stop the benchmark, saying why, if it fails.

    Linux lets a process begin with the peak of the one that started it: this one must stay small for its figures to
    be those of the command, and so holds no table of values.
    """
    output = WORK / "output"
    with output.open("w+b") as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text("utf-8", "replace")
    if process.returncode not in (0, 3):
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{text[-3000:]}")
    return Ran(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text)


def sample(rows: int, *options: str) -> Path:
    """Return a CSV of `rows` rows by gen_csv.py, made once; beside it, as .json, how many of which kind they are."""
    WORK.mkdir(parents=True, exist_ok=True)
    path = WORK / f"{rows}{''.join(options)}.csv"
    if not path.exists():
        with path.open("wb") as out:
            command = [sys.executable, str(ROOT / "bench" / "gen_csv.py"), str(rows), *options]
            subprocess.run([*command, "--summary", str(path.with_suffix(".json"))], stdout=out, check=True)
    return path


def import_file(database: Database, path: Path) -> tuple[Ran, dict[str, object]]:
    """Import `path` into Email by the command; return what it took and what it says it did."""
    ran = database.manage("import_segments", str(path), "--channel", "email", "--json")
    return ran, json.loads(ran.output.strip().splitlines()[-1])


def describe() -> str:
    """Return a line on the machine and its programs."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    try:
        version, buffers = on_server(
            "postgres", "SELECT current_setting('server_version'), current_setting('shared_buffers')"
        )[0]
        server = f"PostgreSQL {str(version).split()[0]} (shared_buffers {buffers})"
    except Missing:
        server = "no PostgreSQL"
    return (
        f"{processor()}, {os.cpu_count()} processors, {memory:.0f} GB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {server}, SQLite {sqlite3.sqlite_version}"
    )


def processor() -> str:
    """Return the name of the processor's model, where the system tells it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def load() -> str:
    """Return how busy the machine is: how many processes wanted a processor in the last minute."""
    return f"{os.getloadavg()[0]:.1f}"
