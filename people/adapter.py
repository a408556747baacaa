"""How django-allauth behaves here: nobody signs up by themselves, and it speaks our words."""

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse

from people.audit import Kind, record
from people.mail import address_of, send_later
from people.models import Person


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
        """Refuse who tried too often, and record that."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            record(Kind.REFUSED, request, credentials.get("email") or credentials.get("username") or "")
            raise

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
