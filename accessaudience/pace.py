"""A socket whose other side must keep up a pace while a thread waits for it.

Goes in: a connected socket. Comes out: the same, which ends the wait for whoever is too slow. Must not know: HTTP.
"""

import errno
import socket
import time
from contextlib import suppress
from threading import Semaphore
from typing import Any

PACE = 4 * 1024  # bytes a second, on average: a tenth of what a poor mobile connection has
PACE_HEAD_START = 20.0  # seconds that the other side may wait before it counts
HURRY_SECONDS = 2.0  # that one may wait for a reader while as many others wait as may be patient
ANSWER_KEPT = 256 * 1024  # bytes that the system holds for a reader; most answers are smaller, so no thread waits


class PacedSocket(socket.socket):
    """A socket whose other side must keep up a pace while a thread waits for it."""

    patient = Semaphore(1)  # how many threads may wait for slow readers
    _moved = 0
    _waited = 0.0

    def start_pace(self) -> None:
        """Forget how fast it was: another request begins."""
        self._moved, self._waited = 0, 0.0

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Return what has come, as any socket; ConnectionResetError if that took too long."""
        if self.gettimeout() == 0:
            return super().recv(bufsize, flags)
        with _Wait(self) as wait:
            data = super().recv(bufsize, flags)
            wait.moved = len(data)
        return data

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send some of it, as any socket; ConnectionResetError if that took too long."""
        return self._send(data, flags, PACE_HEAD_START)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send all of it, as any socket; ConnectionResetError if that took too long."""
        is_patient = self.patient.acquire(blocking=False)
        try:
            left = memoryview(data)
            while left:
                left = left[self._send(left, flags, PACE_HEAD_START if is_patient else HURRY_SECONDS) :]
        finally:
            if is_patient:
                self.patient.release()

    def _send(self, data: Any, flags: int, most: float) -> int:
        if self.gettimeout() == 0:
            return super().send(data, flags)
        with _Wait(self, most) as wait:
            wait.moved = super().send(data, flags)
        return wait.moved


class _Wait:
    """One wait for the other side, of the time that it has left; how long it was counts towards its pace."""

    moved = 0

    def __init__(self, paced: PacedSocket, most: float | None = None) -> None:
        self._paced, self._most, self._patience = paced, most, paced.gettimeout()

    def __enter__(self) -> "_Wait":
        left = PACE_HEAD_START + self._paced._moved / PACE - self._paced._waited
        if left <= 0:
            raise ConnectionResetError(errno.ECONNRESET, "the other side is too slow")
        left = left if self._most is None else min(left, self._most)
        self._is_ours = self._patience is None or left < self._patience
        self._paced.settimeout(left if self._is_ours else self._patience)
        self._since = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self._paced._waited += time.monotonic() - self._since
        self._paced._moved += self.moved
        with suppress(OSError):  # closed meanwhile
            self._paced.settimeout(self._patience)
        if isinstance(error, TimeoutError) and self._is_ours:
            raise ConnectionResetError(errno.ECONNRESET, "the other side is too slow") from error
