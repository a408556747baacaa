"""Times as the reader's clock shows them.

Goes in: requests of somebody signed in. Comes out: the same, in the time zone that they chose on their account page;
without a choice, and for strangers, it is the setting TIME_ZONE. Must not know: pages.
"""

from collections.abc import Callable
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

AREAS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


class TimeZones:
    """Shows times in the time zone of who asks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(zone_of(getattr(request.user, "time_zone", ""))):
            return self.get_response(request)


def zone_of(name: str) -> ZoneInfo | None:
    """Return the time zone of that name; None if it is blank, or this machine knows it no more."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


@cache
def choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the names of time zones by their area, each with its place in words."""
    found: dict[str, list[tuple[str, str]]] = {area: [] for area in AREAS}
    for name in sorted(available_timezones()):
        area, _, place = name.partition("/")
        if area in found:
            found[area].append((name, place.replace("_", " ").replace("/", ", ")))
    return [("Everywhere", [("UTC", "UTC")]), *((area, zones) for area, zones in found.items() if zones)]
