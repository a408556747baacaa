"""Who a session is of, and permissions by role: an Admin may do everything in Django admin, nobody else anything."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import AnonymousUser

from accessaudience.roles import ADMIN, has_role
from people.models import Person


class PersonBackend(AuthenticationBackend):  # type: ignore[misc]  # allauth is not typed
    """Signs in by email, as allauth does, and finds the person of a session with all that every page asks of them."""

    def get_user(self, user_id: Any) -> Person | None:
        """Return the person with their role and the number of their unread notices, in one query."""
        person = Person.objects.for_request().filter(pk=user_id).first()
        return person if person and self.user_can_authenticate(person) else None


class RoleBackend(BaseBackend):
    """Answers Django's questions for permissions by the role; signs nobody in."""

    def has_perm(self, user_obj: Person | AnonymousUser, perm: str, obj: Any = None) -> bool:
        """Return whether `user_obj` is an Admin."""
        return has_role(user_obj, ADMIN)

    def has_module_perms(self, user_obj: Person | AnonymousUser, app_label: str) -> bool:
        """Return whether `user_obj` is an Admin."""
        return has_role(user_obj, ADMIN)
