"""How much a request may carry: refused by the size that it names, before anything of it is read.

Goes in: any request for a view. Comes out: its answer, or the page of 413. Only a view that `takes_files` gets more
than a form holds; strangers, and whoever has no role for it, are refused there by then. Strangers get even less: a
large body takes a place among the few that may come in slowly. Must not know: any app.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from accessaudience.errors import too_large

STRANGERS_MOST = 64 * 1024  # what the web server takes in before a thread has it: receiving.BODY_KEPT
READ_TO_REFUSE = 4  # times the limit: of a file only somewhat too large all is read, so that any browser shows why not

View = Callable[..., HttpResponseBase]


def takes_files(view: View) -> View:
    """Mark a view whose requests may hold a file of up to IMPORT_MAX_BYTES: it counts as it reads."""
    view.takes_files = True  # type: ignore[attr-defined]  # read below
    return view


class BodyLimits:
    """Middleware: refuse (413) what says that it is larger than its view takes. It stands before what reads forms."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: View, args: Any, kwargs: Any) -> HttpResponse | None:
        """Return the page of 413, or None where the size is right."""
        is_file = getattr(view, "takes_files", False)
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if is_file:
            most += READ_TO_REFUSE * settings.IMPORT_MAX_BYTES
        elif not request.user.is_authenticated:  # no thread waits for a stranger's, as few may wait for large ones
            most = STRANGERS_MOST
        return too_large(request, is_file=is_file) if _length(request) > most else None


def _length(request: HttpRequest) -> int:
    """The length that the request names; Django reads nothing of one that names none."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0
