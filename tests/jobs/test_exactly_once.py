"""A form sent twenty times at once makes one change: over HTTP, to a real gunicorn with several processes."""

import http.client
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.test import Client

from channels.models import Channel
from imports.models import ImportJob
from jobs.models import Status
from jobs.worker import Worker
from people.models import Person
from segments import changes
from segments.models import ChangeSet, Segment
from segments.values import SegmentValues

pytestmark = pytest.mark.django_db(transaction=True)

TIMES = 20
FORM = "application/x-www-form-urlencoded"
BOUNDARY = "a-line-that-is-in-no-file"
CSV = b"Segment name,Segment ID\r\nVIP customers,vip-01\r\nLapsed,lap-90\r\n"
Together = Callable[..., list[Any]]


class Site(NamedTuple):
    """A server with somebody signed in."""

    port: int
    session: str

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = FORM, csrf: str = "") -> tuple[int, str]:
        """Return status and text of the answer."""
        cookies = f"{settings.SESSION_COOKIE_NAME}={self.session}; csrftoken={csrf}"
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        asked.request(method, path, body, {"Cookie": cookies, "Content-Type": kind, "X-CSRFToken": csrf})
        answer = asked.getresponse()
        text = answer.read().decode()
        asked.close()
        return answer.status, text

    def send(self, together: Together, path: str, body: bytes, kind: str = FORM) -> None:
        """Send a form twenty times at once; none of the answers may be an error of the server."""
        csrf = "c" * 32
        answers = together(TIMES, lambda: self.ask("POST", path, body, kind, csrf))
        assert all(isinstance(answer, tuple) and answer[0] < 400 for answer in answers), answers


class Server:
    """A gunicorn of two processes with threads, started when first needed."""

    process: "subprocess.Popen[bytes] | None" = None

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def start(self, environment: dict[str, str]) -> int:
        """Serve, if it does not yet; return the port."""
        descriptor = self.listener.fileno()
        if self.process is None:
            command = [sys.executable, "-m", "gunicorn", "--no-control-socket", f"--bind=fd://{descriptor}"]
            self.process = subprocess.Popen(
                [*command, "accessaudience.wsgi"], env=environment, cwd=settings.BASE_DIR, pass_fds=[descriptor]
            )
        port: int = self.listener.getsockname()[1]
        return port

    def stop(self) -> None:
        """End it."""
        self.listener.close()
        if self.process:
            self.process.terminate()
            self.process.wait(60)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The server of all tests here: they have one database."""
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def site(server: Server, environment: dict[str, str], marketer: Person) -> Site:
    """That server, to which a Marketer has signed in."""
    client = Client()
    client.force_login(marketer)
    return Site(server.start(environment), client.cookies[settings.SESSION_COOKIE_NAME].value)


@pytest.fixture
def segment() -> Segment:
    """A segment of Email."""
    return changes.add(Channel.objects.get(slug="email"), SegmentValues("VIP customers", "vip-01"), changes.By())


def hidden(page: str, name: str) -> str:
    """Return what a hidden field of the page holds."""
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)"', page)
    assert found, f"no {name} in {page}"
    return found[1]


def form_of(site: Site, path: str, **fields: str) -> bytes:
    """Return the form of a page, filled in, with its one-time token."""
    status, page = site.ask("GET", path)
    assert status == 200
    return urlencode({"form_token": hidden(page, "form_token"), **fields}).encode()


def multipart(fields: dict[str, str], content: bytes) -> bytes:
    """Return the body of an upload."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="segments.csv"\r\n\r\n'
    return "".join([*parts, head]).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def upload(site: Site, together: Together) -> ImportJob:
    """Upload a file twenty times at once; return its import."""
    _, page = site.ask("GET", "/data/upload/")
    fields = {"token": hidden(page, "token"), "object_type": "segments", "channel": "email"}
    site.send(together, "/data/upload/", multipart(fields, CSV), f"multipart/form-data; boundary={BOUNDARY}")
    return ImportJob.objects.get()


def test_upload_sent_twenty_times_is_one_import(site: Site, together: Together) -> None:
    job = upload(site, together)
    assert job.status == Status.READY
    folders, _ = default_storage.listdir("imports")
    assert str(job.pk) in folders
    assert len([name for name in default_storage.listdir(f"imports/{job.pk}")[1] if name.startswith("upload")]) == 1


@pytest.mark.fault
def test_upload_whose_browser_goes_away_leaves_nothing(site: Site) -> None:
    body = multipart({"object_type": "segments", "channel": "email"}, CSV * 20_000)
    head = (
        f"POST /data/upload/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nX-CSRFToken: {'c' * 32}\r\n"
        f"Cookie: {settings.SESSION_COOKIE_NAME}={site.session}; csrftoken={'c' * 32}\r\n\r\n"
    )
    for part in (len(body) // 2, len(body) - 10):
        with socket.create_connection(("127.0.0.1", site.port)) as browser:
            browser.sendall(head.encode() + body[:part])
    assert site.ask("GET", "/data/upload/")[0] == 200
    assert not ImportJob.objects.exists()


def test_import_started_twenty_times_is_done_once(site: Site, together: Together) -> None:
    job = upload(site, together)
    site.send(together, f"/data/imports/{job.pk}/start/", b"")
    assert Worker("w").work(drain=True) == 1
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.DONE, 1)
    assert ChangeSet.objects.get() == job.change_set
    assert Segment.objects.count() == 2


def test_segment_added_twenty_times_is_one(site: Site, together: Together) -> None:
    path = "/channels/email/segments/add/"
    site.send(together, path, form_of(site, path, name="VIP customers"))
    assert Segment.objects.get().name == "VIP customers"
    assert ChangeSet.objects.count() == 1
    assert Channel.objects.get(slug="email").segment_count == 1


def test_edit_sent_twenty_times_is_one_change(site: Site, together: Together, segment: Segment) -> None:
    path = f"/channels/email/segments/{segment.pk}/edit/"
    fields = {"name": "VIPs", "segment_id": "vip-01", "active": "on", "seen": str(segment.last_change_id)}
    site.send(together, path, form_of(site, path, **fields))
    segment.refresh_from_db()
    assert segment.name == "VIPs"
    assert ChangeSet.objects.filter(kind=ChangeSet.Kind.EDIT).count() == 1


def test_switch_thrown_twenty_times_is_one_change(site: Site, together: Together, segment: Segment) -> None:
    site.send(together, f"/channels/email/segments/{segment.pk}/status/", b"")
    segment.refresh_from_db()
    assert not segment.active
    assert ChangeSet.objects.filter(kind=ChangeSet.Kind.STATUS).count() == 1


def test_segment_deleted_twenty_times_is_one_change(site: Site, together: Together, segment: Segment) -> None:
    path = f"/channels/email/segments/{segment.pk}/delete/"
    site.send(together, path, form_of(site, path))
    assert not Segment.objects.exists()
    assert ChangeSet.objects.filter(kind=ChangeSet.Kind.DELETE).count() == 1
    assert Channel.objects.get(slug="email").segment_count == 0


def test_change_undone_twenty_times_is_undone_once(site: Site, together: Together, segment: Segment) -> None:
    path = f"/activity/{segment.created_in_id}/undo/"
    site.send(together, path, form_of(site, path))
    assert not Segment.objects.exists()
    assert ChangeSet.objects.filter(kind=ChangeSet.Kind.UNDO).count() == 1
