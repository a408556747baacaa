"""How the web server takes requests in, so that nobody who sends slowly keeps others waiting.

Goes in: connections that gunicorn accepts. Comes out: requests, handed to its threads once their head is here, and
with it a body as small as forms have. A larger body is read by the application, which knows who may send one: by
half of the threads at most, and only from who keeps up a pace. Who reads an answer keeps it up too.
Must not know: Django.
"""

import errno
import re
import selectors
import socket
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn import http, util
from gunicorn.workers import gthread

HEAD_MOST = 64 * 1024  # bytes; gunicorn's own limits are for each line of it
BODY_KEPT = 64 * 1024  # bytes
HEAD_SECONDS = 20.0  # for both together, and for a connection that says nothing
PACE = 4 * 1024  # bytes a second, on average: a tenth of what a poor mobile connection has
PACE_HEAD_START = 20.0  # seconds that a sender may wait before it counts
TURN_SECONDS = 60.0  # that a large body waits for its turn
LINGER_SECONDS, LINGER_MOST = 2.0, 1024 * 1024  # bytes: what is still coming when the answer is out

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:", re.IGNORECASE)  # it sends nothing more until it is told to

TOO_LATE = (408, "Request Timeout", "Your request came in too slowly. Nothing was changed. Try again.")
TOO_LONG = (431, "Request Header Fields Too Large", "The head of this request is too long. Nothing was changed.")
BUSY = (503, "Service Unavailable", "Other files are being taken in. Nothing was changed. Try again in a few minutes.")


class PacedSocket(socket.socket):
    """A socket whose other side must keep up a pace while a thread waits for it."""

    _moved = 0
    _waited = 0.0

    def start_pace(self) -> None:
        """Forget how fast it was: another request begins."""
        self._moved, self._waited = 0, 0.0

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Return what has come, as any socket; ConnectionResetError if that took too long."""
        patience = self.gettimeout()
        if patience == 0:
            return super().recv(bufsize, flags)
        with _Wait(self, patience) as wait:
            data = super().recv(bufsize, flags)
            wait.moved = len(data)
        return data

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send all of it, as any socket; ConnectionResetError if that took too long."""
        left = memoryview(data)
        while left:
            with _Wait(self, self.gettimeout()) as wait:
                wait.moved = super().send(left, flags)
            left = left[wait.moved :]


class _Wait:
    """One wait for the other side, of the time that it has left; how long it was counts towards its pace."""

    moved = 0

    def __init__(self, paced: PacedSocket, patience: float | None) -> None:
        self._paced, self._patience = paced, patience

    def __enter__(self) -> "_Wait":
        left = PACE_HEAD_START + self._paced._moved / PACE - self._paced._waited
        if left <= 0:
            raise ConnectionResetError(errno.ECONNRESET, "the other side is too slow")
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


class Connection(gthread.TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection, and what has come in of its next request."""

    sock: PacedSocket
    parser: Any

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.since = time.monotonic()
        self.is_large = False
        self._come = bytearray()
        self._searched = 0
        self._needed = 0  # bytes of head and body, once the head is here

    @property
    def has_begun(self) -> bool:
        """Whether anything of the next request is here."""
        return bool(self._come)

    def start(self) -> None:
        """Wait for another request; its beginning may have come with the one before."""
        self.since = time.monotonic()
        self._come = bytearray(self.parser.unreader.take_buffered() if self.parser else b"")
        self._searched = self._needed = 0
        self.is_large = False

    def take(self) -> bool:
        """Take in what has come, without waiting for more; False if the other side has hung up."""
        try:
            data = self.sock.recv(HEAD_MOST)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._come += data
        return bool(data)

    @property
    def is_whole(self) -> bool:
        """Whether a thread need not wait for what is still to come, or waits for a large body at its pace."""
        if not self._needed:
            end = self._come.find(b"\r\n\r\n", max(0, self._searched - 3))
            self._searched = len(self._come)
            if end < 0:
                return False
            head = bytes(self._come[: end + 4])
            length = _LENGTH.search(head)
            body = int(length[1]) if length else 0
            self.is_large = body > BODY_KEPT
            self._needed = end + 4 + (0 if self.is_large or _EXPECTS.search(head) else body)
        return len(self._come) >= self._needed

    @property
    def is_too_long(self) -> bool:
        """Whether a head has no end."""
        return not self._needed and len(self._come) > HEAD_MOST

    def hand_over(self) -> None:
        """Give what has come to gunicorn's parser."""
        if self.parser is None:
            self.parser = http.get_parser(self.cfg, self.sock, self.client)
        self.parser.unreader.unread(bytes(self._come))
        self._come = bytearray()
        self.data_ready = True

    def refuse(self, status: int, reason: str, text: str) -> None:
        """Answer in a line, if the other side is there to read it; the application never saw the request."""
        body = f"{text}\n".encode()
        head = (
            f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"X-Content-Type-Options: nosniff\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with suppress(OSError):
            self.sock.setblocking(False)
            self.sock.send(head.encode() + body)

    def linger(self) -> None:
        """Let the other side read the answer before the connection goes, which may still send: for a moment."""
        until, left = time.monotonic() + LINGER_SECONDS, LINGER_MOST
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            while left > 0 and (seconds := until - time.monotonic()) > 0:
                self.sock.settimeout(seconds)
                data = self.sock.recv(HEAD_MOST)
                if not data:
                    return
                left -= len(data)

    def close(self, graceful: bool = False) -> None:
        """Close it, now: who has waited for the other side is `linger`, in a thread."""
        util.close(self.sock)


class Worker(gthread.ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's worker with threads, none of which waits for the head of a request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.receiving: dict[Connection, None] = {}  # in the order in which they began
        self.in_line: deque[Connection] = deque()  # with a large body
        self.at_once = max(1, self.cfg.threads // 2)
        self.large = 0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker does not do, rather than serve in the clear where TLS was meant."""
        super().check_config(cfg, log)
        if cfg.is_ssl:
            raise RuntimeError("TLS is for the proxy in front to speak: take certfile and keyfile away.")

    def accept(self, listener: socket.socket) -> None:
        """Take a connection, and wait for its first request."""
        try:
            accepted, client = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        self.nr_conns += 1
        paced = PacedSocket(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.enqueue_req(Connection(self.cfg, paced, client, listener.getsockname()))

    def enqueue_req(self, conn: Connection) -> None:
        """Receive the next request of `conn`, and give it to a thread as soon as none must wait for it."""
        conn.start()
        if conn.is_whole:
            self._hand_over(conn)
            return
        conn.sock.setblocking(False)
        self.receiving[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_more, conn))

    def _on_more(self, conn: Connection, client: socket.socket) -> None:
        is_there = conn.take()
        if is_there and not conn.is_whole and not conn.is_too_long:
            return
        self._no_longer_receiving(conn)
        if not is_there:
            self._drop(conn)
        elif conn.is_whole:
            self._hand_over(conn)
        else:
            self._drop(conn, TOO_LONG)

    def _no_longer_receiving(self, conn: Connection) -> None:
        del self.receiving[conn]
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)

    def _hand_over(self, conn: Connection) -> None:
        if conn.is_large:
            if self.large >= self.at_once:
                conn.since = time.monotonic()
                self.in_line.append(conn)
                return
            self.large += 1
        conn.hand_over()
        super().enqueue_req(conn)

    def _drop(self, conn: Connection, answer: tuple[int, str, str] | None = None) -> None:
        if answer:
            conn.refuse(*answer)
        self.nr_conns -= 1
        conn.close()

    def handle(self, conn: Connection) -> Any:
        """Answer a request, in a thread."""
        conn.sock.start_pace()
        goes_on = super().handle(conn)
        if not goes_on:
            conn.linger()
        return goes_on

    def finish_request(self, conn: Connection, future: Any) -> None:
        """Note that a thread is done with a request, and give a large one that waits its turn."""
        if conn.is_large:
            self.large -= 1
        super().finish_request(conn, future)
        while self.in_line and self.large < self.at_once:
            self._hand_over(self.in_line.popleft())

    def murder_pending(self) -> None:
        """Close what has been waited for long enough; gunicorn calls it every second, also when it stops."""
        super().murder_pending()
        now = time.monotonic()
        for conn in list(self.receiving):
            if now - conn.since > HEAD_SECONDS or not (self.alive or conn.has_begun):
                self._no_longer_receiving(conn)
                self._drop(conn, TOO_LATE if conn.has_begun else None)
        while self.in_line and now - self.in_line[0].since > TURN_SECONDS:
            self._drop(self.in_line.popleft(), BUSY)
