"""What the shell of every page shows: the channels, what the user may do, and the theme.

Goes in: a request. Comes out: template variables; the channels cost one query, and only where
a template shows them. Must not know: segments, imports.
"""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accessaudience.cookies import theme_of
from accessaudience.roles import ADMIN, MARKETER, has_role, role_of
from channels.models import Channel


def shell(request: HttpRequest) -> dict[str, Any]:
    """Return `nav_channels`, `role`, `can_change` (Marketer upward), `is_admin`, `unread` (notices) and `theme`."""
    return {
        "nav_channels": Channel.objects.all(),
        "role": SimpleLazyObject(lambda: role_of(request.user) or ""),
        "can_change": SimpleLazyObject(lambda: has_role(request.user, MARKETER)),
        "is_admin": SimpleLazyObject(lambda: has_role(request.user, ADMIN)),
        "unread": SimpleLazyObject(lambda: getattr(request.user, "unread", 0)),
        "theme": theme_of(request),
    }
