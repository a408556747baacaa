"""The page Across channels: each segment once, with a switch for each channel, or the way to add it there.

Goes in: requests. Comes out: the page, or the fragment of it that htmx asks for. What its switches and buttons do is
done by the views of the channels.
"""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from django import forms
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from accessaudience.htmx import render_fragment
from accessaudience.roles import VIEWER, role_required
from channels.models import Channel
from segments.across import Wanted, page_of, shows
from segments.forms import ANY, FilterForm
from segments.views import rows_per_page


class AcrossForm(FilterForm):
    """The search and filters above the table; what is not understood is left out, never an error."""

    status = forms.ChoiceField(
        required=False,
        choices=[(ANY, "All statuses"), ("active", "Active in all its channels"), ("inactive", "Inactive somewhere")],
    )
    show = forms.CharField(required=False)
    only = None  # type: ignore[assignment]  # no field here: Django's way to leave out what a form inherits
    sort = None  # type: ignore[assignment]

    def __init__(self, data: Any, channels: Sequence[Channel]) -> None:
        self.shows = shows(channels)
        super().__init__(data)

    def clean_show(self) -> str:
        """Return what shall be shown by where it is; all, if there is no such channel."""
        show: str = self.cleaned_data["show"]
        return show if show in self.shows else ANY

    @property
    def wanted(self) -> Wanted:
        """What is looked for."""
        return Wanted(*(self.get(name) for name in ("q", "status", "source", "show")))


@require_safe
@role_required(VIEWER)
def across(request: HttpRequest) -> HttpResponse:
    """Show a page of the segments of all channels."""
    channels = list(Channel.objects.all())  # the navigation shows them all: one query for both
    filters = AcrossForm(request.GET, channels)
    wanted = filters.wanted
    page = page_of(channels, wanted, filters.get("cursor"), rows_per_page(request, filters))
    context = {
        "nav_channels": channels,
        "filters": filters,
        "is_filled": any(channel.segment_count for channel in channels),
        "page": page,
        "chips": [(show, label, page.counts.get(show)) for show, label in filters.shows.items()],
        "show": wanted.show,
        "count": page.counts.get(wanted.show),
        "path": request.path,
        "token": uuid4,  # another for each form
    }
    return render_fragment(request, "segments/across.html", "segments/_across.html", context)
