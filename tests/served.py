"""gunicorn as it serves the application, with two processes, for tests of what only a real server shows."""

import socket
import sys
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import psutil
from django.conf import settings

PATIENCE = 60.0  # seconds: only a failing test waits so long


class Server:
    """It, on a port of its own; what it logs is in a file, what it keeps among temporary files in a folder."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.log = folder, folder / "log"
        command = [sys.executable, "-m", "gunicorn", "--no-control-socket", f"--bind=127.0.0.1:{self.port}"]
        given = environment | {"WEB_CONCURRENCY": "2", "TMPDIR": str(folder)}
        with self.log.open("w") as log:
            self.process = psutil.Popen(
                [*command, "accessaudience.wsgi"], cwd=settings.BASE_DIR, env=given, stdout=log, stderr=log
            )

    def get(self, path: str, **headers: str) -> tuple[int, str, Message]:
        """Return status, body and headers of what it answers, once it does."""
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=said)
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, answer.read().decode(), answer.headers
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode(), error.headers
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < give_up, self.log.read_text()
                time.sleep(0.1)

    def stop(self) -> int:
        """Stop it gently; return its status."""
        self.process.terminate()
        return int(self.process.wait(PATIENCE))

    def kill(self) -> None:
        """End it, if it has not ended, with all of its processes."""
        if self.process.poll() is None:
            for process in (*self.process.children(recursive=True), self.process):
                process.kill()
            self.process.wait(PATIENCE)
