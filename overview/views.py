"""The overview: every channel at a glance, what happened lately, what needs attention."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accessaudience.roles import VIEWER, role_required


@require_safe
@role_required(VIEWER)
def overview(request: HttpRequest) -> HttpResponse:
    """Show the channels."""
    return render(request, "overview/overview.html")
