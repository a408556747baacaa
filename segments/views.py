"""The Segments tab as one reads it: the list, one segment, the export.

Goes in: requests. Comes out: pages, or the fragments of them that htmx asks for. What changes segments is in
segments.change_views.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods, require_safe

from accessaudience.htmx import render_fragment, wants_fragment
from accessaudience.roles import VIEWER, role_required
from accessaudience.writelock import if_free
from channels.models import Channel
from people.audit import Kind, record
from segments.bulk.forms import ChosenForm
from segments.elsewhere import Hits, hits
from segments.export import csv_pieces
from segments.forms import FilterForm, HistoryForm
from segments.history import history
from segments.models import Segment
from segments.pages import SIZES, page_of
from segments.queries import COUNT_CAP


@require_safe
@role_required(VIEWER)
def segment_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a page of a channel's segments that match the search and filters."""
    channels = list(Channel.objects.all())  # the navigation shows them all: one query for both
    channel = next((each for each in channels if each.slug == slug), None)
    if channel is None:
        raise Http404
    template = "segments/segment_list.html", "segments/_segments.html"
    context = list_context(request, channel, channels) | {"nav_channels": channels}
    response = render_fragment(request, *template, context)
    if not (channel.segment_count or context["filters"].narrows) and wants_fragment(request):
        response["HX-Refresh"] = "true"  # the list became empty: another page altogether
    return response


def list_context(request: HttpRequest, channel: Channel, channels: Iterable[Channel] | None = None) -> dict[str, Any]:
    """What the list shows. A count of matches stops at COUNT_CAP; of all segments the channel knows its own.

    `channels` are all there are, where they are known already.
    """
    filters = FilterForm(request.GET)
    search = filters.chosen.search(channel)
    size = rows_per_page(request, filters)
    page = page_of(search, filters.sorting, filters.get("cursor"), size)
    count = channel.segment_count
    if search.known.too_many and not filters.limits:
        count = COUNT_CAP + 1
    elif filters.narrows:
        count = page.end if page.is_all else search.rows.capped_count()
    capped = filters.narrows and count > COUNT_CAP
    if capped:
        count = COUNT_CAP
    return {
        "channel": channel,
        "filters": filters,
        "page": page,
        "count": count,
        "capped": capped,
        "size": size,
        "page_number": -(-page.start // size) + 1,
        "page_count": max(1, -(-count // size)),
        "path": channel.get_absolute_url(),
        "token": uuid4,  # another for each form
        "elsewhere": [] if page.rows else elsewhere(channel, channels, filters.get("q")),
    }


def elsewhere(channel: Channel, channels: Iterable[Channel] | None, text: str) -> list[Hits]:
    """What a search finds in the channels but `channel`."""
    return hits((each for each in channels or Channel.objects.all() if each.pk != channel.pk), text)


def rows_per_page(request: HttpRequest, filters: FilterForm) -> int:
    """How many rows the user wants: as said now, or the last time, wherever they were signed in.

    What is said while SQLite is being written holds for this page: reading waits for nobody.
    """
    person: Any = request.user  # a Person: nobody else gets here
    wanted = filters.get("rows")
    if wanted and wanted != person.rows_per_page:
        person.rows_per_page = wanted
        with if_free():
            person.save(update_fields=["rows_per_page"])
    return int(person.rows_per_page or SIZES[0])


@require_safe
@role_required(VIEWER)
def detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show all that is known of a segment: its values, where it came from, every change."""
    segments = Segment.objects.select_related("channel", "created_in__user")
    segment = get_object_or_404(segments, channel__slug=slug, pk=pk)
    context = {
        "segment": segment,
        "channel": segment.channel,
        "link": urlsplit(segment.link),
        "history": history(segment, HistoryForm(request.GET).before_change),
        "token": uuid4,
    }
    return render_fragment(request, "segments/segment_detail.html", "segments/_segment_detail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(VIEWER)
def export(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Send the segments that were ticked, or all that match the search and filters, as CSV."""
    channel = get_object_or_404(Channel, slug=slug)
    form = ChosenForm(request.POST or request.GET, channel=channel)
    if not form.is_valid():
        return HttpResponseBadRequest("The segments to export are not understood. Select them in the list again.")
    record(Kind.EXPORT, request, f"Segments of {channel}")
    return StreamingHttpResponse(
        csv_pieces(form.segments),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{channel.slug}-segments.csv"'},
    )
