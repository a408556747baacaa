"""How django-allauth behaves here: nobody signs up by themselves, and it speaks our words."""

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from people.models import Person


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types for it
    """Accounts are made by an admin."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": "This email address and password don't belong together. Check both and try again.",
        "too_many_login_attempts": "Too many failed tries. Wait a few minutes, then try again.",
        "enter_current_password": "This is not your current password. Type it again.",
    }

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Person | None:
        """Return who the credentials belong to; nobody inactive, whom it tells no more than a stranger."""
        person: Person | None = super().authenticate(request, **credentials)
        return person if person and person.is_active else None

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return False: an admin makes accounts in Django admin."""
        return False
