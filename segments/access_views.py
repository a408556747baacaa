"""The tab Access of Activity, for Admins: who signed in, who could not, what was done to roles, keys and exports."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accessaudience.htmx import render_fragment
from accessaudience.roles import ADMIN, role_required
from people.audit import Kind, record
from segments.access import AccessForm, csv_pieces, page_of


@require_safe
@role_required(ADMIN)
def access(request: HttpRequest) -> HttpResponse:
    """Show a page of the events that match, newest first."""
    filters = AccessForm(request.GET)
    context = {"filters": filters, "page": page_of(filters)}
    return render_fragment(request, "segments/access.html", "segments/_access.html", context)


@require_safe
@role_required(ADMIN)
def export(request: HttpRequest) -> HttpResponseBase:
    """Send the events that match, as CSV; that this was done is one of them."""
    record(Kind.EXPORT, request, "The record of access")
    return StreamingHttpResponse(
        csv_pieces(AccessForm(request.GET).matching(), timezone.get_current_timezone()),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="access.csv"'},
    )
