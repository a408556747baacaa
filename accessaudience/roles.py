"""Who may do what: the three roles, and the decorator that holds a view to one of them.

Goes in: a view and the role it needs. Comes out: the view, refusing (403) whoever has less.
Must not know: any app of the project. DESIGN: a role includes those below it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

VIEWER = "Viewer"
MARKETER = "Marketer"
ADMIN = "Admin"
ROLES = (VIEWER, MARKETER, ADMIN)  # each includes what those before it may do

View = Callable[..., HttpResponseBase]


def role_of(user: AbstractBaseUser | AnonymousUser) -> str | None:
    """Return the highest role of `user`, or None for somebody without one.

    A superuser is an Admin whatever the groups say. Groups are read once per user object, and not at all
    where it was read together with its `known_role` ("" for none).
    """
    if not user.is_authenticated or not user.is_active:
        return None
    known: str | None = getattr(user, "known_role", None)
    if known is not None:
        return known or None
    cached: str | None | bool = getattr(user, "_role", False)
    if cached is False:
        names = set(user.groups.values_list("name", flat=True))  # type: ignore[attr-defined]  # any user with groups
        if user.is_superuser:  # type: ignore[attr-defined]  # likewise
            names.add(ADMIN)
        cached = next((role for role in reversed(ROLES) if role in names), None)
        user._role = cached  # type: ignore[attr-defined]  # kept for this request
    return cached  # type: ignore[return-value]  # False is no more


def has_role(user: AbstractBaseUser | AnonymousUser, role: str) -> bool:
    """Return whether `user` has `role` or one that includes it."""
    mine = role_of(user)
    return mine is not None and ROLES.index(mine) >= ROLES.index(role)


def role_required(role: str) -> Callable[[View], View]:
    """Refuse (403) who has not `role`; strangers are sent to sign in by LoginRequiredMiddleware."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not has_role(request.user, role):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        guarded.role = role  # type: ignore[attr-defined]  # read by the test of URL x role x method
        return guarded

    return decorate
