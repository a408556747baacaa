"""Klaviyo's lists and segments over HTTP: all of them, or a KlaviyoError that says what to do.

Goes in: a private key and the address of the API. Comes out: JSON objects as Klaviyo gave them, each
once; the account they belong to; what the key may read. Must not know: Django, our segments, where
keys are kept.

Klaviyo's own client (klaviyo-api) makes the requests: paths, parameters, revision, authorisation. All
else is done here, as it retries twice over, has no time limit, prints its key, follows redirects, takes
a cursor from any address and fails on values that it does not know. So its raw answers are read,
within limits of time and size, and every fault ends as one KlaviyoError without a trace of the request.
"""

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

TIMEOUT = 30.0  # seconds for one answer
PATIENCE = 600.0  # seconds for everything, waiting included
ATTEMPTS = 5  # at one page, where Klaviyo is at fault or out of reach
RESTARTS = 2  # of a walk whose cursor has expired
BACK_OFF = 0.5  # seconds before the second attempt, twice that before the third, ...
MAX_BACK_OFF = 30.0
PAGE = 10  # objects; the most that Klaviyo gives
MAX_PAGES = 5_000  # of one walk: Klaviyo allows an account far fewer lists and segments
MAX_BYTES = 8 * 1024 * 1024  # of one answer
STALE_PAGES = 3  # pages in a row that bring nothing new
TICK = 0.25  # seconds between two looks at the walks

LISTS, SEGMENTS, ACCOUNTS = "lists", "segments", "accounts"
SCOPES = {ACCOUNTS: "accounts:read", LISTS: "lists:read", SEGMENTS: "segments:read"}
WORDS = {ACCOUNTS: "Accounts", LISTS: "Lists", SEGMENTS: "Segments"}

_ACCOUNT_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)  # theirs have 6 letters and digits

Json = dict[str, Any]


class KlaviyoError(Exception):
    """Why Klaviyo gave no full answer. `message` says what happened and what to do, in plain words.

    `permanent`: asking again is no use before somebody does something. `retry_after`: seconds until
    Klaviyo answers again, if it said so. `scope`: what the key may not do.
    """

    def __init__(
        self, code: str, message: str, *, permanent: bool = True, retry_after: float | None = None, scope: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.permanent = permanent
        self.retry_after = retry_after
        self.scope = scope


class Account(NamedTuple):
    """A Klaviyo account as it calls itself; of its name, what can be seen."""

    id: str
    name: str


@dataclass(frozen=True)
class Connection:
    """What a key opens: the account (None if it may not be read) and the scopes that it has."""

    account: Account | None
    scopes: frozenset[str]

    @property
    def missing(self) -> list[str]:
        """The scopes that a sync needs and the key has not."""
        return [scope for scope in SCOPES.values() if scope not in self.scopes]


class Everything(NamedTuple):
    """What one account holds. Objects are as Klaviyo gave them, in its order."""

    account: Account
    segments: list[Any]
    lists: list[Any]


@dataclass
class _Answer:
    """One HTTP answer, read to its end; `fault` names what went wrong instead."""

    status: int = 0
    headers: Any = None
    body: bytes = b""
    fault: str = ""


@dataclass
class _Walk:
    """What one walk through pages has read so far, each object once."""

    objects: list[Any] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    def keep(self, objects: list[Any]) -> int:
        """Add those that are new, and return how many: pages shift while somebody works in Klaviyo."""
        before = len(self.objects)
        for each in objects:
            identity = each.get("id") if isinstance(each, dict) else None
            if not isinstance(identity, str):
                identity = json.dumps(each, sort_keys=True)
            if identity not in self.ids:
                self.ids.add(identity)
                self.objects.append(each)
        return len(self.objects) - before


class Klaviyo:
    """One account, seen through its private key. Good for one fetch: `patience` counts from here."""

    def __init__(self, key: str, base_url: str, *, timeout: float = TIMEOUT, patience: float = PATIENCE) -> None:
        self._base = urlsplit(base_url)
        self._timeout = timeout
        self._stop = threading.Event()
        self._client = _client(key, base_url.rstrip("/"))
        self._endpoints: dict[str, Callable[..., Any]] = {}  # by kind
        self._deadline = time.monotonic() + patience  # not counting the second that Klaviyo's client takes to load

    def connection(self) -> Connection:
        """Return what the key opens, by three requests. Raises KlaviyoError if Klaviyo refuses the key itself."""
        account, scopes = None, set()
        for kind, scope in SCOPES.items():
            try:
                page = self._page(kind, None, size=1)
            except KlaviyoError as error:
                if error.code != "scope_missing":
                    raise
                continue
            scopes.add(scope)
            if kind == ACCOUNTS:
                account = _account(page)
        return Connection(account, frozenset(scopes))

    def everything(self, on_progress: Callable[[int], None] = lambda read: None) -> Everything:
        """Return all of the account's segments and lists, read in parallel.

        `on_progress` is called several times a second with the number of objects read; what it raises
        ends the reading. Raises KlaviyoError if anything is missing in the end.
        """
        walks = {SEGMENTS: _Walk(), LISTS: _Walk()}
        pool = ThreadPoolExecutor(max_workers=3, thread_name_prefix="klaviyo")
        try:
            pending: set[Future[Any]] = set()
            for kind, walk in walks.items():  # while the first waits for its first page, the others are loaded
                self._endpoint(kind)
                pending.add(pool.submit(self._walk, kind, walk))
            self._endpoint(ACCOUNTS)
            account = pool.submit(self._page, ACCOUNTS, None)
            pending.add(account)
            while pending:
                done, pending = wait(pending, timeout=TICK, return_when=FIRST_COMPLETED)
                for ended in done:
                    ended.result()
                on_progress(sum(len(walk.objects) for walk in walks.values()))
        finally:
            self._stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
        return Everything(_account(account.result()), walks[SEGMENTS].objects, walks[LISTS].objects)

    def _walk(self, kind: str, walk: _Walk) -> None:
        """Read every page of `kind` into `walk`, from the start again where a cursor has expired."""
        for _ in range(RESTARTS + 1):
            try:
                for page in self._pages(kind):
                    walk.keep(page)
            except KlaviyoError as error:
                if error.code != "cursor_refused":
                    raise
                refused = error
            else:
                return
        raise refused

    def _pages(self, kind: str) -> Iterator[list[Any]]:
        """Yield the objects of each page; stop after the last, raise where the way makes no sense."""
        cursor: str | None = None
        been: set[str] = set()
        way = _Walk()
        stale = 0
        for _ in range(MAX_PAGES):
            if self._stop.is_set():
                return  # nobody waits for the rest
            page = self._page(kind, cursor)
            objects = page.get("data")
            if not isinstance(objects, list):
                raise _nonsense(f"a page of {kind} without a list of them")
            yield objects
            cursor = self._next_cursor(page, kind)
            if cursor is None:
                return
            stale = 0 if way.keep(objects) else stale + 1
            if cursor in been or stale == STALE_PAGES:
                raise _nonsense(f"pages of {kind} that lead in a circle")
            been.add(cursor)
        raise _nonsense(f"more than {MAX_PAGES:,} pages of {kind}")

    def _next_cursor(self, page: Json, kind: str) -> str | None:
        """Return the cursor of the next page, None after the last.

        Only the cursor is taken from the address, which is never asked itself: but one that names
        another host or path says that this is not the answer to what was asked.
        """
        links = page.get("links")
        following = links.get("next") if isinstance(links, dict) else None
        if following is None or following == "":
            return None
        if not isinstance(following, str):
            raise _nonsense(f"a page of {kind} whose next page has no address")
        try:
            address = urlsplit(following)
            same = (address.hostname, address.port) == (self._base.hostname, self._base.port)
        except ValueError:
            same = False
        if not same:
            raise _nonsense(f"a page of {kind} whose next page is on another server")
        cursors = parse_qs(address.query).get("page[cursor]", [])
        if len(cursors) != 1:
            raise _nonsense(f"a page of {kind} whose next page has no cursor")
        return cursors[0]

    def _page(self, kind: str, cursor: str | None, size: int = PAGE) -> Json:
        """Return one page, asked for again while that may help and there is time."""
        attempt = 0
        while True:
            attempt += 1
            answer = self._ask(kind, cursor, size)
            error = _error_of(answer, kind, cursor)
            if error is None:
                return _json(answer)
            scatter = random.uniform(0.75, 1.25)  # noqa: S311  # no secret: keeps clients from coming back together
            back_off = min(MAX_BACK_OFF, BACK_OFF * 2 ** (attempt - 1)) * scatter
            pause = max(error.retry_after or 0.0, back_off)  # "after 0 seconds" for ever must not become a hail
            tired = attempt >= ATTEMPTS and error.code != "rate_limited"
            if error.permanent or tired or time.monotonic() + pause >= self._deadline:
                raise error
            if self._stop.wait(pause):
                raise error

    def _ask(self, kind: str, cursor: str | None, size: int) -> _Answer:
        """Make one request and read its answer, within the time of one; faults of the network come back in it."""
        from openapi_client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        endpoint = self._endpoint(kind)
        until = min(time.monotonic() + self._timeout, self._deadline)
        timeout = max(until - time.monotonic(), 0.1)
        paging: Json = {} if kind == ACCOUNTS else {"page_size": size, "sort": "id"}
        if cursor is not None:
            paging["page_cursor"] = cursor
        answer = _Answer()
        try:
            response = endpoint(**paging, _request_timeout=(timeout, timeout))
            try:
                answer.body = _read(response, until)
                answer.status, answer.headers = response.status, response.headers
                response.release_conn()
            finally:
                if not answer.status:
                    response.close()
        except (HTTPError, ApiException, _TooMuch) as fault:
            answer = _Answer(fault=type(fault).__name__)
        return answer

    def _endpoint(self, kind: str) -> Callable[..., Any]:
        """Return Klaviyo's own function for one page of `kind`. The first time in a process that takes a while."""
        if kind not in self._endpoints:
            self._endpoints[kind] = _endpoint(self._client, kind)
        return self._endpoints[kind]

    def __repr__(self) -> str:
        return f"<Klaviyo at {self._base.hostname}>"


class _TooMuch(Exception):  # noqa: N818  # a state of affairs, which _ask tells as a fault
    """An answer that does not end, in time or in size."""


def _client(key: str, base_url: str) -> Any:
    """Return Klaviyo's own client, both of its layers of retries off."""
    from klaviyo_api import KlaviyoAPI
    from openapi_client.rest import RESTClientObject

    api = KlaviyoAPI(key, max_retries=1, test_host=base_url)
    api.configuration.retries = False  # urllib3's: neither retries nor redirects, which could take the key elsewhere
    api.api_client.rest_client = RESTClientObject(api.configuration)
    return api


def _endpoint(api: Any, kind: str) -> Callable[..., Any]:
    """Return Klaviyo's own function for one page of `kind`, asking only for the fields that are needed."""
    if kind == ACCOUNTS:
        return partial(
            api.Accounts.get_accounts_without_preload_content,
            fields_account=["contact_information.organization_name"],
        )
    if kind == LISTS:
        return partial(api.Lists.get_lists_without_preload_content, fields_list=["name"])
    return partial(
        api.Segments.get_segments_without_preload_content,
        fields_segment=["name", "is_active", "is_processing", "is_starred"],
    )


def _read(response: Any, until: float) -> bytes:
    """Return the body, piece by piece as it comes, so that one which drips for ever is noticed."""
    pieces, size = [], 0
    while piece := response.read1(65_536, decode_content=True):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BYTES or time.monotonic() >= until:
            raise _TooMuch
    return b"".join(pieces)


def _account(page: Json) -> Account:
    accounts = page.get("data")
    first = accounts[0] if isinstance(accounts, list) and accounts else None
    identity = first.get("id") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(identity, str) or not _ACCOUNT_ID.fullmatch(identity):
        raise _nonsense("no account")
    found: Any = first
    for step in ("attributes", "contact_information", "organization_name"):
        found = found.get(step) if isinstance(found, dict) else None
    name = "".join(c if c.isprintable() else " " for c in found).strip() if isinstance(found, str) else ""
    return Account(identity, name or f"Account {identity}")


def _json(answer: _Answer) -> Json:
    page: Json = json.loads(answer.body)
    return page


def _error_of(answer: _Answer, kind: str, cursor: str | None) -> KlaviyoError | None:
    """Return what is wrong with an answer, None for a page."""
    if answer.fault:
        return KlaviyoError(
            "unreachable",
            "Klaviyo could not be reached, or did not answer in time. Try again in a few minutes. "
            "If it stays so, check that this server may connect to the internet.",
            permanent=False,
        )
    if answer.status == 200:
        return _no_page(answer.body)
    if answer.status == 401:
        return KlaviyoError(
            "key_refused",
            "Klaviyo did not accept the private key: it is not complete, or was removed there. "
            "Create a new one in Klaviyo under Settings → API keys, and enter it here.",
        )
    if answer.status == 403:
        return KlaviyoError(
            "scope_missing",
            f"The private key may not read {WORDS[kind]}: it lacks {SCOPES[kind]}. In Klaviyo, create a private key "
            "with read access to Accounts, Lists and Segments, and replace it here.",
            scope=SCOPES[kind],
        )
    if answer.status == 429:
        return _rate_limited(answer.headers)
    if answer.status >= 500:
        return KlaviyoError(
            "klaviyo_fault",
            f"Klaviyo reports a fault of its own ({answer.status}). Try again later; "
            "status.klaviyo.com says whether they know of it.",
            permanent=False,
            retry_after=_retry_after(answer.headers.get("Retry-After")),
        )
    if answer.status == 400 and cursor is not None:
        return KlaviyoError(
            "cursor_refused", "Klaviyo lost the place while its pages were read. Try again in a few minutes."
        )
    return _nonsense(f"status {answer.status}")


def _no_page(body: bytes) -> KlaviyoError | None:
    try:
        page = json.loads(body)
    except (ValueError, RecursionError):
        return _nonsense("something that is not JSON, or was cut short", permanent=False)
    return None if isinstance(page, dict) else _nonsense("JSON that is no page")


def _rate_limited(headers: Any) -> KlaviyoError:
    seconds = _retry_after(headers.get("Retry-After"))
    when = "in a few minutes" if seconds is None else f"in {_in_words(seconds)}"
    return KlaviyoError(
        "rate_limited",
        f"Klaviyo limits how much may be asked, and that was reached. Try again {when}.",
        permanent=False,
        retry_after=seconds,
    )


def _retry_after(header: str | None) -> float | None:
    """Return the seconds that a Retry-After asks for, as a number or as a date (RFC 9110); None if it says nothing."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), 366 * 86_400))
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max((then - datetime.now(UTC)).total_seconds(), 0.0)


def _in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} seconds"
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 90 else f"{round(minutes / 60)} hours"


def _nonsense(what: str, *, permanent: bool = True) -> KlaviyoError:
    return KlaviyoError(
        "unexpected_answer",
        f"Klaviyo did not answer as it should: it sent {what}. Try again later. "
        "If it stays so, the address of the API or a proxy in between may be wrong.",
        permanent=permanent,
    )
