"""Points at which a test may kill this process, to see what is left behind.

Goes in: the name of a point, from the code that passes it. Comes out: nothing, unless the
environment's AA_KILL_AT names the point, as `stage:batch` or, the third time it is passed,
`stage:batch@3`: then the process dies there as by `kill -9`, or gets the signal that AA_KILL_WITH
names (`SIGSTOP`). Unset, as anywhere but in tests, a point costs one comparison. Must not know:
what is done around it.
"""

import os
import signal

_name, _, _times = os.environ.get("AA_KILL_AT", "").partition("@")
_left = int(_times or 1)
_with = signal.Signals[os.environ.get("AA_KILL_WITH", "SIGKILL")]


def reach(point: str) -> None:
    """Pass the point `point`: get the signal here if this is the one that AA_KILL_AT names."""
    global _left
    if point != _name:
        return
    _left -= 1
    if _left == 0:
        print(f"{_with.name} at {point}", flush=True)
        os.kill(os.getpid(), _with)
