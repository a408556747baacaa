"""Activity: every change set, what each did, and how the undo of a large one is getting on.

Goes in: requests. Comes out: pages, or the fragments of them that htmx asks for; CSV for Admins. Undoing itself is
segments.undo.views.
"""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accessaudience.htmx import render_fragment, wants_fragment
from accessaudience.roles import ADMIN, VIEWER, role_required
from jobs.models import ENDED, Status
from jobs.presence import worker_missing
from jobs.views import seen
from people.audit import Kind, record
from people.models import Person
from segments.activity.form import NOBODY, ActivityForm, NamesForm
from segments.activity.names import CHANGED, CREATED, names
from segments.activity.sets import csv_pieces, deed_of, page_of
from segments.models import ChangeSet
from segments.steps import step
from segments.undo import undoing

PATIENCE = timedelta(minutes=1)  # so long an undo may wait before its page asks whether there is a worker


@require_safe
@role_required(VIEWER)
def activity(request: HttpRequest) -> HttpResponse:
    """Show a page of the change sets that match the search and filters, newest first."""
    filters = ActivityForm(request.GET)
    page = page_of(filters.matching(), older_than=filters.get("older") or 0, newer_than=filters.get("newer") or 0)
    context = {
        "filters": filters,
        "page": page,
        "people": Person.objects.filter(Exists(ChangeSet.objects.filter(user=OuterRef("pk")))).order_by("first_name"),
        "nobody": NOBODY,
        "token": uuid4,
    }
    return render_fragment(request, "segments/activity.html", "segments/_activity.html", context)


@require_safe
@role_required(ADMIN)
def export(request: HttpRequest) -> HttpResponseBase:
    """Send the change sets that match the search and filters, as CSV."""
    record(Kind.EXPORT, request, "Activity")
    return StreamingHttpResponse(
        csv_pieces(ActivityForm(request.GET).matching(), timezone.get_current_timezone()),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="activity.csv"'},
    )


@require_safe
@role_required(VIEWER)
def change(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what one change set did: how much in each channel, and to which segments."""
    deed = deed_of(pk)
    if deed is None:
        raise Http404
    change_set = deed.change_set
    asked = NamesForm(request.GET)
    show = asked.get("show") or (CREATED if deed.created else CHANGED)
    context: dict[str, Any] = {
        "deed": deed,
        "change_set": change_set,
        "undos": change_set.undone_by.select_related("user") if change_set.has_undos else (),
        "counts": {CREATED: deed.created, CHANGED: deed.segments - deed.created},
        "show": show,
        "names": names(change_set, show, asked.get("after") or 0),
        "after": asked.get("after"),
        **_job_context(request, change_set),
    }
    return render(request, "segments/change_set_detail.html", context)


@require_safe
@role_required(VIEWER)
def being_undone(request: HttpRequest, pk: int) -> HttpResponse:
    """Show how the undo of a large change set is getting on: a part of its page, which asks again."""
    change_set = get_object_or_404(ChangeSet, pk=pk)
    if not wants_fragment(request):
        return redirect("segments:change", pk)
    context = _job_context(request, change_set)
    response = render(request, "segments/_undo_job.html", {"change_set": change_set, **context})
    if not context["job"] or context["job"].status in ENDED:
        response["HX-Refresh"] = "true"  # all of the page tells of it now
    return response


def _job_context(request: HttpRequest, change_set: ChangeSet) -> dict[str, Any]:
    """The undo that a worker does, or did, the step it is at; and whether one waits for a worker that is not there."""
    job = undoing.latest(change_set)
    seen(request, job)
    waits = job is not None and job.status == Status.WAITING and timezone.now() - job.created_at > PATIENCE
    return {
        "job": job,
        "is_over": job is not None and job.status in ENDED,
        "step": job and step(job),
        "no_worker": waits and worker_missing(),
    }
