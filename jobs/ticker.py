"""A thread that does one thing every so often, on a database connection of its own.

Goes in: a function and an interval. Comes out: its calls, until stopped. A database that is gone or
locked only costs the calls meanwhile. Must not know: what the function is for.
"""

import contextvars
import logging
import threading
from collections.abc import Callable
from types import TracebackType

from django.db import DatabaseError, InterfaceError, connection

log = logging.getLogger(__name__)

LOCK_WAIT_MS = 2_000  # on SQLite: rather miss a call than hang on the write lock


class Ticker(threading.Thread):
    """Calls `tick` every `interval` seconds between entering and leaving its `with`; `at_once` the first time too."""

    def __init__(self, tick: Callable[[], None], interval: float, name: str, *, at_once: bool = False) -> None:
        super().__init__(name=name, daemon=True)
        self._tick = tick
        self._interval = interval
        self._at_once = at_once
        self._stop_asked = threading.Event()
        self._context = contextvars.copy_context()  # what lines of the log are about

    def __enter__(self) -> "Ticker":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_asked.set()
        self.join()

    def run(self) -> None:
        """Tick until stopped; the thread's own code, called by start()."""
        self._context.run(self._tick_until_stopped)

    def _tick_until_stopped(self) -> None:
        try:
            if self._at_once:
                self._tick_once()
            while not self._stop_asked.wait(self._interval):
                self._tick_once()
        finally:
            connection.close()

    def _tick_once(self) -> None:
        try:
            if connection.connection is None and connection.vendor == "sqlite":
                connection.ensure_connection()
                connection.cursor().execute(f"PRAGMA busy_timeout = {LOCK_WAIT_MS:d}")
            self._tick()
        except (DatabaseError, InterfaceError) as error:
            # SQLite has one write lock, which an import may well hold for longer than a call waits.
            expected = connection.vendor == "sqlite" and "locked" in str(error)
            level = logging.DEBUG if expected else logging.WARNING
            log.log(level, "%s: the database did not answer: %s", self.name, error)
            connection.close()
