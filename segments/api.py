"""The API that campaign builders read segments by: /api/v1/, described by its own OpenAPI document.

Goes in: requests with a token. Comes out: JSON, errors too. It only reads, and knows no session: a cookie opens
nothing here, and so no other site can have a browser ask. docs/api.md says how it is used.
"""

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from hashlib import sha256
from threading import Lock
from typing import Annotated, Any, Literal

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.http import require_safe
from ninja import NinjaAPI, Path, Query, Schema, Status
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.security import HttpBearer
from ninja.throttling import BaseThrottle
from pydantic import Field

from accessaudience.errors import problem
from accessaudience.roles import VIEWER, has_role
from channels.models import Channel
from people.models import ApiToken
from segments.models import ChangeSetChannel
from segments.pages import Cursor, page_of
from segments.search.search import Search
from segments.values import NAME_MAX

View = Callable[..., HttpResponseBase]

PAGE = 100
SORT = "name"
FORM = 1  # of the answer: another one, another ETag
MINUTE = 60
REFUSALS = (401, 403, 404, 422, 429)


class Token(HttpBearer):
    """Lets in whoever shows a token of a person who may sign in and has a role."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        """Return the token, or None where it is not known (any more)."""
        known = ApiToken.objects.known(token)
        if known and not has_role(known.person, VIEWER):
            raise HttpError(403, "Whose token this is has no role yet. Ask an admin of your workspace for one.")
        return known


class PerPerson(BaseThrottle):
    """So many requests a minute for each person, whatever their tokens, in each web process.

    Counted in memory: reading must not wait until something may be written, as it would in a cache that is a table.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.minute = 0
        self.counts: Counter[int] = Counter()

    def allow_request(self, request: HttpRequest) -> bool:
        """Count it, and say whether it is still one of them."""
        minute = int(time.time()) // MINUTE
        token: ApiToken = request.auth  # type: ignore[attr-defined]  # set by ninja
        with self.lock:
            if minute != self.minute:
                self.minute = minute
                self.counts.clear()
            self.counts[token.person_id] += 1
            return self.counts[token.person_id] <= settings.API_REQUESTS_A_MINUTE

    def wait(self) -> float:
        """The seconds until the next minute."""
        return MINUTE - time.time() % MINUTE


class ChannelOut(Schema):
    """The channel that was asked for."""

    slug: str
    name: str


class SegmentOut(Schema):
    """A segment as the Segments tab lists it."""

    id: Annotated[int, Field(description="Its ID here; does not change.")]
    name: str
    segment_id: Annotated[str, Field(description="Its ID in the sending platform; empty if it has none.")]
    link: Annotated[str, Field(description="Where it is found in the sending platform; empty if nobody said.")]
    active: bool
    source: Literal["manual", "csv", "klaviyo"]
    updated_at: datetime


class SegmentsOut(Schema):
    """A page of segments, by name."""

    channel: ChannelOut
    segments: list[SegmentOut]
    next_cursor: Annotated[str | None, Field(description="The cursor of the next page; null on the last one.")]


class FieldOut(Schema):
    """What is wrong with one parameter."""

    field: str
    message: str


class ProblemOut(Schema):
    """Why there is no answer, and what to do about it."""

    code: str
    message: str
    fields: Annotated[list[FieldOut], Field(description="Of a 422: the parameters that were not understood.")] = []


class Asked(Schema):
    """What to look for."""

    q: Annotated[
        str, Field(max_length=NAME_MAX, pattern=r"^[^\x00]*$", description="Words that the name or segment ID has.")
    ] = ""
    active: Annotated[Literal["", "true", "false"], Field(description="Active or inactive ones only.")] = ""
    cursor: Annotated[str, Field(max_length=2000, description="The next_cursor of the page before.")] = ""


limit = PerPerson()
api = NinjaAPI(
    title="Access Audience",
    version="1",
    description="Reads the segments of a channel. Make a token on your account, and send it as a bearer token.",
    urls_namespace="api",
    docs_url=None,
    docs_decorator=require_safe,
    auth=Token(),
    throttle=limit,
)

Slug = Annotated[str, Path(max_length=50, pattern="^[a-z0-9-]+$", description="The channel, as in its address.")]
ANSWERS: dict[int, type[Schema] | None] = {200: SegmentsOut, 304: None, **dict.fromkeys(REFUSALS, ProblemOut)}
ANSWER_HEADERS: dict[str, Any] = {
    "responses": {
        200: {"headers": {"ETag": {"schema": {"type": "string"}}}},
        304: {"description": "Nothing has changed since the answer whose ETag If-None-Match named."},
        429: {"headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}},
    }
}


@api.get("/channels/{slug}/segments/", url_name="segments_slash", response=ANSWERS, include_in_schema=False)
@api.get(
    "/channels/{slug}/segments",
    url_name="segments",
    operation_id="list_segments",
    summary="List the segments of a channel",
    response=ANSWERS,
    openapi_extra=ANSWER_HEADERS,
)
def segments(request: HttpRequest, response: HttpResponse, slug: Slug, asked: Query[Asked]) -> Any:
    """Segments by name, at most 100 a page. With If-None-Match, 304 if nothing changed in the channel since."""
    channel = Channel.objects.filter(slug=slug).first()
    if channel is None:
        raise HttpError(404, f"There is no channel “{slug}”.")
    if asked.cursor and not Cursor.read(asked.cursor, SORT).place:
        raise HttpError(422, "This cursor is not one of ours. Begin again without one.")
    etag = _etag(channel, asked)  # before the rows: they may be newer than it, but never older
    unchanged = get_conditional_response(request, etag=etag)
    if unchanged is not None:
        return _kept_by_its_reader_alone(unchanged, etag)
    _kept_by_its_reader_alone(response, etag)
    page = page_of(_matching(channel, asked), SORT, asked.cursor, PAGE)
    return Status(200, {"channel": channel, "segments": page.rows, "next_cursor": page.next or None})


def _matching(channel: Channel, asked: Asked) -> Search:
    active = {"true": True, "false": False}.get(asked.active)
    return Search(channel.segments.with_status(active), [channel], asked.q)


def _etag(channel: Channel, asked: Asked) -> str:
    """A validator of the answer: whatever changes segments is a change set, and those of a channel come in order.

    Its time tells it from another one that has its number since a backup was restored.
    """
    newest = (
        ChangeSetChannel.objects.filter(channel=channel).order_by("-id").values_list("id", "change_set__at").first()
    )
    told = repr((FORM, channel.pk, channel.name, newest, asked.q, asked.active, asked.cursor))
    return f'W/"{sha256(told.encode()).hexdigest()[:32]}"'  # weak: a cursor says the same in other letters each time


def _kept_by_its_reader_alone(response: HttpResponseBase, etag: str) -> HttpResponseBase:
    """Let who asked keep the answer, and ask each time whether it still holds."""
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    patch_vary_headers(response, ["Authorization"])
    return response


@api.exception_handler(AuthenticationError)
def unauthorized(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    """Who shows no token, or one that is not known."""
    answer = problem(401, "Send a token that is not revoked: Authorization: Bearer aa_read_…")
    answer["WWW-Authenticate"] = "Bearer"
    return answer


@api.exception_handler(HttpError)
def refused(request: HttpRequest, error: HttpError) -> HttpResponse:
    """Whatever else is refused."""
    too_many = "Too many requests. Wait as long as Retry-After says, then go on."
    return problem(error.status_code, too_many if error.status_code == 429 else error.message)


@api.exception_handler(ValidationError)
def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Parameters that are not what the document says."""
    fields = [{"field": str(each["loc"][-1]), "message": each["msg"]} for each in error.errors]
    names = ", ".join(field["field"] for field in fields)
    return problem(422, f"Not understood: {names}.", fields)


def only_reads(view: View) -> View:
    """Let `view` say in words that it is not asked by another method than GET."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        if not isinstance(response, HttpResponseNotAllowed):
            return response
        refusal = problem(response.status_code, "The API only reads. Ask it by GET.")
        refusal["Allow"] = response["Allow"]
        return refusal

    return answer


urls = api.urls
for pattern in urls[0]:
    if pattern.callback:
        pattern.callback = login_not_required(only_reads(pattern.callback))  # a token lets in, not a session
