"""How gunicorn serves Access Audience. Where, its supervisor says, or whoever starts it on its own."""

import logging
import os
import shutil
import signal
import sys
import tempfile

from django.core.exceptions import ImproperlyConfigured

from accessaudience import pool, prepare
from accessaudience.parent import SUPERVISOR, end_with, end_with_supervisor

SHARED = "PROMETHEUS_MULTIPROC_DIR"
MADE_HERE = "accessaudience-metrics-"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "accessaudience.settings")

from django.conf import settings  # noqa: E402

worker_class = "accessaudience.receiving.Worker"
worker_connections = 250  # each may hold 160 KiB of a request; who waits longest makes room for who comes
keepalive = 75  # seconds: longer than people look at a page, and than the 60 s after which most proxies close first
sendfile = False  # which would wait for a slow reader as long as they like
timeout = 60  # of silence of a whole worker process, not of a request
graceful_timeout = 30
preload_app = True
loglevel = "warning"
access_log_format = "%(m)s %(U)s %(s)s, %(b)s bytes, %(M)s ms"  # no query string: it holds what people search for
try:
    logconfig_dict = settings.LOGGING
    workers, threads = settings.WEB_CONCURRENCY, settings.WEB_THREADS
except ImproperlyConfigured as error:
    sys.exit(str(error))

# Where the processes of this server share what they count: prometheus_client looks for it when it is imported. HUP and
# USR2 read this file again, with the folder that was made before.
if settings.METRICS_TOKEN and SHARED not in os.environ:
    os.environ[SHARED] = tempfile.mkdtemp(prefix=MADE_HERE)

if SUPERVISOR in os.environ:  # end with it, and prepare what is not yet: in this process, which loads Django once
    end_with_supervisor()
    prepare.main()  # before the application is loaded, which looks for the static files


def when_ready(server):
    """Say where the pages are, and to the supervisor that the worker may start."""
    logging.getLogger("accessaudience").info("%s web processes at %s", workers, ", ".join(map(str, server.LISTENERS)))
    if SUPERVISOR in os.environ:
        print(f"Access Audience is at {os.environ['PUBLIC_ADDRESS']} (stop it with Ctrl-C).", flush=True)
        os.kill(int(os.environ[SUPERVISOR]), signal.SIGUSR1)


def post_fork(server, worker):
    """End with the master, at once: gunicorn itself looks only now and then."""
    end_with(server.pid)
    pool.share_connections()


def on_exit(server):
    """Remove what was counted, unless another server goes on with it: one that this began by USR2, or was begun by."""
    shared = os.environ.get(SHARED, "")
    if MADE_HERE in shared and not (server.reexec_pid or server.master_pid):
        shutil.rmtree(shared, ignore_errors=True)
