"""The record of access: who got in and who did not, who may do what, which keys and exports there were.

Goes in: what happened, told by whoever does it; what Django and django-allauth do is heard by their signals. Comes
out: rows of AccessEvent, which are only ever added. Must not know: who reads them. It lies below all who write to it.
"""

from datetime import timedelta
from typing import Any

from allauth.account import signals as account
from allauth.core.internal.httpkit import get_client_ip
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.signals import user_logged_out, user_login_failed
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone

from people.models import AccessEvent, Person

Kind = AccessEvent.Kind


def record(kind: str, request: HttpRequest | None, about: object = "", *, person: Any = None) -> None:
    """Add that somebody did `kind` to `about`: whoever sent `request`, unless `person` says who.

    Without a request it was done on the command line.
    """
    if person is None and request is not None:
        person = getattr(request, "user", None)
    if not isinstance(person, Person):
        person = None
    AccessEvent.objects.create(
        kind=kind,
        person_id=person.pk if person else None,
        person_name=str(person)[:320] if person else "",
        about=str(about)[:400],
        address=get_client_ip(request) if request is not None else None,
        user_agent=request.headers.get("user-agent", "")[:200] if request is not None else "command line",
    )


def forget_the_oldest() -> None:
    """Remove events older than ACCESS_LOG_DAYS, and sessions that are over."""
    now = timezone.now()
    AccessEvent._base_manager.filter(at__lt=now - timedelta(days=settings.ACCESS_LOG_DAYS)).delete()
    Session.objects.filter(expire_date__lt=now).delete()


def signed_in(sender: Any, request: HttpRequest, user: Person, **kwargs: Any) -> None:
    """Record a sign-in that is whole, second proof included; an occasion to clear away what is too old."""
    record(Kind.SIGN_IN, request, person=user)
    forget_the_oldest()


def failed(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    """Record an address and password that do not belong together; the address alone is kept."""
    record(Kind.FAILED, request, credentials.get("email") or credentials.get("username") or "")


def failed_code(sender: Any, request: HttpRequest, user: Person, **kwargs: Any) -> None:
    """Record a wrong code after the right password."""
    record(Kind.FAILED, request, f"{user.email}, by a wrong code")


def signed_out(sender: Any, request: HttpRequest, user: Person | None, **kwargs: Any) -> None:
    """Record a sign-out of somebody who was signed in."""
    if user is not None:
        record(Kind.SIGN_OUT, request, person=user)


def password_changed(sender: Any, request: HttpRequest, user: Person, **kwargs: Any) -> None:
    """Record a new password that its person chose."""
    record(Kind.PASSWORD, request, person=user)


def password_reset(sender: Any, request: HttpRequest, user: Person, **kwargs: Any) -> None:
    """Record a new password by the link of a mail."""
    record(Kind.PASSWORD, request, "By a link in a mail", person=user)


def proof_added(sender: Any, request: HttpRequest, user: Person, authenticator: Authenticator, **kwargs: Any) -> None:
    """Record that the second proof is on; the codes that come with it are part of it."""
    if authenticator.type == Authenticator.Type.TOTP:
        record(Kind.TWO_FACTOR, request, "On", person=user)


def proof_removed(sender: Any, request: HttpRequest, user: Person, authenticator: Authenticator, **kwargs: Any) -> None:
    """Record that the second proof is off."""
    if authenticator.type == Authenticator.Type.TOTP:
        record(Kind.TWO_FACTOR, request, "Off", person=user)


def codes_made(sender: Any, request: HttpRequest, user: Person, **kwargs: Any) -> None:
    """Record new recovery codes."""
    record(Kind.TWO_FACTOR, request, "New recovery codes", person=user)


def listen() -> None:
    """Hear what Django and django-allauth tell."""
    account.user_logged_in.connect(signed_in, dispatch_uid="people.audit")
    account.password_changed.connect(password_changed, dispatch_uid="people.audit")
    account.password_reset.connect(password_reset, dispatch_uid="people.audit")
    mfa.authenticator_added.connect(proof_added, dispatch_uid="people.audit")
    mfa.authenticator_removed.connect(proof_removed, dispatch_uid="people.audit")
    mfa.authenticator_reset.connect(codes_made, dispatch_uid="people.audit")
    mfa.authentication_failed.connect(failed_code, dispatch_uid="people.audit")
    user_login_failed.connect(failed, dispatch_uid="people.audit")
    user_logged_out.connect(signed_out, dispatch_uid="people.audit")
