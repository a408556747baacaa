"""The overview: every channel at a glance, what happened lately, what needs attention."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accessaudience.roles import VIEWER, role_required
from integrations.models import KlaviyoAccount
from overview import board
from overview.trend import trend


@require_safe
@role_required(VIEWER)
def overview(request: HttpRequest) -> HttpResponse:
    """Show the board, or the first steps while there is nothing to show."""
    channels = board.channels()
    cards = board.cards(channels)
    context = {
        "nav_channels": channels,
        "cards": cards,
        "lately": board.lately(),
        "attention": board.attention(cards),
    }
    if not context["lately"] and not any(channel.segment_count for channel in channels):
        connected = KlaviyoAccount.objects.connected().exists()
        return render(request, "overview/first_run.html", context | {"connected": connected})
    return render(request, "overview/overview.html", context | {"trend": trend(channels)})
