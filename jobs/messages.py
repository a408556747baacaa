"""Messages to the workers of Celery: "look at this row". With TASKS_BACKEND=database there are none.

Goes in: the kind and the id of a job that waits, and nothing else. Comes out: a message, sent once the row is
committed; or, where Redis is away, a line in the log: jobs.tasks.send_again sends it later. Must not know: jobs.
"""

import logging
import time
import uuid
from functools import partial

from django.conf import settings
from django.db import transaction

log = logging.getLogger(__name__)

PERFORM = "jobs.perform"  # the task
PATIENCE = 5.0  # seconds
SPARED = 5.0  # seconds after a failure in which nobody is made to wait for Redis again

_spared_until = 0.0


def announce(kind: str, pk: uuid.UUID) -> None:
    """Have workers told of a job, once what is being written is committed. Nothing that goes wrong then is raised."""
    if settings.TASKS_BACKEND == "celery":
        transaction.on_commit(partial(send, kind, pk), robust=True)


def send(kind: str, pk: uuid.UUID) -> bool:
    """Tell workers of a job now; return whether that could be done."""
    from kombu.exceptions import OperationalError
    from redis import RedisError

    from jobs.celery import app

    global _spared_until
    if time.monotonic() < _spared_until:
        return False
    try:
        app.send_task(PERFORM, (kind, str(pk)))
    except (OperationalError, RedisError, OSError) as error:
        _spared_until = time.monotonic() + SPARED
        log.warning("no worker could be told of %s %s, it is told later: Redis: %s", kind, pk, error)
        return False
    return True


def unread() -> int:
    """Return how many messages of jobs no worker has taken yet. Raises RedisError."""
    from redis import Redis

    from jobs.celery import QUEUE

    with Redis.from_url(settings.REDIS_URL, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE) as redis:
        return int(redis.llen(QUEUE))
