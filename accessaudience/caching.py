"""No page is kept: not by caches on the way, nor by the browser of somebody who has signed out since.

Goes in: any answer of the application but its static files. Comes out: the same, with a Cache-Control of its own or
this one. What a browser does not keep it fetches again on Back; lists have their state in the address, and the
columns of an upload are saved as they are matched, so nothing is lost by that.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_cache_control

Answer = Callable[[HttpRequest], HttpResponseBase]


def no_page_is_kept(get_response: Answer) -> Answer:
    """Middleware: add `private, no-store` where a view has not said how long its answer may be kept."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_store=True)
        return response

    return middleware
