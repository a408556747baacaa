"""How gunicorn serves Access Audience; its supervisor, or whoever starts it, says where."""

import os

from accessaudience.parent import end_with, end_with_supervisor

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "accessaudience.settings")

from django.conf import settings  # noqa: E402

worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 4
timeout = 60  # of silence of a whole worker process, not of a request
graceful_timeout = 30
preload_app = True
loglevel = "warning"
access_log_format = "%(m)s %(U)s %(s)s, %(b)s bytes, %(M)s ms"  # no query string: it holds what people search for
logconfig_dict = settings.LOGGING


def on_starting(server):
    """End with the supervisor, if one started us."""
    end_with_supervisor()


def when_ready(server):
    """Say where the pages are."""
    address = os.environ.get("PUBLIC_ADDRESS")
    if address:
        print(f"Access Audience is at {address} (stop it with Ctrl-C).", flush=True)


def post_fork(server, worker):
    """End with the master, at once: gunicorn itself looks only now and then."""
    end_with(server.pid)
