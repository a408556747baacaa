"""The Celery app of TASKS_BACKEND=celery: `celery -A jobs.celery worker` and `celery -A jobs.celery beat`.

Goes in: the settings. Comes out: an app that carries "look at this row" from whoever puts a job into the queue to the
workers, and tells them when to do what is due. Must not know: jobs, and what is done with them (jobs.tasks).

Nothing depends on a message: the row is the truth and the queue. One that is lost is sent again (jobs.tasks), one that
comes twice finds a job that does not wait. That is what the values below rest on.
"""

import os
import sys
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import setup_logging
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from kombu.entity import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "accessaudience.settings")
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")  # they load every page's code, of which a worker needs none

QUEUE, CHORES = "accessaudience", "accessaudience-chores"
DUE_EVERY = 15.0  # seconds

try:
    app = Celery("accessaudience", broker=settings.REDIS_URL, include=["jobs.tasks", "jobs.celery_process"])
except ImproperlyConfigured as error:
    sys.exit(str(error))


def _every(task: str, when: Any) -> dict[str, Any]:
    """Return an entry of beat's schedule; a message that waited until the next one is as good is thrown away."""
    return {"task": task, "schedule": when, "options": {"queue": CHORES, "expires": DUE_EVERY}}


app.conf.update(
    accept_content=["json"],
    task_ignore_result=True,  # the row has it
    task_default_queue=QUEUE,
    task_queues=[Queue(QUEUE), Queue(CHORES)],  # those of jobs are counted, so nothing else may be among them
    # A worker has no message but the one that it works on: who is busy keeps no other from those who are not.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_concurrency=1,  # --concurrency says how many jobs one worker does at a time
    # The job goes on, fenced by its lease, whatever becomes of its message.
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # Redis may be away for longer than any number of tries
    broker_transport_options={
        # After so long Redis gives the message of a worker that died to another, and that of a job which still runs.
        "visibility_timeout": 60 * 60,
        "socket_connect_timeout": 1,  # seconds, tried three times: whoever clicks may have to wait for it
        "socket_timeout": 1,
    },
    # Once more, over a new connection: the old one may be from before Redis was started again.
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0},
    worker_redirect_stdouts=False,
    beat_scheduler="celery.beat:Scheduler",  # in memory: nothing that is due depends on when it was last done
    beat_schedule={
        "what is due": _every("jobs.due", DUE_EVERY),
        "what waits without a message": _every("jobs.send_again", DUE_EVERY),
        "what can wait": _every("jobs.use_idle_time", DUE_EVERY),
        "upkeep": _every("jobs.keep_up", crontab(minute="17")),
    },
)


@setup_logging.connect
def leave_logging_alone(**kwargs: Any) -> None:
    """Let logging be as the settings have set it up: Celery asks whether anybody else sees to it."""
