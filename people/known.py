"""Browsers that know an account: somebody has signed in to it with them, second proof included.

Goes in: requests, answers to a sign-in. Comes out: whether a browser is known to an account, by a signed cookie that
says so; nothing of it is kept here. It lets nobody in: it only has tries counted apart from those of strangers, who
could otherwise keep the owner of an account out by guessing at it.
"""

import secrets

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

SALT = "people.known"
DAYS = 180


def remember(response: HttpResponse, email: str) -> None:
    """Have the browser say from now on that it knows the account of `email`; one browser knows one account."""
    said = signing.dumps([_mark(email), secrets.token_urlsafe(12)], salt=SALT)
    age = DAYS * 24 * 60 * 60
    response.set_cookie(
        settings.KNOWN_COOKIE_NAME, said, max_age=age, secure=settings.HTTPS, httponly=True, samesite="Lax"
    )


def known_as(request: HttpRequest, email: str) -> str:
    """Return what tells the browser of `request` from others that know the account of `email`; blank if it does not."""
    try:
        mark, browser = signing.loads(
            request.COOKIES.get(settings.KNOWN_COOKIE_NAME, ""), salt=SALT, max_age=DAYS * 24 * 60 * 60
        )
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return str(browser) if constant_time_compare(mark, _mark(email)) else ""


def _mark(email: str) -> str:
    """What stands for an address in the cookie, which others at the same screen may read."""
    return salted_hmac(SALT, email.lower(), algorithm="sha256").hexdigest()[:32]
