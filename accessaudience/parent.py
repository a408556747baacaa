"""A process that ends when the one that started it has gone, however that went.

Goes in: the process id of the parent. Comes out: SIGTERM to oneself once it is no longer the parent.
Must not know: what either process does. Linux tells a child by itself (prctl); elsewhere a thread looks.
"""

import ctypes
import os
import signal
import sys
import threading
import time

SUPERVISOR = "SUPERVISOR_PID"  # the environment variable that the supervisor gives its children
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LOOK_EVERY = 1.0  # seconds


def end_with_supervisor() -> None:
    """End when the supervisor that started this process does; without one, do nothing."""
    pid = os.environ.get(SUPERVISOR)
    if pid:
        end_with(int(pid))


def end_with(parent: int) -> None:
    """Have SIGTERM sent to this process when `parent`, which started it, is gone: at once if it already is."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    else:
        threading.Thread(target=_look, args=(parent,), name="parent watch", daemon=True).start()
    if os.getppid() != parent:  # it went before we could ask to be told
        os.kill(os.getpid(), signal.SIGTERM)


def _look(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)
