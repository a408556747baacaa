"""What workers do besides jobs: what is due, what can wait, and upkeep.

Goes in: the kinds of jobs, each of which names its own chores. Comes out: whatever they do; all of them may be done by
any number of workers at the same time. Must not know: what they do, and who calls when.
"""

import logging

from django.utils.module_loading import import_string

from jobs.lease import kinds
from jobs.models import Notice, Origin

log = logging.getLogger(__name__)


def due() -> None:
    """Let each kind of job put into the queue what is due: every few seconds."""
    for kind in kinds():
        if kind.due:
            import_string(kind.due)()


def use_idle_time() -> bool:
    """Let each kind of job do a little of what can wait; whether there was anything."""
    return any(import_string(kind.idle)() for kind in kinds() if kind.idle)


def keep_up() -> None:
    """Call the upkeep of each kind of job, about once an hour; what storage refuses is tried again next time."""
    Origin.forget_old()
    Notice.forget_old()
    for kind in kinds():
        if kind.upkeep:
            try:
                import_string(kind.upkeep)()
            except OSError as error:
                log.warning("%s did not work: %s", kind.upkeep, error)
