"""A page or a fragment of it, from one view.

Goes in: a request and the templates of the page and of the fragment. Comes out: a response.
Must not know: any app of the project.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers


def wants_fragment(request: HttpRequest) -> bool:
    """Return whether htmx asked for a piece to swap in, and not for a whole page."""
    htmx = request.htmx  # type: ignore[attr-defined]  # set by django-htmx's middleware
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def render_fragment(
    request: HttpRequest, page: str, fragment: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """Render `fragment` where htmx asked for it, else the whole `page` (which includes it)."""
    template = fragment if wants_fragment(request) else page
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response
