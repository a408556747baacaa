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
from threading import Semaphore
from typing import Any

from gunicorn import http, util
from gunicorn.workers import gthread

from accessaudience.pace import ANSWER_KEPT, PacedSocket
from accessaudience.refusals import BUSY, FAILED, TOO_LATE, TOO_LONG, UNMEASURED, UNREADABLE, Refusal

HEAD_MOST = 64 * 1024  # bytes; gunicorn's own limits are for each line of it
BODY_KEPT = 64 * 1024  # bytes
PIECE = 16 * 1024  # bytes taken in at a time
HEAD_SECONDS = 20.0  # for both together, and for a connection that says nothing
TURN_SECONDS, LINE_MOST = 60.0, 16  # that a large body waits for its turn, and how many do
LINGER_SECONDS, LINGER_MOST = 2.0, 1024 * 1024  # bytes: what is still coming when the answer is out

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CODED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECTS = re.compile(rb"[^\r]* HTTP/1\.1\r\n(?:.*\r\n)?expect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE | re.DOTALL)
OUR_FAULT = (http.errors.InvalidResponseHeader, http.errors.InvalidResponseHeaderName)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(gthread.TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection, and what has come in of its next request."""

    sock: PacedSocket
    parser: Any

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.since = time.monotonic()
        self.is_large = False
        self.refusal: Refusal | None = None
        self.leftover = 0  # bytes that came after the answer
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
        self._look()

    def _received(self) -> bytes | None:
        """Return what has come, without waiting; None if that is nothing, b"" if the other side has hung up."""
        try:
            return self.sock.recv(PIECE)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def take(self) -> bool:
        """Take in what has come; False if the other side has hung up."""
        data = self._received()
        if data is None:
            return True
        self._come += data
        self._look()
        return bool(data)

    @property
    def is_whole(self) -> bool:
        """Whether a thread need not wait for what is still to come, or waits for a large body at its pace."""
        return 0 < self._needed <= len(self._come)

    def _look(self) -> None:
        """Tell from the head, once it is here, what is to come with it; `refusal` if that is not taken."""
        if self._needed:
            return
        end = self._come.find(b"\r\n\r\n", max(0, self._searched - 3))
        self._searched = len(self._come)
        if end < 0:
            self.refusal = TOO_LONG if len(self._come) > HEAD_MOST else None
            return
        head = bytes(self._come[: end + 4])
        if _CODED.search(head):
            self.refusal = UNMEASURED  # Django reads nothing of it, and gunicorn would wait for its end
        length = _LENGTH.search(head)
        digits = length[1] if length else b"0"
        self.is_large = len(digits) > 18 or int(digits) > BODY_KEPT
        self._needed = end + 4 + (0 if self.is_large else int(digits))
        if not self.is_whole and _EXPECTS.match(head):  # it sends nothing more until it is told to
            with suppress(OSError):
                self.sock.send(CONTINUE)

    def hand_over(self) -> None:
        """Give what has come to gunicorn's parser."""
        if self.parser is None:
            self.parser = http.get_parser(self.cfg, self.sock, self.client)
        self.parser.unreader.unread(bytes(self._come))
        self._come = bytearray()
        self.data_ready = True

    def end_answer(self) -> bool:
        """Let the other side know that nothing follows; False if it is gone. What it still sends is `discard`ed."""
        self.since = time.monotonic()
        try:
            self.sock.setblocking(False)
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        return True

    def discard(self) -> bool:
        """Take what is still coming, and keep nothing of it; False once it ends, or is too much."""
        data = self._received()
        if data is None:
            return True
        self.leftover += len(data)
        return bool(data) and self.leftover < LINGER_MOST

    def close(self, graceful: bool = False) -> None:
        """Close it, now."""
        util.close(self.sock)


class Worker(gthread.ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's worker with threads, none of which waits for the head of a request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.receiving: dict[Connection, None] = {}  # in the order in which they began
        self.in_line: deque[Connection] = deque()  # with a large body
        self.lingering: dict[Connection, None] = {}  # answered, in the order in which they were
        self.at_once = max(1, self.cfg.threads // 2)
        self.large = 0
        PacedSocket.patient = Semaphore(max(1, self.cfg.threads // 4))

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
        self._make_room()
        self.nr_conns += 1
        paced = PacedSocket(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        with suppress(OSError):
            paced.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ANSWER_KEPT)
        self.enqueue_req(Connection(self.cfg, paced, client, listener.getsockname()))

    def _make_room(self) -> None:
        """Close who has waited longest if there are as many connections as may be: an honest one waits for no time."""
        if self.nr_conns + 1 < self.worker_connections:
            return
        for waiting in (self.lingering, self.receiving):
            if waiting:
                self._drop(next(iter(waiting)))
                return

    def enqueue_req(self, conn: Connection) -> None:
        """Receive the next request of `conn`, and give it to a thread as soon as none must wait for it."""
        conn.sock.setblocking(False)
        conn.start()
        if conn.refusal:
            self._end(conn, conn.refusal)
        elif conn.is_whole:
            self._hand_over(conn)
        else:
            self._watch(conn, self.receiving, self._on_more)

    def _watch(self, conn: Connection, among: dict[Connection, None], call: Any) -> None:
        among[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(call, conn))

    def _forget(self, conn: Connection) -> None:
        """Wait for `conn` no more."""
        if conn in self.receiving or conn in self.lingering:
            self.receiving.pop(conn, None)
            self.lingering.pop(conn, None)
            with suppress(OSError, KeyError, ValueError):
                self.poller.unregister(conn.sock)

    def _on_more(self, conn: Connection, client: socket.socket) -> None:
        if conn not in self.receiving:  # closed since this was waited for, to make room
            return
        is_there = conn.take()
        if is_there and not conn.is_whole and not conn.refusal:
            return
        self._forget(conn)
        if not is_there:
            self._drop(conn)
        elif conn.refusal:
            self._end(conn, conn.refusal)
        else:
            self._hand_over(conn)

    def _on_leftover(self, conn: Connection, client: socket.socket) -> None:
        if conn in self.lingering and not conn.discard():
            self._drop(conn)

    def _hand_over(self, conn: Connection) -> None:
        if conn.is_large:
            if self.large >= self.at_once:
                if len(self.in_line) >= LINE_MOST:
                    self._end(conn, BUSY)
                    return
                conn.since = time.monotonic()
                self.in_line.append(conn)
                return
            self.large += 1
        conn.hand_over()
        super().enqueue_req(conn)

    def _end(self, conn: Connection, answer: Refusal | None = None) -> None:
        """End a connection after its answer, or after this one, which the other side has a moment to read."""
        if answer:
            answer.send(conn.sock)
        if conn.end_answer():
            self._watch(conn, self.lingering, self._on_leftover)
        else:
            self._drop(conn)

    def _drop(self, conn: Connection) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()

    def handle(self, conn: Connection) -> Any:
        """Answer a request, in a thread."""
        conn.sock.start_pace()
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Answer it; after a large body the connection ends, as no thread waits for what of it was not read."""
        if conn.is_large:
            req.force_close()
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: PacedSocket, addr: Any, exc: BaseException) -> None:
        """Answer what is no request, or what failed outside of Django; gunicorn would repeat what was sent."""
        if isinstance(exc, http.errors.ParseException) and not isinstance(exc, OUR_FAULT):
            self.log.warning("A request that cannot be read was refused: %s", type(exc).__name__)
            UNREADABLE.send(client)
        else:
            self.log.error("A request failed outside of the application", exc_info=exc)
            FAILED.send(client)

    def finish_request(self, conn: Connection, future: Any) -> None:
        """Note that a thread is done with a request, and give a large one that waits its turn."""
        if conn.is_large:
            self.large -= 1
        if not (future.cancelled() or future.exception()) and future.result():
            super().finish_request(conn, future)
        else:
            self._end(conn)
        while self.in_line and self.large < self.at_once:
            self._hand_over(self.in_line.popleft())

    def murder_pending(self) -> None:
        """Close what has been waited for long enough; gunicorn calls it every second, also when it stops."""
        super().murder_pending()
        now = time.monotonic()
        for conn in list(self.receiving):
            if now - conn.since > HEAD_SECONDS:
                self._forget(conn)
                self._end(conn, TOO_LATE if conn.has_begun else None)
            elif not (self.alive or conn.has_begun) and now - conn.since > LINGER_SECONDS:
                self._drop(conn)  # one that has just come gets to say what it came for
        for conn in list(self.lingering):
            if now - conn.since > LINGER_SECONDS:
                self._drop(conn)
        while self.in_line and now - self.in_line[0].since > TURN_SECONDS:
            self._end(self.in_line.popleft(), BUSY)
