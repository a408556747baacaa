"""The page Across channels: each segment once, with a switch for each channel, or the way to add it there.

Goes in: requests. Comes out: the page, or the fragment of it that htmx asks for. What its switches and buttons do is
done by the views of the channels.
"""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_safe

from accessaudience.htmx import render_fragment
from accessaudience.roles import VIEWER, role_required
from channels.models import Channel
from people.audit import Kind, record
from segments.across.pages import csv_rows, page_of
from segments.across.rules import Wanted, shows, sorts
from segments.export import csv_of, formula_safe
from segments.forms import ANY, FilterForm, Heading
from segments.queries import COUNT_CAP, GONE
from segments.views import rows_per_page


class AcrossForm(FilterForm):
    """The search and filters above the table; what is not understood is left out, never an error."""

    status = forms.ChoiceField(
        required=False,
        choices=[
            (ANY, "All statuses"),
            ("active", "Active in all its channels"),
            ("inactive", "Inactive somewhere"),
            (GONE, "Gone from Klaviyo"),
        ],
    )
    show = forms.CharField(required=False)
    sort = forms.CharField(required=False)  # type: ignore[assignment]  # a choice there; here the channels name them

    def __init__(self, data: Any, channels: Sequence[Channel]) -> None:
        self.channels = channels
        self.shows = shows(channels)
        self.sorts = sorts(channels)
        super().__init__(data)

    def clean_sort(self) -> str:
        """Return the order; by name, if there is no such."""
        sort: str = self.cleaned_data["sort"]
        return sort if sort in self.sorts else ANY

    @property
    def sort_label(self) -> str:
        """The order in words."""
        return self.sorts[self.sorting].label

    @property
    def sort_choices(self) -> list[tuple[str, str]]:
        """The orders there are, and what they are called."""
        return [(name, sort.label) for name, sort in self.sorts.items()]

    @property
    def by_name(self) -> Heading:
        """The head of the first column."""
        return Heading.of("name", self.sorting)

    @property
    def by_channel(self) -> list[tuple[Channel, Heading]]:
        """The heads of the columns of the channels."""
        return [(channel, Heading.of(f"in-{channel.slug}", self.sorting, channel.name)) for channel in self.channels]

    def clean_show(self) -> str:
        """Return what shall be shown by where it is; all, if there is no such channel."""
        show: str = self.cleaned_data["show"]
        return show if show in self.shows else ANY

    @property
    def wanted(self) -> Wanted:
        """What is looked for."""
        return Wanted(*(self.get(name) for name in ("q", "status", "source", "show", "only")))


@require_safe
@role_required(VIEWER)
def across(request: HttpRequest) -> HttpResponse:
    """Show a page of the segments of all channels."""
    channels = list(Channel.objects.all())  # the navigation shows them all: one query for both
    filters = AcrossForm(request.GET, channels)
    wanted = filters.wanted
    page = page_of(channels, wanted, filters.sorting, filters.get("cursor"), rows_per_page(request, filters))
    context = {
        "nav_channels": channels,
        "filters": filters,
        "is_filled": any(channel.segment_count for channel in channels),
        "page": page,
        "chips": [(show, label, page.counts.get(show)) for show, label in filters.shows.items()],
        "show": wanted.show,
        "count": page.counts.get(wanted.show),
        "cap": COUNT_CAP,
        "path": request.path,
        "token": uuid4,  # another for each form
    }
    return render_fragment(request, "segments/across.html", "segments/_across.html", context)


@require_safe
@role_required(VIEWER)
def export(request: HttpRequest) -> HttpResponseBase:
    """Send the segments of all channels that match the search and filters, in their order, as CSV."""
    channels = list(Channel.objects.all())
    filters = AcrossForm(request.GET, channels)
    record(Kind.EXPORT, request, "Segments across channels")
    header = ("Segment name", "Segment ID", *(formula_safe(channel.name) for channel in channels))
    return StreamingHttpResponse(
        csv_of(header, csv_rows(channels, filters.wanted, filters.sorting)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="segments-across-channels.csv"'},
    )
