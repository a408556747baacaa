"""`make run`'s supervisor: starts both parts, starts again what dies, and leaves nothing however it ends."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from accessaudience.supervisor import Child, background, how_it_ended, listen, port_of

pytestmark = pytest.mark.once

COMMAND = [sys.executable, "-m", "accessaudience.supervisor"]
PROCESSES = 4  # gunicorn, two of its workers, the worker
PATIENCE = 120.0  # seconds: only a failing test waits so long


def until(what: Callable[[], object], told: str) -> None:
    """Wait until `what` is true."""
    give_up = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < give_up, told
        time.sleep(0.1)


def living(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return those of `processes` that run; one that has ended stays in the list of processes for a moment."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                found.append(process)
    return found


class Service:
    """A supervisor on a port of its own, with a database of its own."""

    def __init__(self, folder: Path, command: list[str] = COMMAND, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = folder / "log"
        given = {"DATABASE_URL": "", "DATA_DIR": str(folder / "data"), "PORT": str(self.port), **environment}
        inherited = {name: value for name, value in os.environ.items() if name != "MAKELEVEL"}
        with self.log.open("w") as log:
            self.process = psutil.Popen(
                command, cwd=settings.BASE_DIR, env={**inherited, **given}, stdout=log, stderr=subprocess.STDOUT
            )
        self.seen: set[psutil.Process] = set()

    def answers(self) -> bool:
        """Whether all of it works: the pages, the database, the worker."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=10) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def whole(self) -> bool:
        """Whether it has all of its processes, and every part works; what is seen of them is remembered."""
        now = living(self.process.children(recursive=True))
        self.seen |= set(now)
        return len(now) >= PROCESSES and self.answers()

    def wait(self) -> None:
        """Wait until it is whole."""
        until(lambda: self.process.poll() is not None or self.whole(), "it never became ready")
        assert self.process.poll() is None, self.log.read_text()

    def find(self, word: str) -> psutil.Process:
        """Return the child of the supervisor whose command has `word` in it."""
        return next(child for child in living(self.process.children()) if word in child.cmdline())

    def left(self) -> list[psutil.Process]:
        """Return which of the processes still run."""
        return living(self.seen)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a supervisor, ended with all of its processes after the test."""
    services = []

    def make(**options: str) -> Service:
        services.append(Service(tmp_path, **options))
        return services[-1]

    yield make
    for service in services:
        if service.process.poll() is None:
            service.seen |= {service.process, *service.process.children(recursive=True)}
        for process in service.left():
            process.kill()
        service.process.wait(PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_told_to_stop_it_ends_all_and_reports_success(start: Callable[..., Service], number: int) -> None:
    service = start()
    service.wait()
    service.process.send_signal(number)
    assert service.process.wait(PATIENCE) == 0, service.log.read_text()
    assert service.left() == []


@pytest.mark.fault
def test_killed_it_leaves_no_process(start: Callable[..., Service]) -> None:
    service = start()
    service.wait()
    service.process.kill()
    until(lambda: not service.left(), f"left behind: {service.left()}")


@pytest.mark.fault
def test_what_dies_is_started_again(start: Callable[..., Service]) -> None:
    service = start()
    service.wait()
    for word in ("worker", "gunicorn"):
        dead = service.find(word)
        dead.kill()
        dead.wait(PATIENCE)
        service.wait()
    # What is left is one whole set: the old server's own processes have gone too.
    until(lambda: service.whole() and len(service.left()) == PROCESSES, "not one whole set is left")
    assert "the worker was ended by SIGKILL" in service.log.read_text()


def test_it_ends_with_the_make_that_started_it(start: Callable[..., Service]) -> None:
    make = f"import subprocess; subprocess.run({COMMAND!r})"
    service = start(command=[sys.executable, "-c", make], MAKELEVEL="1")
    service.wait()
    service.process.kill()
    until(lambda: not service.left(), f"left behind: {service.left()}")


def test_a_port_in_use_is_said_in_one_sentence(start: Callable[..., Service]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        service = start(PORT=str(port))
        assert service.process.wait(PATIENCE) == 1
    said = service.log.read_text()
    assert said.startswith(f"Port {port} of 127.0.0.1 cannot be used (Address already in use).")
    assert said.count("\n") == 1


def test_a_wrong_setting_is_said_in_one_sentence_and_not_tried_again(start: Callable[..., Service]) -> None:
    service = start(IMPORT_MAX_ROWS="many")
    assert service.process.wait(PATIENCE) == 1
    assert service.log.read_text() == "IMPORT_MAX_ROWS must be a whole number from 1 to 2147483647, not 'many'.\n"


@pytest.mark.parametrize("address", ["999.1.1.1", "192.0.2.1", "2001:db8::1", "no such host"])
def test_an_address_that_is_not_of_this_machine_is_one_of_listen_on(address: str) -> None:
    with pytest.raises(SystemExit, match=f"^LISTEN_ON must be an address of this machine .* not '{address}'"):
        listen(address, 8000)


@pytest.mark.parametrize("module", ["supervisor", "prepare"])
def test_asked_for_help_it_helps_and_what_it_does_not_know_it_refuses(module: str, tmp_path: Path) -> None:
    given = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data"), "PORT": "0"}
    for argument, status in (("--help", 0), ("--bogus", 2)):
        command = [sys.executable, "-m", f"accessaudience.{module}", argument]
        done = subprocess.run(
            command, cwd=settings.BASE_DIR, env=given, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert done.returncode == status, done.stderr
        assert (done.stdout or done.stderr).startswith(f"usage: python -m accessaudience.{module}")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("text", ["", "http", "0", "65536", "-1", "8000.0"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(SystemExit, match="PORT must be a number"):
        port_of(text)


def test_each_run_knows_of_those_before_it(tmp_path: Path) -> None:
    told = tmp_path / "told"
    code = f"from accessaudience import runs; print(runs.this(), runs.dead(), file=open({str(told)!r}, 'a'))"
    child = Child("teller", [sys.executable, "-c", code], pause=0.001)
    for count in (1, 2, 3):
        child.not_before = 0
        until(lambda: child.look_after() or child.process, "it is not started")
        assert child.process
        child.process.wait(PATIENCE)
        assert len(told.read_text().splitlines()) == count
    first, second, third = (line.split(maxsplit=1) for line in told.read_text().splitlines())
    assert first[1] == "[]"
    assert second[1] == f"[{first[0]}]"
    assert third[1] == f"[{first[0]}, {second[0]}]"


def test_an_end_is_told_in_words() -> None:
    assert how_it_ended(3) == "ended with status 3"
    assert how_it_ended(-signal.SIGKILL) == "was ended by SIGKILL"


def test_tasks_backend_says_what_does_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASKS_BACKEND", raising=False)
    assert [child.command[1:] for child in background()] == [["manage.py", "worker"]]
    monkeypatch.setenv("TASKS_BACKEND", " Celery ")
    assert [child.command[-1] for child in background()] == ["worker", "beat"]
