"""What /metrics answers, in the words of Prometheus: the queue, imports, syncs, workers, and how long requests take.

Goes in: METRICS_TOKEN, as the bearer of the request. Comes out: numbers, and no name of anything that people made.
All but the requests is read from the database as it is asked, so that every process says the same.
Must not know: how any of it is done.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.db.models import Count, F, Max, Q, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from accessaudience.latency import of_all_processes
from imports.models import ImportChannel, ImportJob
from integrations.models import SyncJob
from jobs.models import ENDED, BeatSeen, Job, Status, WorkerSeen
from jobs.presence import MISSING_AFTER
from jobs.queue import standings
from segments.models import SearchBacklog

RECENT_IMPORTS, RECENT_SYNCS = timedelta(hours=1), timedelta(days=1)
SYNC_OUTCOMES = (*ENDED, Status.NEEDS_ANSWER)
PREFIX = "accessaudience_"


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the figures to who knows METRICS_TOKEN; 404 if there is none, 401 to everybody else."""
    if not settings.METRICS_TOKEN:
        raise Http404
    if not constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {settings.METRICS_TOKEN}"):
        return HttpResponse("Say METRICS_TOKEN.\n", "text/plain", 401, headers={"WWW-Authenticate": "Bearer"})
    registry = CollectorRegistry()
    registry.register(Figures())
    registry.register(of_all_processes())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type)


class Figures(Collector):
    """What the database says, as one look at it; of a database that does not answer, only that."""

    def collect(self) -> Iterator[Metric]:
        """Yield every figure."""
        try:
            found = [figure for part in (queue, imports, syncs, workers) for figure in part(timezone.now())]
        except DatabaseError:
            found = []
        yield gauge("database_up", "1 if the database answers and has what is read here, else 0.", bool(found))
        yield from found


def gauge(name: str, told: str, value: float | None = None, labels: tuple[str, ...] = ()) -> GaugeMetricFamily:
    """Return a figure; one with labels is given its values by the caller."""
    return GaugeMetricFamily(PREFIX + name, told, value=value, labels=labels or None)


def queue(now: datetime) -> Iterator[GaugeMetricFamily]:
    """Yield how many jobs there are, how long the oldest waits, and how much the search has to catch up with."""
    jobs = gauge("jobs", "Jobs, by kind and status.", labels=("kind", "status"))
    oldest = gauge(
        "oldest_waiting_job_seconds", "How long the oldest waiting job waits; 0 if none does.", labels=("kind",)
    )
    for each in standings():
        for status, number in each.jobs.items():
            jobs.add_metric((each.kind, status), number)
        waits = (now - each.waiting_since).total_seconds() if each.waiting_since else 0.0
        oldest.add_metric((each.kind,), max(0.0, waits))
    yield jobs
    yield oldest
    yield gauge(
        "search_backlog", "Changes that the index of the search has not taken in.", SearchBacklog.objects.count()
    )


def imports(now: datetime) -> Iterator[GaugeMetricFamily]:
    """Yield what came of the rows of recent imports, and how fast that was, reading and checking included."""
    done = Q(status=Status.DONE, goal=Job.Goal.RUN, finished_at__gte=now - RECENT_IMPORTS)
    recent = ImportJob.objects.order_by().filter(done, started_at__isnull=False)
    took = recent.aggregate(took=Sum(F("finished_at") - F("started_at")))["took"] or timedelta(0)
    sums = {outcome: Sum(outcome, default=0) for outcome in ImportChannel.COUNTS}
    counts = ImportChannel.objects.order_by().filter(job__in=recent).aggregate(**sums)
    rows = gauge("recent_import_rows", "Rows of imports that ended well in the last hour.", labels=("outcome",))
    for outcome, number in counts.items():
        rows.add_metric((outcome,), number)
    seconds = took.total_seconds()
    yield rows
    yield gauge("recent_import_seconds", "How long those imports took together, from their start.", seconds)
    if seconds:
        told = "Rows of those imports by the second that they took; absent if there were none."
        yield gauge("recent_import_rows_per_second", told, sum(counts.values()) / seconds)


def syncs(now: datetime) -> Iterator[GaugeMetricFamily]:
    """Yield how the syncs of the last day ended, and when the last one ended well."""
    recent = Count("pk", filter=Q(created_at__gte=now - RECENT_SYNCS))
    found = SyncJob.objects.syncs().order_by().filter(status__in=SYNC_OUTCOMES).values_list("status")
    by_status = {
        status: (number, last) for status, number, last in found.annotate(number=recent, last=Max("finished_at"))
    }
    outcomes = gauge("recent_syncs", "Syncs begun in the last 24 hours, by how they ended.", labels=("outcome",))
    for outcome in SYNC_OUTCOMES:
        outcomes.add_metric((outcome.value,), by_status.get(outcome.value, (0, None))[0])
    yield outcomes
    last = by_status.get(Status.DONE.value, (0, None))[1]
    if last:
        yield gauge("last_good_sync_timestamp_seconds", "When a sync last ended well.", last.timestamp())


def workers(now: datetime) -> Iterator[GaugeMetricFamily]:
    """Yield how many workers there are, and when one was last seen."""
    seen = WorkerSeen.objects.aggregate(
        number=Count("pk", filter=Q(seen_at__gte=now - MISSING_AFTER)), last=Max("seen_at")
    )
    yield gauge("workers_seen", "Workers seen in the last minute.", seen["number"])
    if seen["last"]:
        told = "When a worker was last seen."
        yield gauge("worker_last_seen_timestamp_seconds", told, seen["last"].timestamp())
    beats = BeatSeen.objects.filter(seen_at__gte=now - MISSING_AFTER).count()
    yield gauge("beats_seen", "Beats of Celery seen in the last minute.", beats)
