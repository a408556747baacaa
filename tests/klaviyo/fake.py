"""A Klaviyo of our own, on the loopback: the part of its API that a sync reads, over real HTTP.

It answers as their OpenAPI document says (tests/klaviyo/test_fake.py holds it to that): JSON:API, at most
ten items a page, opaque cursors, RateLimit-* headers, keys with scopes, a required `revision` header. And it
can misbehave: `fake.misbehave(fault, kind=…, page=…, times=…)`, with the faults at the end of this file.

Alone, with a catalogue to try the application with:  python tests/klaviyo/fake.py --port 8765
"""

import argparse
import base64
import binascii
import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

READ_ALL = frozenset({"accounts:read", "lists:read", "segments:read"})
KINDS = {"accounts": "account", "lists": "list", "segments": "segment"}
SORTS = {"created", "id", "name", "updated"}
FIELDS = {
    "segments": {"created", "id", "is_active", "is_processing", "is_starred", "name", "updated"},
    "lists": {"created", "id", "name", "opt_in_process", "updated"},
    "accounts": {
        *("contact_information", "contact_information.organization_name", "id", "industry", "locale"),
        *("preferred_currency", "public_api_key", "test_account", "timezone"),
    },
}
LIMIT = 75  # requests a second, as Klaviyo says of these endpoints
WHEN = "2026-03-05T08:00:00+00:00"


@dataclass(frozen=True)
class Request:
    """One request as it came in. `page` counts from 1, as the cursor says."""

    kind: str
    query: dict[str, str]
    key: str
    revision: str
    page: int


@dataclass
class Answer:
    """What to send: JSON unless `body` says otherwise."""

    status: int
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/vnd.api+json"


Fault = Callable[["FakeKlaviyo", Request, "Handler"], Answer | None]  # None: it has dealt with the connection itself


@dataclass
class _Rule:
    fault: Fault
    kind: str | None
    page: int | None
    left: int | None


class FakeKlaviyo:
    """One account, and the server that serves it. `requests` is what was asked so far."""

    def __init__(
        self, key: str = "pk_test_0123456789abcdef4f2a", account_id: str = "XyZ123", name: str = "Fernhill Coffee"
    ):
        self.key = key
        self.keys: dict[str, frozenset[str]] = {key: READ_ALL}
        self.account_id = account_id
        self.account_name = name
        self.objects: dict[str, dict[str, dict[str, Any]]] = {"segments": {}, "lists": {}}
        self.odd: dict[str, list[Any]] = {"segments": [], "lists": []}  # put at the end of the last page as they are
        self.requests: list[Request] = []
        self.delay = 0.0
        self.url = ""
        self.stopped = threading.Event()
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()

    # What the account holds

    def add_segment(self, identity: str, name: str | None, **attributes: Any) -> None:
        """Add a segment, or replace the one of that ID."""
        flags = {"is_active": True, "is_processing": False, "is_starred": False}
        self.objects["segments"][identity] = {"name": name, "created": WHEN, "updated": WHEN, **flags, **attributes}

    def add_list(self, identity: str, name: str | None, **attributes: Any) -> None:
        """Add a list, or replace the one of that ID."""
        more = {"opt_in_process": "single_opt_in", **attributes}
        self.objects["lists"][identity] = {"name": name, "created": WHEN, "updated": WHEN, **more}

    def add_many(self, segments: int, lists: int) -> None:
        """Add so many segments and lists, with IDs in order."""
        for number in range(segments):
            self.add_segment(f"S{number:05d}", f"Segment {number}")
        for number in range(lists):
            self.add_list(f"L{number:05d}", f"List {number}")

    def remove(self, identity: str) -> None:
        """Remove the segment or list of that ID."""
        for held in self.objects.values():
            held.pop(identity, None)

    def allow(self, *scopes: str) -> None:
        """Give the key these scopes only; none at all: the key is refused."""
        self.keys = {self.key: frozenset(scopes)} if scopes else {}

    def misbehave(
        self, fault: Fault, *, kind: str | None = None, page: int | None = None, times: int | None = None
    ) -> None:
        """Meet requests of this kind and page with `fault`, so many times (None: for ever)."""
        self._rules.append(_Rule(fault, kind, page, times))

    def behave(self) -> None:
        """Forget every fault."""
        self._rules.clear()

    # How it answers

    def answer(self, request: Request, handler: "Handler") -> Answer | None:
        """Return what is sent for `request`; None if a fault has dealt with it."""
        with self._lock:
            self.requests.append(request)
            fault = self._fault_for(request)
        return fault(self, request, handler) if fault else self.proper(request)

    def _fault_for(self, request: Request) -> Fault | None:
        for rule in self._rules:
            if rule.kind in (None, request.kind) and rule.page in (None, request.page) and rule.left != 0:
                if rule.left is not None:
                    rule.left -= 1
                return rule.fault
        return None

    def proper(self, request: Request) -> Answer:
        """Return what Klaviyo would."""
        if not request.revision:
            return error(400, "invalid", "A revision header is required.")
        if request.key not in self.keys:
            return error(401, "not_authenticated", "Missing or invalid private key.")
        if f"{request.kind}:read" not in self.keys[request.key]:
            return error(403, "permission_denied", "You do not have permission to perform this action.")
        wrong = _wrong_parameter(request)
        if wrong:
            return error(400, "invalid", f"'{wrong}' is not a valid parameter or value.")
        return self._account(request) if request.kind == "accounts" else self._page(request)

    def _account(self, request: Request) -> Answer:
        attributes = {
            "contact_information": {
                "default_sender_name": "Fern",
                "default_sender_email": "fern@example.com",
                "website_url": "https://example.com",
                "organization_name": self.account_name,
                "street_address": {
                    "address1": "1 High Street",
                    "address2": "",
                    "city": "Leeds",
                    "region": "",
                    "country": "United Kingdom",
                    "zip": "LS1 1AA",
                },
            },
            "industry": "Food",
            "timezone": "Europe/London",
            "preferred_currency": "GBP",
            "public_api_key": self.account_id,
            "locale": "en-GB",
            "test_account": False,
        }
        if request.query.get("fields[account]") == "contact_information.organization_name":
            attributes = {"contact_information": {"organization_name": self.account_name}}
        document = {
            "data": [
                {
                    "type": "account",
                    "id": self.account_id,
                    "attributes": attributes,
                    "links": {"self": f"{self.url}/api/accounts/{self.account_id}/"},
                }
            ],
            "links": {"self": f"{self.url}/api/accounts/", "next": None, "prev": None},
        }
        return Answer(200, document)

    def _page(self, request: Request) -> Answer:
        size = int(request.query.get("page[size]", "10"))
        held = sorted(self.objects[request.kind].items())
        start = (request.page - 1) * size
        wanted = request.query.get(f"fields[{KINDS[request.kind]}]")
        fields = set(wanted.split(",")) if wanted else FIELDS[request.kind]
        data: list[Any] = [self._resource(request.kind, each, fields) for each in held[start : start + size]]
        last = start + size >= len(held)
        if last:
            data += self.odd[request.kind]
        following = None if last else self.address(request, request.page + 1)
        links = {"self": self.address(request, request.page), "next": following, "prev": None}
        return Answer(200, {"data": data, "links": links})

    def _resource(self, kind: str, item: tuple[str, dict[str, Any]], fields: set[str]) -> dict[str, Any]:
        identity, attributes = item
        own = f"{self.url}/api/{kind}/{identity}"
        related = {"related": f"{own}/profiles/", "self": f"{own}/relationships/profiles/"}
        return {
            "type": KINDS[kind],
            "id": identity,
            "attributes": {name: value for name, value in attributes.items() if name in fields},
            "relationships": {"profiles": {"links": related}},
            "links": {"self": f"{own}/"},
        }

    def address(self, request: Request, page: int, host: str = "") -> str:
        """Return the address of a page, its cursor opaque."""
        rest = {name: value for name, value in request.query.items() if name != "page[cursor]"}
        if page > 1:
            rest["page[cursor]"] = cursor_of(page)
        query = "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in rest.items())
        return f"{host or self.url}/api/{request.kind}?{query}"

    @contextmanager
    def serving(self, port: int = 0) -> Iterator["FakeKlaviyo"]:
        """Serve on the loopback while the body runs."""
        server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (Handler,), {"fake": self}))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stopped.set()
            server.shutdown()
            server.server_close()
            thread.join()


class Handler(BaseHTTPRequestHandler):
    """One connection of the server."""

    fake: FakeKlaviyo
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer one request."""
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        kind = address.path.strip("/").removeprefix("api/")
        if self.fake.delay:
            time.sleep(self.fake.delay)
        if kind not in KINDS:
            self.send(error(404, "not_found", "There is no such page."))
            return
        page = page_of(query.get("page[cursor]"))
        key = self.headers.get("Authorization", "").removeprefix("Klaviyo-API-Key ")
        request = Request(kind, query, key, self.headers.get("revision", ""), page)
        if page == 0:
            self.send(error(400, "invalid", "Invalid cursor."))
            return
        answer = self.fake.answer(request, self)
        if answer:
            self.send(answer)

    def send(self, answer: Answer) -> None:
        """Send a whole answer."""
        body = json.dumps(answer.document).encode() if answer.body is None else answer.body
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("RateLimit-Limit", f"{LIMIT}, {LIMIT};w=1, 750;w=60")
        self.send_header("RateLimit-Remaining", str(LIMIT - 1))
        self.send_header("RateLimit-Reset", "1")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def cursor_of(page: int) -> str:
    """Return the cursor of a page, which says nothing to whoever reads it."""
    return base64.urlsafe_b64encode(f"next::page::{page}".encode()).decode()


def page_of(cursor: str | None) -> int:
    """Return the number of the page that a cursor leads to, 0 if it is none of ours."""
    if cursor is None:
        return 1
    with suppress(binascii.Error, ValueError):
        return int(base64.urlsafe_b64decode(cursor).decode().rpartition("::")[2])
    return 0


def error(status: int, code: str, detail: str, **headers: str) -> Answer:
    """Return an error as Klaviyo words it."""
    one = {
        "id": "7f1c",
        "status": status,
        "code": code,
        "title": detail,
        "detail": detail,
        "source": {"pointer": "/data/"},
    }
    return Answer(status, {"errors": [one]}, headers)


def _wrong_parameter(request: Request) -> str:
    singular = KINDS[request.kind]
    for name, value in request.query.items():
        if name == f"fields[{singular}]":
            good = set(value.split(",")) <= FIELDS[request.kind]
        elif request.kind == "accounts":
            good = False
        elif name == "page[size]":
            good = value.isdigit() and 1 <= int(value) <= 10
        elif name == "sort":
            good = value.removeprefix("-") in SORTS
        else:
            good = name == "page[cursor]"
        if not good:
            return name
    return ""


# Faults


def status(code: int, **headers: str) -> Fault:
    """Answer with that status, and headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda fake, request, handler: error(code, "error", "Something went wrong.", **named)


def limited(retry_after: str | None = "1") -> Fault:
    """Answer 429."""
    return status(429, **({} if retry_after is None else {"Retry_After": retry_after}))


def hang(fake: FakeKlaviyo, request: Request, handler: Handler) -> None:
    """Take the request and never answer."""
    fake.stopped.wait()
    handler.close_connection = True


def drip(fake: FakeKlaviyo, request: Request, handler: Handler) -> None:
    """Begin a good answer and send it byte by byte, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    with suppress(OSError):
        while not fake.stopped.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()
    handler.close_connection = True


def reset(fake: FakeKlaviyo, request: Request, handler: Handler) -> None:
    """Reset the connection."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def html(fake: FakeKlaviyo, request: Request, handler: Handler) -> Answer:
    """Answer with a page for people."""
    return Answer(200, body=b"<!doctype html><title>Welcome to the hotel</title>", content_type="text/html")


def cut(fake: FakeKlaviyo, request: Request, handler: Handler) -> Answer:
    """Send half of the document, as if it were all."""
    whole = json.dumps(fake.proper(request).document).encode()
    return Answer(200, body=whole[: len(whole) // 2])


def broken_off(fake: FakeKlaviyo, request: Request, handler: Handler) -> None:
    """Promise a document, send half of it and hang up."""
    whole = json.dumps(fake.proper(request).document).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(whole)))
    handler.end_headers()
    handler.wfile.write(whole[: len(whole) // 2])
    handler.close_connection = True


def huge(fake: FakeKlaviyo, request: Request, handler: Handler) -> None:
    """Send without end."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(1 << 40))
    handler.end_headers()
    with suppress(OSError):
        while not fake.stopped.is_set():
            handler.wfile.write(b" " * 65_536)
    handler.close_connection = True


def document(made: Any) -> Fault:
    """Answer 200 with that document."""
    return lambda fake, request, handler: Answer(200, made)


def leading_to(page: int) -> Fault:
    """Answer properly, but the next page is that one."""

    def fault(fake: FakeKlaviyo, request: Request, handler: Handler) -> Answer:
        answer = fake.proper(request)
        answer.document["links"]["next"] = fake.address(request, page)
        return answer

    return fault


def endless(fake: FakeKlaviyo, request: Request, handler: Handler) -> Answer:
    """Another page with something new, every time."""
    one = {"type": KINDS[request.kind], "id": f"E{request.page}", "attributes": {"name": f"Endless {request.page}"}}
    return Answer(200, {"data": [one], "links": {"next": fake.address(request, request.page + 1)}})


def repeating(fake: FakeKlaviyo, request: Request, handler: Handler) -> Answer:
    """Another page with the same items, every time."""
    first = fake.proper(Request(request.kind, {}, request.key, request.revision, 1))
    first.document["links"]["next"] = fake.address(request, request.page + 1)
    return first


def other_host(url: str) -> Fault:
    """Answer properly, but the next page is on another server."""

    def fault(fake: FakeKlaviyo, request: Request, handler: Handler) -> Answer:
        answer = fake.proper(request)
        answer.document["links"]["next"] = fake.address(request, request.page + 1, host=url)
        return answer

    return fault


def redirect(url: str) -> Fault:
    """Send the client to another server."""
    return status(302, Location=f"{url}/api/lists")


def next_link(value: Any) -> Fault:
    """Answer properly, but `links.next` is that."""

    def fault(fake: FakeKlaviyo, request: Request, handler: Handler) -> Answer:
        answer = fake.proper(request)
        answer.document["links"]["next"] = value
        return answer

    return fault


NAMES = (
    "Active subscribers – bought in last 60 days",
    "Black Friday 2026 – early access",
    "Browse abandoners – 3 days",
    "Cart abandoners – 7 days",
    "Coffee club – monthly plan",
    "Lapsed 90–180 days",
    "Replenish due – 250 g bags",
    "SMS – back in stock",
    "Sunset – no opens in 180 days",
    "VIP – 5+ orders in 12 months",
    "Win-back – no order in 365 days",
    "zz test – do not send",
)


def main() -> None:
    """Serve a catalogue to try the application with."""
    parser = argparse.ArgumentParser(description="A Klaviyo to try the application with.")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--key", default="pk_demo_0123456789abcdef4f2a")
    options = parser.parse_args()
    fake = FakeKlaviyo(options.key)
    for number in range(197):
        more = f" ({number // len(NAMES) + 1})" if number >= len(NAMES) else ""
        state = {"is_active": number % 17 != 5, "is_processing": number % 23 == 7, "is_starred": number % 11 == 0}
        fake.add_segment(f"Sg{number:04d}", NAMES[number % len(NAMES)] + more, **state)
    for number in range(66):
        fake.add_list(
            f"Ls{number:04d}", f"Newsletter – {('weekly', 'wholesale', 'events')[number % 3]} {number // 3 + 1}"
        )
    fake.delay = 0.2
    parent = os.getppid()
    try:
        with fake.serving(options.port), suppress(KeyboardInterrupt):
            print(f"Klaviyo, played on {fake.url}, key {fake.key}", flush=True)
            while os.getppid() == parent:  # nobody is left to stop it, once whoever started it has gone
                fake.stopped.wait(1)
    except OSError as error:
        sys.exit(f"Port {options.port} cannot be used for Klaviyo ({error.strerror}). KLAVIYO_PORT= names another.")


if __name__ == "__main__":
    main()
