"""Which run of a program this process is, and which runs before it are known to be dead.

Goes in: what the supervisor gives its children. Comes out: numbers of 64 random bits, which no later process will
have, as it may have a process id. Only who has waited for a process to end may call its run dead. Must not know: jobs.
"""

import os
import secrets
from collections.abc import Iterable

BITS = 64
_THIS, _DEAD = "RUN_ID", "DEAD_RUN_IDS"  # environment variables
_REMEMBERED = 100  # of the dead; each was given back by the run after it, unless that died at its start


class Runs:
    """The runs of one program that somebody keeps running: the one to start, and those that have ended."""

    def __init__(self) -> None:
        self._this = ""
        self._dead: list[str] = []

    def start(self) -> dict[str, str]:
        """Return what the environment of the next run tells it; the run before must have ended."""
        if self._this:
            self._dead = [*self._dead, self._this][-_REMEMBERED:]
        self._this = _new()
        return {_THIS: self._this, _DEAD: ",".join(self._dead)}


def this() -> int:
    """Return this process's run: the supervisor's name for it, or one of its own."""
    return _number(os.environ.get(_THIS, "")) or _number(_new())


def dead() -> list[int]:
    """Return the runs before this one that are known to have ended."""
    return [run for run in map(_number, os.environ.get(_DEAD, "").split(",")) if run]


def token(run: int) -> int:
    """Return a number that nobody else has, and which says that `run` made it."""
    return run << BITS | secrets.randbits(BITS)


def tokens(runs: Iterable[int]) -> list[tuple[int, int]]:
    """Return the first and the last token of each run."""
    return [(run << BITS, (run + 1 << BITS) - 1) for run in runs]


def _new() -> str:
    return f"{secrets.randbits(BITS) or 1:016x}"


def _number(text: str) -> int:
    return int(text, 16) if text else 0
