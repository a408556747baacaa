"""The web server and its worker as one service: `python -m accessaudience.supervisor`, which `make run` calls.

Goes in: PORT and LISTEN_ON. Comes out: gunicorn (which prepares the database first: see gunicorn.conf.py),
and once that is ready `manage.py worker`, or with TASKS_BACKEND=celery a worker and a beat of Celery; each started
again when it dies, until SIGTERM, SIGINT or SIGHUP.
Must not know: Django; it stays small, and a database that is gone cannot bring it down. Its children end by
themselves if it is killed, and it ends when the `make` that started it is gone.
"""

import argparse
import errno
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from accessaudience import envfile
from accessaudience.parent import SUPERVISOR
from accessaudience.runs import Runs

ROOT = Path(__file__).resolve().parent.parent
WAITING_CONNECTIONS = 512
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between a death and the next start; doubled at each
SETTLED = 60.0  # seconds after which a death is no longer part of a row of them
GRACE = 40.0  # seconds to end in; gunicorn gives its requests 30
LOOK_EVERY = 1.0
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
READY = signal.SIGUSR1
NOT_OURS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # of an address


@dataclass
class Child:
    """A program that shall run: started, watched, started again."""

    name: str
    command: list[str]
    fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE
    not_before: float = field(default=0.0)
    identity: Runs = field(default_factory=Runs)

    def start(self) -> None:
        """Run the command in a process group of its own, so that Ctrl-C reaches it through us alone."""
        environment = {**os.environ, SUPERVISOR: str(os.getpid()), **self.identity.start()}
        # A list of our own making, no shell.
        self.process = subprocess.Popen(  # noqa: S603  # our own command
            self.command, cwd=ROOT, env=environment, pass_fds=self.fds, process_group=0, stdin=subprocess.DEVNULL
        )
        self.started = time.monotonic()

    def look_after(self) -> None:
        """Notice a death, and start again once the pause is over."""
        now = time.monotonic()
        if self.process and self.process.poll() is not None:
            self.pause = FIRST_PAUSE if now - self.started > SETTLED else min(self.pause * 2, LONGEST_PAUSE)
            self.not_before = now + self.pause
            say(f"the {self.name} {how_it_ended(self.process.returncode)}; starting it again in {self.pause:g} s.")
            self.process = None
        if self.process is None and now >= self.not_before:
            self.start()

    def runs(self) -> bool:
        """Return whether it is running."""
        return self.process is not None and self.process.poll() is None

    def send(self, signal_number: int) -> None:
        """Send a signal if it runs."""
        if self.process and self.runs():
            self.process.send_signal(signal_number)


def say(text: str) -> None:
    """Tell whoever watches, in a line."""
    print(f"supervisor: {text}", file=sys.stderr, flush=True)


def how_it_ended(code: int) -> str:
    """Put a return code of subprocess into words."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


def listen(address: str, port: int) -> socket.socket:
    """Return a listening socket: taken before anything else is done, and kept over restarts of the server."""
    try:
        return _listening(address, port)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno in NOT_OURS:
            sys.exit(
                f"LISTEN_ON must be an address of this machine like 127.0.0.1, or 0.0.0.0 for all, not '{address}' "
                f"({error.strerror})."
            )
        other = port + 1 if port < 65535 else port - 1
        sys.exit(f"Port {port} of {address} cannot be used ({error.strerror}). Choose another: make run PORT={other}")


def _listening(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(WAITING_CONNECTIONS)
    except OSError:
        listener.close()
        raise
    return listener


def port_of(text: str) -> int:
    """Return the port that `text` names."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        sys.exit(f"PORT must be a number from 1 to 65535, not '{text}'.")
    return int(text)


def supervise(server: Child, *others: Child) -> int:
    """Keep all running until told to stop, then end them, gently at first; return the status to end with.

    The server says by SIGUSR1 that it is ready; if it ends before it ever was, starting it again is no use.
    """
    children = (server, *others)
    received: list[int] = []
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    for number in (*STOPPING, READY, signal.SIGCHLD):
        signal.signal(number, lambda number, frame: received.append(number))
    parent = os.getppid() if os.environ.get("MAKELEVEL") else None

    def sleep() -> None:
        if select.select([wake], [], [], LOOK_EVERY)[0]:
            os.read(wake, 1024)

    def told_to_stop() -> int:
        return sum(number in STOPPING for number in received)

    while not told_to_stop() and (parent is None or os.getppid() == parent):
        if READY in received:
            for child in children:
                child.look_after()
        elif server.process is None:
            server.start()
        elif server.process.poll() is not None:
            return 1  # it has said why
        sleep()

    say("stopping.")
    patience = time.monotonic() + GRACE
    for child in children:
        child.send(signal.SIGTERM)
    while any(child.runs() for child in children):
        if told_to_stop() > 1 or time.monotonic() > patience:
            for child in children:
                child.send(signal.SIGKILL)
        sleep()
    return 0


def background() -> list[Child]:
    """Return what does jobs; what TASKS_BACKEND may say, the server has looked at before it is ready."""
    if os.environ.get("TASKS_BACKEND", "").strip().casefold() != "celery":
        return [Child("worker", [sys.executable, "manage.py", "worker"])]
    celery = [sys.executable, "-m", "celery", "--quiet", "--app", "jobs.celery"]
    return [Child("worker", [*celery, "worker"]), Child("beat", [*celery, "beat"])]


def main() -> int:
    """Serve until told to stop."""
    argparse.ArgumentParser(
        prog="python -m accessaudience.supervisor",
        description="Serve Access Audience and do its jobs, until stopped. Everything else is in the settings: "
        "docs/operations.md.",
    ).parse_args()
    try:
        envfile.read(ROOT / ".env")
    except envfile.EnvFileError as error:
        sys.exit(str(error))
    address, port = os.environ.get("LISTEN_ON", "127.0.0.1"), port_of(os.environ.get("PORT", "8000"))
    listener = listen(address, port)
    shown = f"[{address}]" if ":" in address else address
    os.environ["PUBLIC_ADDRESS"] = f"http://{shown}:{port}/"
    fd = listener.fileno()
    gunicorn = [sys.executable, "-m", "gunicorn", "--no-control-socket", f"--bind=fd://{fd}", "accessaudience.wsgi"]
    return supervise(Child("web server", gunicorn, (fd,)), *background())


if __name__ == "__main__":
    sys.exit(main())
