"""What is sent to wear the server out, against gunicorn as it is run: refused within the limits, others served."""

import gzip
import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from django.conf import settings

from accessaudience import receiving
from tests.faults.conftest import PATIENCE, PRELUDE, Installation

pytestmark = pytest.mark.fault

MIB = 1024 * 1024
SLOW = 8 if os.environ.get("AA_FAULTS") else 4  # senders of each kind; two in each process is a turn
FLAT = 24 * MIB  # that a process may grow by, whatever is sent: far less than any of it
UPLOAD = "/data/upload/"
GOOD = b"Segment name,Segment ID\nVIP,v-1\n"
SIGN_IN = """
from django.contrib.auth.models import Group
from accessaudience.roles import MARKETER
person = Person.objects.create_user(email="m@example.com", password="x")
person.groups.set([Group.objects.get(name=MARKETER)])
client = Client(SERVER_NAME="localhost")
client.force_login(person)
print(client.cookies["sessionid"].value)
"""


class Answer(NamedTuple):
    """What came back."""

    status: int
    text: str
    location: str


class Server:
    """gunicorn with the project's configuration, and a Marketer who is signed in."""

    def __init__(self, installation: Installation, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.csrf_cookie = ""
        self.session = installation.run("-c", PRELUDE + SIGN_IN).strip()
        command = [sys.executable, "-m", "gunicorn", "--no-control-socket", f"--bind=127.0.0.1:{self.port}"]
        with log.open("w") as written:
            self.process = psutil.Popen(
                [*command, "accessaudience.wsgi"],
                env=installation.environment,
                cwd=settings.BASE_DIR,
                stdout=written,
                stderr=subprocess.STDOUT,
            )
        self.log = log
        self.until(lambda: self.get("/health/live").status == 200)
        page = self.get(UPLOAD)  # which gives the token and its cookie
        self.csrf = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[0]

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds."""
        give_up = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError, http.client.HTTPException):
                if holds():
                    return
            assert self.process.is_running(), self.log.read_text()
            assert time.monotonic() < give_up, "waited in vain"
            time.sleep(0.2)

    def connect(self) -> socket.socket:
        """A new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def head(self, path: str = UPLOAD, length: int = 0, *more: str) -> bytes:
        """The head of a form that is sent, by the Marketer."""
        cookies = f"sessionid={self.session}" + (f"; csrftoken={self.csrf_cookie}" if self.csrf_cookie else "")
        lines = [
            f"POST {path} HTTP/1.1",
            "Host: localhost",
            f"Cookie: {cookies}",
            "Content-Type: multipart/form-data; boundary=here",
            *([f"Content-Length: {length}"] if length else []),
            *more,
            "",
            "",
        ]
        return "\r\n".join(lines).encode()

    def get(self, path: str) -> Answer:
        """A page, as the Marketer sees it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with closing(connection):
            connection.request("GET", path, headers={"Cookie": f"sessionid={self.session}", "Host": "localhost"})
            answer = connection.getresponse()
            text = answer.read().decode()
            for cookie in answer.headers.get_all("Set-Cookie") or []:
                if cookie.startswith("csrftoken=") and path == UPLOAD:
                    self.csrf_cookie = cookie.split("=")[1].split(";")[0]
        return Answer(answer.status, text, answer.headers.get("Location", ""))

    def upload(self, content: bytes, name: str = "a.csv", *more: str) -> Answer:
        """Upload a file into Email."""
        return self.send([self.top(name), content, b"\r\n--here--\r\n"], None, *more)

    def top(self, name: str = "a.csv") -> bytes:
        """The form up to the content of its file."""
        fields = {"csrfmiddlewaretoken": self.csrf, "object_type": "segments", "channel": "email"}
        text = "".join(
            f'--here\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
            for field, value in fields.items()
        )
        return f'{text}--here\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()

    def send(self, pieces: list[bytes], length: int | None, *more: str) -> Answer:
        """Send a form, and return the answer, which may come before all is sent."""
        with self.connect() as connection:
            with suppress(ConnectionError):
                connection.sendall(self.head(UPLOAD, length or sum(map(len, pieces)), *more))
                for piece in pieces:
                    connection.sendall(piece)
            return answer_of(connection)

    def answers_others(self) -> bool:
        """Whether somebody else gets a page."""
        return self.get("/accounts/login/").status in (200, 302) and self.get("/data/imports/").status == 200

    def peak(self) -> int:
        """The most memory that any of its processes ever had."""
        processes = [self.process, *self.process.children(recursive=True)]
        peaks = [re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{p.pid}/status").read_text()) for p in processes]
        return max(int(found[0]) * 1024 for found in peaks if found)


def answer_of(connection: socket.socket) -> Answer:
    """The answer on a connection; a lost one is status 0."""
    answer = http.client.HTTPResponse(connection)
    try:
        answer.begin()
        text = answer.read().decode()
    except (ConnectionError, http.client.HTTPException):
        return Answer(0, "", "")
    return Answer(answer.status, text, answer.headers.get("Location", ""))


@pytest.fixture
def server(installation: Installation, tmp_path: Path) -> Iterator[Server]:
    """A server that has taken a file before: what it loads for that, it has loaded."""
    made = Server(installation, tmp_path / "log")
    for number in range(8):
        assert made.upload(GOOD + f"Other {number},o-{number}\n".encode()).status == 302
    yield made
    for process in [made.process, *made.process.children(recursive=True)]:
        process.kill()
    made.process.wait()


def test_slow_senders_hold_no_thread_and_are_cut(server: Server) -> None:
    before = server.peak()
    slow: list[socket.socket] = []
    for begin in (
        b"GET / HTTP/1.1\r\nHost: local",
        b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000\r\n\r\n",
        server.head(length=50 * MIB) + server.top() + GOOD,
    ):
        for _ in range(SLOW):
            slow.append(server.connect())
            slow[-1].sendall(begin)
    began = time.monotonic()
    open_still = set(slow)
    answers: list[int] = []
    while open_still:
        assert server.answers_others()
        assert time.monotonic() - began < PATIENCE, "slow senders are not cut"
        for connection in list(open_still):
            connection.settimeout(0.05)
            try:
                connection.sendall(b"x")
                data = connection.recv(4096)
            except TimeoutError:
                continue
            except ConnectionError:
                data = b""
            answers.append(int(data.split()[1]) if data.startswith(b"HTTP/1.1 ") else 0)
            open_still.discard(connection)
            connection.close()
    assert set(answers) <= {0, 408, 503}
    assert answers.count(408) >= SLOW  # the heads and the forms at least; an upload may find the line closed
    assert server.upload(GOOD + b"Afterwards,a-1\n").status == 302
    assert server.peak() - before < FLAT
    assert "Traceback" not in server.log.read_text()


def test_who_reads_the_answer_slowly_does_not_keep_others_waiting(server: Server) -> None:
    slow = []
    for _ in range(16):
        slow.append(server.connect())
        slow[-1].sendall(b"GET /accounts/login/ HTTP/1.1\r\nHost: localhost\r\n\r\n")  # and reads nothing
    assert server.answers_others()
    for connection in slow:
        connection.close()


@pytest.mark.parametrize("sent", ["named", "chunked"])
def test_an_upload_of_5_gigabytes_is_refused_before_it_is_here(server: Server, sent: str) -> None:
    before = server.peak()
    piece = bytes(MIB)
    with server.connect() as connection:
        size = 5 * 1024 * MIB
        length = ["Transfer-Encoding: chunked"] if sent == "chunked" else []
        taken = 0
        with suppress(ConnectionError):
            connection.sendall(server.head(UPLOAD, 0 if length else size, *length))
            while taken < size:
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if length else piece)
                taken += len(piece)
                assert taken < 100 * MIB, "all of it is taken"
        answer = answer_of(connection)
    assert answer.status == (413 if sent == "named" else 403)  # Django reads nothing that names no length
    assert server.answers_others()
    assert server.peak() - before < FLAT


def test_a_file_somewhat_too_large_is_read_to_its_end_and_its_sender_told(server: Server) -> None:
    before = server.peak()
    limit = settings.IMPORT_MAX_BYTES
    pieces = [server.top(), *[b"VIP,v-1\n" * (MIB // 8)] * (limit // MIB + 20), b"\r\n--here--\r\n"]
    answer = server.send(pieces, None)
    assert answer.status == 413
    assert "This file is too large" in answer.text
    assert server.peak() - before < FLAT


def test_a_gzip_bomb_is_not_unpacked(server: Server) -> None:
    before = server.peak()
    bomb = gzip.compress(bytes(200 * MIB), compresslevel=6)
    answer = server.upload(bomb, "segments.csv")
    assert answer.status == 422
    assert "This is a gzip file. Unpack it" in answer.text
    packed = gzip.compress(server.top() + bytes(200 * MIB) + b"\r\n--here--\r\n")
    answer = server.send([packed], None, "Content-Encoding: gzip")
    assert answer.status in (400, 403)
    assert server.peak() - before < FLAT


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b",".join(b"c%d" % n for n in range(10_000)) + b"\n" + b"," * 9_999 + b"\n", "columns"),
        (b'Segment name,Link\n"' + b"x" * MIB + b'",\n', "131,072"),
        (b'Segment name\n"never closed' + b"x" * 4 * MIB, ""),
        (b"Segment name,Segment ID\n" + b"\n".join(b"s%d,%d" % (n, n) for n in range(1_100_000)), ""),
    ],
    ids=["10 000 columns", "a cell of 1 MB", "a quote never closed", "too many rows"],
)
def test_a_file_beyond_the_limits_is_refused_with_its_reason(server: Server, content: bytes, told: str) -> None:
    before = server.peak()
    answer = server.upload(content)
    if answer.status == 302:
        page = server.get(answer.location)
        assert page.status == 200
        assert told in page.text
    else:
        assert answer.status == 422
        assert told in answer.text
    assert server.answers_others()
    assert server.peak() - before < FLAT


@pytest.mark.parametrize(
    "name", ["../../../../etc/cron.d/x.csv", "..\\..\\x.csv", "<img src=x onerror=alert(1)>.csv", "a\u202evsc.exe"]
)
def test_a_file_name_is_no_path_and_no_markup(server: Server, installation: Installation, name: str) -> None:
    files = {path for path in installation.data.rglob("*") if "uploads" not in path.parts and path.is_file()}
    answer = server.upload(GOOD, name)
    assert answer.status == 302
    page = server.get(answer.location)
    assert "<img" not in page.text
    assert "../" not in page.text.split("<main")[1]
    assert "\u202e" not in page.text
    now = {path for path in installation.data.rglob("*") if "uploads" not in path.parts and path.is_file()}
    assert {path.suffix for path in now - files} <= {".sqlite3-wal", ".sqlite3-shm"}


def test_the_pace_is_one_that_a_poor_connection_keeps() -> None:
    assert settings.IMPORT_MAX_BYTES / receiving.PACE < 8 * 60 * 60
    assert receiving.PACE * 8 <= 64_000  # bits a second
