"""Permissions by role: an Admin may do everything in Django admin, nobody else anything."""

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import AnonymousUser

from accessaudience.roles import ADMIN, has_role
from people.models import Person


class RoleBackend(BaseBackend):
    """Answers Django's questions for permissions by the role; signs nobody in."""

    def has_perm(self, user_obj: Person | AnonymousUser, perm: str, obj: Any = None) -> bool:
        """Return whether `user_obj` is an Admin."""
        return has_role(user_obj, ADMIN)

    def has_module_perms(self, user_obj: Person | AnonymousUser, app_label: str) -> bool:
        """Return whether `user_obj` is an Admin."""
        return has_role(user_obj, ADMIN)
