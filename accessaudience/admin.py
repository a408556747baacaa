"""Django admin for the role Admin, entered and left by the same doors as the application."""

from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from accessaudience.roles import ADMIN, has_role


class RoleAdminSite(admin.AdminSite):
    """Django's admin site, by role instead of by `is_staff`."""

    site_header = "Access Audience"
    site_title = "Access Audience"
    index_title = "Administration"
    site_url = "/"
    enable_nav_sidebar = True

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether an Admin asks."""
        return has_role(request.user, ADMIN)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Refuse (403) who has not the role, where Django would ask to sign in again, and (400) what is no text."""
        guarded = super().admin_view(view, cacheable)

        @wraps(guarded)
        def by_role(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.user.is_authenticated and not self.has_permission(request):
                raise PermissionDenied
            if "%00" in request.get_full_path():
                raise BadRequest  # Django gives it to PostgreSQL, which takes none
            response: HttpResponseBase = guarded(request, *args, **kwargs)
            return response

        return by_role

    @login_not_required
    def login(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
        """Send a stranger to sign in; refuse (403) who is signed in without the role."""
        if not request.user.is_authenticated:
            return redirect_to_login(request.GET.get("next") or reverse("admin:index"))
        if not self.has_permission(request):
            raise PermissionDenied
        return redirect("admin:index")

    def password_change(  # type: ignore[override]  # a redirect instead of Django's own page
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Send to the account's own page."""
        return redirect("account_change_password")


class ReadOnly:
    """Of a class of Django admin: everything may be seen, nothing added, changed or deleted there."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds one here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes one."""
        return False
