"""Rows on the service as a whole: how soon it answers after its second start, and what a first visit weighs."""

import gzip
import http.cookiejar
import os
import re
import shutil
import socket
import statistics
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser

from figures import Budget, Figure
from machine import KEYS, ROOT, WORK, Missing, fresh

START = Budget(" s", must=5, goal=3, digits=1)
WEIGHT = Budget(" KB", must=200, goal=120, digits=0)
ELSEWHERE = Budget(" requests", must=0, goal=0, digits=0)
ADMIN = {"ADMIN_EMAIL": "bench@example.com", "ADMIN_PASSWORD": "only-for-the-benchmark-1"}
SIGN_IN, PAGE = "/accounts/login/", "/channels/email/segments/"
PATIENCE = 120.0  # seconds: only what does not work takes so long
CSS_URL = re.compile(r"url\(\s*['\"]?([^'\")]+)")
# A font of other letters than a page has is not loaded: browsers go by its range.
OTHER_LETTERS = re.compile(r"@font-face\s*\{(?=[^}]*unicode-range)(?![^}]*U\+0000-)[^}]*\}", re.IGNORECASE)
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def starts(rounds: int, rows: int) -> Iterator[Figure]:
    """`make run` where everything is set up already, until its first page has been answered."""
    address = free_address()
    with running(address, fresh(WORK / "served")):
        pass
    took = []
    for _ in range(rounds):
        with running(address, WORK / "served") as seconds:
            took.append(seconds)
    spread = f"{min(took):.1f} to {max(took):.1f}"
    yield Figure("make run, second start to the first page", statistics.median(took), START, spread)


def weighs(rounds: int, rows: int) -> Iterator[Figure]:
    """The Segments page, and what it and its style sheets name, as they come to a browser that has none of it yet.

    Files are weighed as they are sent to who takes gzip. The page itself the application sends as it is (a page with a
    secret in it must not be compressed beside what a stranger may have put there); it is weighed as gzip makes it.
    """
    address = free_address()
    with running(address, fresh(WORK / "served")):
        visit = Visit(address)
        visit.sign_in()
        visit.open(PAGE)
    pages, files = visit.weights.pop(PAGE), sum(visit.weights.values())
    beside = f"page {pages / 1000:.0f}, {len(visit.weights)} files {files / 1000:.0f}"
    yield Figure("First visit of the Segments page, compressed", (pages + files) / 1000, WEIGHT, beside)
    yield Figure("First visit, to other hosts", len(visit.elsewhere), ELSEWHERE, " ".join(sorted(visit.elsewhere)))


def free_address() -> str:
    """Return the address of a port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@contextmanager
def running(address: str, data: os.PathLike[str]) -> Iterator[float]:
    """Have `make run` serve at `address` while the body lasts; yields the seconds to its first page."""
    if not shutil.which("make"):
        raise Missing("there is no make on this machine")
    above = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    told = {"DATABASE_URL": "", "DATA_DIR": str(data), "PORT": address.rpartition(":")[2]}
    start = time.perf_counter()
    with (WORK / "served.log").open("w") as log:
        service = subprocess.Popen(["make", "run"], cwd=ROOT, env=above | KEYS | ADMIN | told, stdout=log, stderr=log)
    try:
        while not answers(address + SIGN_IN):
            if service.poll() is not None or time.perf_counter() - start > PATIENCE:
                raise RuntimeError(f"make run does not answer:\n{(WORK / 'served.log').read_text('utf-8')}")
            time.sleep(0.02)
        yield time.perf_counter() - start
    finally:
        service.terminate()
        service.wait()
        while answers(address + SIGN_IN):  # make ends before what it started
            time.sleep(0.1)


def answers(url: str) -> bool:
    """Whether there is a page at `url`."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class Visit:
    """A browser without scripts: it signs in, opens a page with what that names, and weighs it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.weights: dict[str, int] = {}  # by path, in bytes
        self.elsewhere: set[str] = set()
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)

    def sign_in(self) -> None:
        """Sign in as the first Admin; nothing of it is weighed."""
        token = TOKEN.search(self._opener.open(self.address + SIGN_IN).read().decode())
        assert token, "the sign-in page has no token"
        typed = {"login": ADMIN["ADMIN_EMAIL"], "password": ADMIN["ADMIN_PASSWORD"], "csrfmiddlewaretoken": token[1]}
        request = urllib.request.Request(self.address + SIGN_IN, urllib.parse.urlencode(typed).encode())
        request.add_header("Referer", self.address + SIGN_IN)
        assert not self._opener.open(request).url.endswith(SIGN_IN), "signing in did not work"

    def open(self, path: str) -> None:
        """Take in the page or file at `path`, and what it names."""
        if path in self.weights:
            return
        request = urllib.request.Request(self.address + path, headers={"Accept-Encoding": "gzip"})
        with self._opener.open(request) as answer:
            sent, packed = answer.read(), answer.headers["Content-Encoding"] == "gzip"
            kind = answer.headers.get_content_type()
        text = gzip.decompress(sent) if packed else sent
        self.weights[path] = len(gzip.compress(sent)) if kind == "text/html" and not packed else len(sent)
        if kind == "text/html":
            names = Names()
            names.feed(text.decode())
            named = names.found
        else:
            named = CSS_URL.findall(OTHER_LETTERS.sub("", text.decode())) if kind == "text/css" else []
        for url in named:
            self._follow(urllib.parse.urljoin(self.address + path, url))

    def _follow(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "data":
            return
        if f"{parts.scheme}://{parts.netloc}" == self.address:
            self.open(parts.path)
        else:
            self.elsewhere.add(parts.netloc)


class Names(HTMLParser):
    """What a page has a browser load: style sheets, scripts, pictures, icons."""

    SOURCES = {"script": "src", "img": "src", "use": "href", "link": "href"}

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note the address that a tag loads."""
        url = dict(attributes).get(self.SOURCES.get(tag, ""))
        if url:
            self.found.append(url)
