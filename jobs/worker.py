"""The background worker: claims jobs and does them, one after the other, until told to stop.

Goes in: jobs that wait. Comes out: jobs that ended. Any number of workers may run, on any number of
hosts; each may be killed at any time. Must not know: kinds of jobs.
"""

import logging
import random
import time
from types import FrameType

from django.db import DatabaseError, InterfaceError, connections

from accessaudience import runs
from jobs import chores
from jobs.lease import Reaper, claim, give_back_of_dead
from jobs.presence import present
from jobs.runner import perform

log = logging.getLogger(__name__)

REAP_EVERY = 5.0  # seconds
UPKEEP_EVERY = 3600.0
DUE_EVERY = 15.0
GRACE = 5.0  # seconds that a job may go on after SIGTERM; then it returns to the queue
SLICE = 0.2  # seconds; the longest sleep before a signal is heeded
MAX_WAIT = 30.0  # seconds between two tries to reach a database that is gone


class Worker:
    """One worker process. SIGTERM or SIGINT: goes on for `grace` seconds at most, then gives its job back."""

    def __init__(self, name: str, *, poll: float = 1.0, grace: float = GRACE) -> None:
        self.name = name
        self._poll = poll
        self._grace = grace
        self._signals = 0
        self._stop_at: float | None = None
        self._reaper = Reaper()
        self._dead = runs.dead()
        self._reap_at = self._upkeep_at = self._due_at = 0.0

    def work(self, *, drain: bool = False, at_most: int | None = None) -> int:
        """Do jobs until stopped, with `drain` until none may start, or until it was `at_most` jobs.

        Returns how many jobs it took.
        """
        took = 0
        faults = 0
        log.info("worker %s is here", self.name)
        with present(self.name):
            while self._stop_at is None and took != at_most:
                try:
                    found = self._do_one()
                    idled = not found and chores.use_idle_time()
                    faults = 0
                except (DatabaseError, InterfaceError) as error:
                    faults += 1
                    log.warning("the database did not answer, try %s: %s", faults, error)
                    connections.close_all()
                    self._sleep(min(MAX_WAIT, self._poll * 2 ** min(faults, 10)))
                    continue
                took += found
                if not found and not idled:
                    if drain:
                        break
                    self._sleep(self._poll)
        connections.close_all()
        log.info("worker %s has gone", self.name)
        return took

    def stop(self, signum: int | None = None, frame: FrameType | None = None) -> None:
        """Stop within the grace; the second time at once, which a third may not disturb. A handler of signals."""
        self._signals += 1
        if self._signals == 2:
            raise SystemExit(1)
        self._stop_at = time.monotonic() + self._grace

    def _must_go(self) -> bool:
        return self._stop_at is not None and time.monotonic() >= self._stop_at

    def _do_one(self) -> bool:
        if self._dead:
            give_back_of_dead(self._dead)
            self._dead = []
        if time.monotonic() >= self._reap_at:
            self._reaper.look()
            self._reap_at = time.monotonic() + REAP_EVERY
        if time.monotonic() >= self._upkeep_at:
            chores.keep_up()
            self._upkeep_at = time.monotonic() + UPKEEP_EVERY
        if time.monotonic() >= self._due_at:
            chores.due()
            self._due_at = time.monotonic() + DUE_EVERY
        job = claim(self.name)
        if job:
            perform(job, self._must_go)
            connections.close_all()  # to each job its own: SQLite stages slower on a used one
        return job is not None

    def _sleep(self, seconds: float) -> None:
        """Sleep about so long (workers must not march in step), but no longer than until told to stop."""
        until = time.monotonic() + seconds * random.uniform(0.75, 1.25)  # noqa: S311  # not a secret
        while self._stop_at is None and time.monotonic() < until:
            time.sleep(SLICE)
