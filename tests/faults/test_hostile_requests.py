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
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from django.conf import settings

from accessaudience import pace, receiving
from tests.faults.conftest import PATIENCE, PRELUDE, Installation, MakeInstallation

pytestmark = [pytest.mark.fault, pytest.mark.once]

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
        self.installation = installation
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


@contextmanager
def serving(installation: Installation, log: Path) -> Iterator[Server]:
    """A server that has taken files before: what it loads for that, it has loaded."""
    made = Server(installation, log)
    for number in range(8):
        assert made.upload(GOOD + f"Other {number},o-{number}\n".encode()).status == 302
    yield made
    for process in [made.process, *made.process.children(recursive=True)]:
        process.kill()
    made.process.wait()


@pytest.fixture
def new_server(installation: Installation, tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own: its memory is what this test made of it."""
    with serving(installation, tmp_path / "log") as server:
        yield server


@pytest.fixture(scope="module")
def server(make_installation: MakeInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that do not look at its memory."""
    folder = tmp_path_factory.mktemp("hostile")
    with make_installation(folder) as installation, serving(installation, folder / "log") as server:
        yield server


def test_slow_senders_hold_no_thread_and_are_cut(new_server: Server) -> None:
    before = new_server.peak()
    slow: list[socket.socket] = []
    for begin in (
        b"GET / HTTP/1.1\r\nHost: local",
        b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000\r\n\r\n",
        new_server.head(length=50 * MIB) + new_server.top() + GOOD,
    ):
        for _ in range(SLOW):
            slow.append(new_server.connect())
            slow[-1].sendall(begin)
    began = time.monotonic()
    open_still = set(slow)
    answers: list[int] = []
    while open_still:
        assert new_server.answers_others()
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
    assert new_server.upload(GOOD + b"Afterwards,a-1\n").status == 302
    assert new_server.peak() - before < FLAT
    assert "Traceback" not in new_server.log.read_text()


@pytest.mark.parametrize(
    "begin",
    [
        b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
        b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n",
        b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n",
        b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"GET /health/live HTTP/1.0\r\nHost: localhost\r\n\r\n",
    ],
    ids=["chunks", "asks before it sends", "a large form", "a length beyond numbers", "says nothing more, and stays"],
)
def test_no_thread_waits_for_a_stranger(server: Server, begin: bytes) -> None:
    waits = []
    for _ in range(8 * settings.WEB_THREADS):
        waits.append(server.connect())
        waits[-1].sendall(begin)
    began = time.monotonic()
    assert server.answers_others()
    assert server.upload(GOOD + b"Meanwhile,m-1\n").status == 302
    taken = time.monotonic() - began
    for connection in waits:
        connection.close()
    assert taken < receiving.LINGER_SECONDS * len(waits) / (2 * settings.WEB_THREADS), (
        "they are waited for one after the other"
    )
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 4\r\nTransfer-Encoding: chunked", 411),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 4", 411),
        (b"tRANSFER-eNCODING: gzip, chunked", 411),
        (b"Transfer-Encoding: identity", 411),
        (b"Transfer-Encoding : chunked", 400),
        (b"X-First: a\r\n Transfer-Encoding: chunked", 400),
        (b"Content-Length: 4\r\nContent-Length: 4", 400),
        (b"Content-Length: 4\r\ncontent-length: 50000", 400),
        (b"Content-Length: +4", 400),
        (b"Content-Length: 4, 4", 400),
        (b"Content-Length:\r\n 4", 400),
        (b"Content_Length: 4\r\nContent-Length: -4", 400),
        (b"Content-Length: 4\r\nX-\x00: a", 400),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_and_the_connection_ends(
    server: Server, head: bytes, status: int
) -> None:
    with server.connect() as connection:
        connection.sendall(b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n0\r\n\r\n")
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        come = b""
        with suppress(ConnectionError):
            while data := connection.recv(4096):
                come += data
    assert come.startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Security-Policy: default-src 'none'" in come
    assert b"text/plain" in come
    assert come.count(b"HTTP/1.1 ") == 1, "what followed was answered as another request"


def test_requests_one_after_the_other_on_a_connection_are_answered_in_order(server: Server) -> None:
    form = b"a=" + b"x" * 1000
    with server.connect() as connection:
        connection.sendall(
            b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
            b"POST /health/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1002\r\n\r\n" + form + b"HEAD /health/li"
        )
        connection.sendall(b"ve HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        come = b""
        while data := connection.recv(4096):
            come += data
    assert re.findall(rb"HTTP/1\.1 (\d+)", come) == [b"200", b"403", b"200"]  # a form without its token


def test_who_asks_before_sending_is_told_to_go_on(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(
            b"POST /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n"
        )
        assert connection.recv(4096) == receiving.CONTINUE
        connection.sendall(b"a=b")
        assert answer_of(connection).status == 403  # it came, without its token


def test_connections_that_say_nothing_make_room_for_those_that_ask(new_server: Server) -> None:
    most = int(re.findall(r"worker_connections = (\d+)", (settings.BASE_DIR / "gunicorn.conf.py").read_text())[0])
    before = new_server.peak()
    silent = []
    for number in range(2 * most + 50):  # two processes
        silent.append(new_server.connect())
        silent[-1].sendall(b"GET / HTTP/1.1\r\nX: " + b"y" * 60_000 if number % 2 else b"G")
    assert new_server.answers_others()
    for connection in silent:
        connection.close()
    assert new_server.answers_others()
    assert new_server.peak() - before < 2 * FLAT
    assert "Traceback" not in new_server.log.read_text()


def test_those_who_read_nothing_do_not_keep_others_waiting(server: Server, tmp_path: Path) -> None:
    asked = b"GET /channels/email/segments/export/ HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid=%s\r\n\r\n"
    rows = b"".join(b"%s %d,e-%d\n" % (b"A long name of a segment" * 8, n, n) for n in range(15_000))
    (tmp_path / "rows.csv").write_bytes(GOOD + rows)
    server.installation.run("manage.py", "import_segments", str(tmp_path / "rows.csv"), "--channel", "email")
    slow = []
    for _ in range(16):
        slow.append(socket.socket())
        slow[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        slow[-1].connect(("127.0.0.1", server.port))
        slow[-1].sendall(asked % server.session.encode())
    assert server.answers_others()
    for connection in slow:
        connection.close()


def test_who_reads_the_answer_slowly_does_not_keep_others_waiting(server: Server) -> None:
    slow = []
    for _ in range(16):
        slow.append(server.connect())
        slow[-1].sendall(b"GET /accounts/login/ HTTP/1.1\r\nHost: localhost\r\n\r\n")  # and reads nothing
    assert server.answers_others()
    for connection in slow:
        connection.close()


@pytest.mark.parametrize("sent", ["named", "chunked"])
def test_an_upload_of_5_gigabytes_is_refused_before_it_is_here(new_server: Server, sent: str) -> None:
    before = new_server.peak()
    piece = bytes(MIB)
    with new_server.connect() as connection:
        size = 5 * 1024 * MIB
        length = ["Transfer-Encoding: chunked"] if sent == "chunked" else []
        taken = 0
        with suppress(ConnectionError):
            connection.sendall(new_server.head(UPLOAD, 0 if length else size, *length))
            while taken < size:
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if length else piece)
                taken += len(piece)
                assert taken < 100 * MIB, "all of it is taken"
        answer = answer_of(connection)
    assert answer.status == (413 if sent == "named" else 411)
    assert new_server.answers_others()
    assert new_server.peak() - before < FLAT


def test_a_file_somewhat_too_large_is_read_to_its_end_and_its_sender_told(new_server: Server) -> None:
    before = new_server.peak()
    limit = settings.IMPORT_MAX_BYTES
    pieces = [new_server.top(), *[b"VIP,v-1\n" * (MIB // 8)] * (limit // MIB + 20), b"\r\n--here--\r\n"]
    answer = new_server.send(pieces, None)
    assert answer.status == 413
    assert "This file is too large" in answer.text
    assert new_server.peak() - before < FLAT


def test_a_gzip_bomb_is_not_unpacked(new_server: Server) -> None:
    before = new_server.peak()
    bomb = gzip.compress(bytes(200 * MIB), compresslevel=6)
    answer = new_server.upload(bomb, "segments.csv")
    assert answer.status == 422
    assert "This is a gzip file. Unpack it" in answer.text
    packed = gzip.compress(new_server.top() + bytes(200 * MIB) + b"\r\n--here--\r\n")
    answer = new_server.send([packed], None, "Content-Encoding: gzip")
    assert answer.status in (400, 403)
    assert new_server.peak() - before < FLAT


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
def test_a_file_beyond_the_limits_is_refused_with_its_reason(new_server: Server, content: bytes, told: str) -> None:
    before = new_server.peak()
    answer = new_server.upload(content)
    if answer.status == 302:
        page = new_server.get(answer.location)
        assert page.status == 200
        assert told in page.text
    else:
        assert answer.status == 422
        assert told in answer.text
    assert new_server.answers_others()
    assert new_server.peak() - before < FLAT


@pytest.mark.parametrize(
    "name", ["../../../../etc/cron.d/x.csv", "..\\..\\x.csv", "<img src=x onerror=alert(1)>.csv", "a\u202evsc.exe"]
)
def test_a_file_name_is_no_path_and_no_markup(server: Server, name: str) -> None:
    files = {path for path in server.installation.data.rglob("*") if "uploads" not in path.parts and path.is_file()}
    answer = server.upload(GOOD, name)
    assert answer.status == 302
    page = server.get(answer.location)
    assert "<img" not in page.text
    assert "../" not in page.text.split("<main")[1]
    assert "\u202e" not in page.text
    now = {path for path in server.installation.data.rglob("*") if "uploads" not in path.parts and path.is_file()}
    assert {path.suffix for path in now - files} <= {".sqlite3-wal", ".sqlite3-shm"}


def test_the_pace_is_one_that_a_poor_connection_keeps() -> None:
    assert settings.IMPORT_MAX_BYTES / pace.PACE < 8 * 60 * 60
    assert pace.PACE * 8 <= 64_000  # bits a second
