"""How django-allauth behaves here: nobody signs up by themselves, and it speaks our words."""

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal import ratelimit
from allauth.core.internal.ratelimit import RateLimitUsage
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from people.audit import Kind, record
from people.known import known_as, remember
from people.mail import address_of, send_later
from people.models import Person

APP = "allauth.account"  # whose counts, named in ACCOUNT_RATE_LIMITS, these are


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types for it
    """Accounts are made by an admin."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": "This email address and password don't belong together. Check both and try again.",
        "too_many_login_attempts": "Too many failed tries. Wait a few minutes, then try again.",
        "incorrect_password": "This is not your password. Type it again.",
        "rate_limited": "That was tried too often. Wait a few minutes, then try again.",
        "enter_current_password": "This is not your current password. Type it again.",
    }

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Refuse who tried too often, and record that.

        Tries are counted for each account and address; what all strangers together may try at an account is counted
        too, but a browser that knows it is counted by itself, so that nobody is kept out by others' guesses.
        """
        login = _login(credentials)
        known = known_as(request, login)
        counts = {"known_failed": f"{login} {known}"} if known else self._strangers(request, login)
        usage = RateLimitUsage([])
        for action, key in counts.items():
            counted = ratelimit.consume(request, app=APP, action=action, key=key)
            if counted is None:
                usage.rollback()
                record(Kind.REFUSED, request, login)
                raise self.validation_error("too_many_login_attempts")
            usage.usage += counted.usage
        self._login_failed_rl_usage = usage  # which django-allauth takes back where the password is right

    def _strangers(self, request: HttpRequest, login: str) -> dict[str, str]:
        return {"login_failed": f"{login} {ratelimit.get_ip(request)}", "guessed": login}

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        """Count anew, after a password was set by the link of a mail."""
        for action, key in self._strangers(request, _login(credentials)).items():
            ratelimit.clear(request, app=APP, action=action, key=key)

    def post_login(self, request: HttpRequest, user: Person, **how: Any) -> HttpResponse:
        """Go on after a sign-in that is whole; the browser is known from now on."""
        response: HttpResponse = super().post_login(request, user, **how)
        remember(response, user.email)
        return response

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Person | None:
        """Return who the credentials belong to; nobody inactive, whom it tells no more than a stranger."""
        person: Person | None = super().authenticate(request, **credentials)
        return person if person and person.is_active else None

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return False: admins invite people."""
        return False

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the address of a link to reset a password, on our own site whatever the request says."""
        person, _, token = key.partition("-")
        return address_of(reverse("account_reset_password_from_key", kwargs={"uidb36": person, "key": token}))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a mail without making anybody wait for it."""
        send_later(self.render_mail(template_prefix, email, {"email": email, **context}))


def _login(credentials: dict[str, Any]) -> str:
    """Return what somebody signs in with."""
    return str(credentials.get("email") or credentials.get("username") or "").lower()
