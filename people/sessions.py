"""Sessions: how long one lasts, where somebody is signed in, and ending them.

Goes in: requests of somebody signed in. Comes out: the same, or a stranger's where the session is over.
Must not know: pages. When a session was last used is noted every few minutes, not at each request.
"""

import time
from collections.abc import Callable
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse

from people.models import Person

BEGAN, SEEN = "began", "seen"  # in the session, in seconds since 1970
NOTE_EVERY = 5 * 60
HOUR, DAY = 60 * 60, 24 * 60 * 60
BROWSERS = {"Edg": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Macintosh": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
PHONES = ("iPhone", "iPad", "Android")


class SessionLimits:
    """Ends a session that nobody used for SESSION_IDLE_HOURS, or that is older than SESSION_DAYS."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and not _goes_on(request):
            request.session.flush()
            request.user = AnonymousUser()
        return self.get_response(request)


def begin(sender: Any, request: HttpRequest, user: Person, **kwargs: Any) -> None:
    """Start the clocks of a session: called when somebody has signed in."""
    request.session[BEGAN] = request.session[SEEN] = int(time.time())


def _goes_on(request: HttpRequest) -> bool:
    now = int(time.time())
    began, seen = request.session.get(BEGAN), request.session.get(SEEN)
    if began is None or seen is None:  # it was begun before there were limits
        begin(None, request, request.user)  # type: ignore[arg-type]  # somebody signed in
        return True
    if now - began >= settings.SESSION_DAYS * DAY or now - seen >= settings.SESSION_IDLE_HOURS * HOUR:
        return False
    if now - seen >= NOTE_EVERY:
        request.session[SEEN] = now
        UserSession.objects.create_from_request(request)
    return True


def sessions_of(request: HttpRequest) -> list[UserSession]:
    """Return where the person of `request` is signed in: this session first, then the last used."""
    UserSession.objects.create_from_request(request)  # however it began, and as of now
    found: list[UserSession] = UserSession.objects.purge_and_list(request.user)
    return sorted(found, key=lambda each: (not each.is_current(), -each.last_seen_at.timestamp()))


def end_others(request: HttpRequest, person: Person) -> None:
    """End every session of `person` but the one of `request`."""
    person.end_sessions()
    update_session_auth_hash(request, person)
    UserSession.objects.create_from_request(request)


def device(user_agent: str) -> str:
    """Return the browser and system that `user_agent` claims to be: "Chrome on macOS"."""
    browser = next((name for mark, name in BROWSERS.items() if mark in user_agent), "A browser")
    system = next((name for mark, name in SYSTEMS.items() if mark in user_agent), "")
    return f"{browser} on {system}" if system else browser


def is_phone(user_agent: str) -> bool:
    """Return whether `user_agent` claims to be a phone or tablet."""
    return any(mark in user_agent for mark in PHONES)
