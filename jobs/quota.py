"""How much one person may have waiting, so that a queue is everybody's.

Goes in: a person. Comes out: nothing, or TooMuch, which says what to do. Counted in the database, which all processes
share. Must not know: what kinds of jobs there are.
"""

from typing import Any

from django.conf import settings

from accessaudience.errors import TooMuch
from jobs.lease import kinds
from jobs.models import Status

LOOK_AGAIN = 60  # seconds


def may_wait(user: Any) -> None:
    """Raise TooMuch if `user` has as many jobs waiting as one person may; nobody in particular has no limit."""
    if user is None:
        return
    waiting = sum(kind._default_manager.filter(user=user, status=Status.WAITING).count() for kind in kinds())
    if waiting >= settings.WAITING_JOBS:
        raise TooMuch(
            f"{waiting} jobs of yours are waiting, as many as one person may have. "
            "Wait until some of them are done, or cancel what you do not need.",
            LOOK_AGAIN,
        )
