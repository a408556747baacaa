"""How long requests take, by view and status: what /metrics tells of them.

Goes in: requests and their answers. Comes out: a histogram, which the processes of one server share through a folder
that gunicorn.conf.py makes before this is imported. Without METRICS_TOKEN nothing is counted. Must not know: any app.
"""

import os
import time
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponseBase
from prometheus_client import Histogram, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

SHARED = "PROMETHEUS_MULTIPROC_DIR"  # the environment variable that prometheus_client itself looks for
NO_VIEW = "none"  # an address that is none of ours, or a request that was refused before one was looked for
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")  # whatever else is sent counts as "other"

disable_created_metrics()  # type: ignore[no-untyped-call]  # several processes cannot tell when they began
REQUESTS = Histogram(
    "accessaudience_request_seconds",
    "Time from a request to the head of its answer, by the name of the view.",
    ("view", "method", "status"),
    buckets=BUCKETS,
    registry=None,
)

Answer = Callable[[HttpRequest], HttpResponseBase]


def measured(get_response: Answer) -> Answer:
    """Middleware: count each request, static files aside, and how long it took."""
    if not settings.METRICS_TOKEN:
        raise MiddlewareNotUsed

    def middleware(request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        response = get_response(request)
        match = request.resolver_match
        method = request.method if request.method in METHODS else "other"
        labels = (match.view_name or NO_VIEW if match else NO_VIEW, method, str(response.status_code))
        REQUESTS.labels(*labels).observe(time.perf_counter() - began)
        return response

    return middleware


def of_all_processes() -> Collector:
    """Return what every process of this server has counted, also those that have ended since."""
    return MultiProcessCollector(None) if SHARED in os.environ else REQUESTS  # type: ignore[no-untyped-call]
