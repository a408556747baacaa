"""Whether the service lives and is ready, for load balancers and monitoring; nobody need be signed in.

Goes in: nothing. Comes out: JSON, with status 200 or 503. Must not know: what any app stores.
"""

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.presence import worker_missing


@login_not_required
@require_safe
@never_cache
def live(request: HttpRequest) -> JsonResponse:
    """Return 200: this process answers."""
    return JsonResponse({"status": "ok"})


@login_not_required
@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """Return 200 if the database answers, has every migration, and a worker was seen in the last minute; else 503."""
    found: dict[str, bool | None] = {"database": False, "migrations": None, "worker": None}  # None: cannot be told
    try:
        executor = MigrationExecutor(connection)
        found["database"] = True
        found["migrations"] = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        if found["migrations"]:
            found["worker"] = not worker_missing()
    except DatabaseError:
        found["database"] = False
    well = all(found.values())
    return JsonResponse({"status": "ok" if well else "not ready", **found}, status=200 if well else 503)
