"""A name for every request, by which its lines in the log are found, and those of the job that it started.

Goes in: a request, and the header of REQUEST_ID_HEADER if a proxy in front sets one. Comes out: its answer, which
says the name as X-Request-ID. Must not know: what a log line looks like.
"""

import re
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from accessaudience.logs import telling

HEADER = "X-Request-ID"
LONGEST = 128
USABLE = re.compile(rf"[\w.:;=+/@-]{{1,{LONGEST}}}", re.ASCII)

Answer = Callable[[HttpRequest], HttpResponseBase]


def request_id(get_response: Answer) -> Answer:
    """Middleware: give the request a name. The first of all, so that whatever is logged is logged under it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        trusted = settings.REQUEST_ID_HEADER
        said = request.headers.get(trusted, "") if trusted else ""
        name = said if USABLE.fullmatch(said) else uuid.uuid4().hex
        with telling(request=name):
            response = get_response(request)
        response[HEADER] = name
        return response

    return middleware
