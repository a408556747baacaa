"""Our cookies beside those of the session and of forms: the chosen theme, and what is said on the next page.

Goes in: requests, answers. Comes out: the theme; a store for Django's messages. Under TLS their names have the prefix
by which a browser keeps a cookie to this host and to HTTPS. Must not know: any app.
"""

from typing import Any

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage
from django.http import HttpRequest, HttpResponseBase

THEMES = ("light", "dark")  # anything else follows the device
YEAR = 365 * 24 * 60 * 60


class CookieMessages(CookieStorage):
    """Django's own, under our name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cookie_name = settings.MESSAGES_COOKIE_NAME


class Messages(FallbackStorage):
    """Django's own: in a cookie, or in the session where they are too long for one."""

    storage_classes = (CookieMessages, SessionStorage)


def theme_of(request: HttpRequest) -> str:
    """Return which of THEMES the visitor chose; blank if none."""
    theme = request.COOKIES.get(settings.THEME_COOKIE_NAME, "")
    return theme if theme in THEMES else ""


def keep_theme(response: HttpResponseBase, theme: str) -> None:
    """Have the browser keep `theme`; forget what it kept if that is none of THEMES."""
    name = settings.THEME_COOKIE_NAME
    if theme in THEMES:
        response.set_cookie(name, theme, max_age=YEAR, secure=settings.HTTPS, httponly=True, samesite="Lax")
    else:
        response.delete_cookie(name, samesite="Lax")
