"""Error pages, and errors of the API: they need no database, no session and nobody signed in.

Goes in: a request that could not be answered. Comes out: a page, or JSON for programs, that says what happened, what
was not changed and what to do. Must not know: any app of the project.
"""

import errno
import logging
from collections.abc import Callable, ItemsView, Iterable, Mapping
from http import HTTPStatus
from types import FrameType
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers
from django.views.debug import SafeExceptionReporterFilter

from accessaudience.cookies import theme_of

log = logging.getLogger(__name__)

API = "/api/"  # below it programs ask, and are told in JSON
IN_WORDS = {
    403: "You may not do this.",
    404: "There is nothing at this address. Those that there are stand in /api/v1/openapi.json.",
    408: "The request came in too slowly, or broke off. Send it again.",
    413: "More was sent than is read here. The API only reads: ask it by GET.",
    500: "Something went wrong here, and was noted. Ask again; if that does not help, tell your admin.",
    503: "The store of files does not answer. Ask again in a while.",
}


def problem(status: int, message: str, fields: Iterable[Mapping[str, str]] = ()) -> HttpResponse:
    """An error in JSON: a code for programs, words for people, and which parameters were not understood."""
    code = "invalid" if status == HTTPStatus.UNPROCESSABLE_ENTITY else HTTPStatus(status).name.lower()
    return JsonResponse({"code": code, "message": message, "fields": list(fields)}, status=status)


def error_page(request: HttpRequest, status: int, template: str = "", message: str = "") -> HttpResponse:
    """Return the page of `status`, in the theme of the visitor's cookie, without any context processor.

    Below API it is JSON.
    """
    if request.path.startswith(API):
        return problem(status, message or IN_WORDS[status])
    context = {"theme": theme_of(request), "message": message}
    response = HttpResponse(render_to_string(template or f"{status}.html", context), status=status)
    patch_vary_headers(response, ["Cookie"])
    return response


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return 403: signed in, but without the role for it."""
    return error_page(request, 403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return 403 for a form that is out of date, or did not come from here."""
    return error_page(request, 403, "403_csrf.html")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return 404."""
    return error_page(request, 404)


def too_large(request: HttpRequest, *, is_file: bool = True) -> HttpResponse:
    """Return 413: more was sent than IMPORT_MAX_BYTES allows, or than a form without a file holds."""
    return error_page(request, 413, "" if is_file else "413_form.html")


def too_slow(request: HttpRequest) -> HttpResponse:
    """Return 408: what was sent came in too slowly, or broke off."""
    return error_page(request, 408)


class TooMuch(Exception):
    """Somebody asks for more than one person may; `message` says so and what to do, in `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class FileStoreError(OSError):
    """The store of files does not answer, or refuses: why (as `strerror`, said of it), and what to do (`do`)."""

    def __init__(self, why: str, do: str) -> None:
        super().__init__(errno.EIO, why)
        self.do = do

    def __str__(self) -> str:
        return f"The store of files cannot be used: {self.strerror}. {self.do}"


class RefusalsAreTold:
    """Middleware: answer TooMuch with the page of 429, FileStoreError with that of 503."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Return the page, or None for any other exception."""
        if isinstance(error, TooMuch):
            response = error_page(request, 429, message=error.message)
            response["Retry-After"] = str(error.retry_after)
            return response
        if isinstance(error, FileStoreError):
            log.error("%s", error)
            return error_page(request, 503)
        return None


def server_error(request: HttpRequest) -> HttpResponse:
    """Return 500."""
    return error_page(request, 500)


class ReportWithoutSecrets(SafeExceptionReporterFilter):
    """Reports of errors, in mails and on the page of DEBUG, name no variables and nothing that was posted.

    A key may be among them.
    """

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, str]:
        """Return which fields were sent, each with stars."""
        return {} if request is None else dict.fromkeys(request.POST, self.cleansed_substitute)

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> ItemsView[str, Any]:
        """Return no variables of a frame."""
        return dict[str, Any]().items()
