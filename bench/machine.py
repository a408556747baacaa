"""What the benchmarks run on and with: databases of their own, commands as whole processes.

Every figure is taken of a process that is started, waited for and accounted by the kernel: wall
seconds, and the peak of its resident memory (VmHWM).
"""

import json
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = Path(os.environ.get("BENCH_DIR", ROOT / "build" / "bench"))
SERVER = os.environ.get("BENCH_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/aa_bench")
KEYS = {
    "SECRET_KEY": "for the benchmark only, and long enough for the checks: 012",
    "ENCRYPTION_KEYS": "YmVuY2ggb25seTogdGhlc2UgYXJlIDMyIGJ5dGVzISE=",
}
SILENT = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}


@dataclass(frozen=True)
class Ran:
    """One finished process."""

    seconds: float
    peak_mb: float
    output: str


@dataclass(frozen=True)
class Database:
    """A database of the benchmark's own, made anew."""

    url: str
    data: Path

    @property
    def environment(self) -> dict[str, str]:
        return (
            os.environ
            | KEYS
            | {
                "DATABASE_URL": self.url,
                "DATA_DIR": str(self.data),
                "IMPORT_MAX_ROWS": "1000000",
                "IMPORT_MAX_BYTES": str(1 << 30),
            }
        )

    def manage(self, *words: str) -> Ran:
        """Run `manage.py` to its end; stop the benchmark if it fails."""
        return run([sys.executable, str(ROOT / "manage.py"), *words], self.environment)

    def execute(self, sql: str) -> list[tuple[object, ...]]:
        """Run one statement, without Django, and return its rows."""
        if self.url.startswith("sqlite"):
            with sqlite3.connect(self.data / "bench.sqlite3") as connection:
                return list(connection.execute(sql))
        import psycopg

        with psycopg.connect(self.url.replace("postgres://", "postgresql://", 1), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []


def postgresql() -> Database:
    """Return a fresh PostgreSQL database, migrated; exits with a sentence where there is no server."""
    import psycopg

    admin, _, name = SERVER.replace("postgres://", "postgresql://", 1).rpartition("/")
    try:
        with psycopg.connect(f"{admin}/postgres", autocommit=True, connect_timeout=5) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
            connection.execute(f'CREATE DATABASE "{name}"')
    except psycopg.OperationalError as error:
        sys.exit(f"No PostgreSQL for the benchmark at {SERVER} (BENCH_DATABASE_URL names another): {error}")
    database = Database(SERVER, fresh(WORK / "postgresql"))
    database.manage("migrate", "-v0")
    return database


def sqlite() -> Database:
    """Return a fresh SQLite database, migrated."""
    data = fresh(WORK / "sqlite")
    database = Database(f"sqlite:///{data / 'bench.sqlite3'}", data)
    database.manage("migrate", "-v0")
    return database


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
    return Ran(seconds, usage.ru_maxrss / 1024, text)


def sample(rows: int, *options: str) -> Path:
    """Return a CSV of `rows` rows by gen_csv.py, made once."""
    WORK.mkdir(parents=True, exist_ok=True)
    path = WORK / f"{rows}{''.join(options)}.csv"
    if not path.exists():
        with path.open("wb") as out:
            command = [sys.executable, str(ROOT / "bench" / "gen_csv.py"), str(rows), *options]
            subprocess.run(command, stdout=out, check=True)
    return path


def import_file(database: Database, path: Path) -> tuple[Ran, dict[str, object]]:
    """Import `path` into Email by the command; return what it took and what it says it did."""
    ran = database.manage("import_segments", str(path), "--channel", "email", "--json")
    return ran, json.loads(ran.output.strip().splitlines()[-1])


def median(values: list[float]) -> float:
    return statistics.median(values)


def describe() -> str:
    """Return a line on the machine and how busy it is."""
    load = ", ".join(f"{one:.2f}" for one in os.getloadavg())
    return f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, load {load}"
