"""The bell: what a person is told of their own jobs, as a menu, as a page, and taken as read.

Goes in: requests. Comes out: the page, or the menu of it that htmx asks for when the bell is opened. A notice is read
once the page that it leads to was seen: that page calls `seen()`. Must not know: what jobs do.
"""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from accessaudience.htmx import render_fragment, wants_fragment
from accessaudience.roles import VIEWER, role_required
from accessaudience.writelock import if_free
from jobs.lease import request_cancel
from jobs.models import Job, Notice, Status

IN_MENU = 6
ON_PAGE = 50


@require_safe
@role_required(VIEWER)
def notices(request: HttpRequest) -> HttpResponse:
    """Show what became of one's jobs lately, newest first."""
    return _shown(request)


@require_POST
@role_required(VIEWER)
def read(request: HttpRequest) -> HttpResponse:
    """Take all of them as read."""
    _read(request, Notice.objects.of(request.user))
    return _shown(request) if wants_fragment(request) else redirect("jobs:notices")


def seen(request: HttpRequest, job: Job | None) -> None:
    """Take what is told of `job` as read, if the person whose it is looks at its page now."""
    person: Any = request.user
    if job and job.user_id == person.pk:
        _read(request, Notice.objects.of(person).filter(job=job.pk))


def cancel_job(request: HttpRequest, job: Job | None) -> None:
    """Cancel `job` if nothing of it has been written yet, and say what came of that."""
    if job and (request_cancel(job) or job.status == Status.CANCELLED):
        messages.success(request, "Cancelled. Nothing was changed.")
    else:
        messages.error(request, "It was too late to cancel this. You can undo it instead.")


def _read(request: HttpRequest, some: Any) -> None:
    person: Any = request.user
    with if_free():  # on SQLite an import is being written: it stays unread until the next look
        person.unread = max(0, getattr(person, "unread", 0) - some.read())


def _shown(request: HttpRequest) -> HttpResponse:
    found = Notice.objects.of(request.user)[: IN_MENU if wants_fragment(request) else ON_PAGE]
    return render_fragment(request, "jobs/notice_list.html", "jobs/_bell_menu.html", {"notices": list(found)})
