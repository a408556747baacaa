"""The overview: every channel at a glance, what happened lately, what needs attention."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accessaudience.roles import VIEWER, role_required
from overview import board


@require_safe
@role_required(VIEWER)
def overview(request: HttpRequest) -> HttpResponse:
    """Show the board, or the first steps while there is nothing to show."""
    channels = board.channels()
    context = {
        "nav_channels": channels,
        "cards": board.cards(channels),
        "lately": board.lately(),
        "attention": board.attention(channels),
    }
    empty = not context["lately"] and not any(channel.segment_count for channel in channels)
    return render(request, f"overview/{'first_run' if empty else 'overview'}.html", context)
