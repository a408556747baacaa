"""The row on syncing: a whole sync of 1,000 lists and segments from a Klaviyo that takes 200 ms a page.

Its peer is the bare walk: the pages of the longer of its two walks, asked for one after the other over
one connection, and read. What a sync does beside the longer walk must hide behind it.
"""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from machine import ROOT, Database, Ran, median, run, sqlite

sys.path.insert(0, str(ROOT))

from tests.klaviyo.fake import FakeKlaviyo  # noqa: E402

Line = tuple[str, str, str, str]  # what, measured, must, goal
PAGE_SECONDS = 0.2
LONGER = 0.6  # of all objects are segments


def of_klaviyo(rounds: int, rows: int) -> Iterator[Line]:
    """A sync into an empty channel, and the same again; requests; memory above a sync of one object."""
    rows = min(rows, 1_000)
    firsts, agains, walks, requests, peaks = [], [], [], [], []
    with klaviyo(1) as fake:
        database = connected(fake)
        idle = sync(database, fake)[0].peak_mb
    with klaviyo(rows) as fake:
        for number in range(rounds):
            database = connected(fake)
            for turn in ("sync", "walk") if number % 2 else ("walk", "sync"):
                if turn == "walk":
                    walks.append(walk(fake))
                    continue
                fake.requests.clear()
                ran, seconds = sync(database, fake)
                requests.append(len(fake.requests))
                firsts.append(seconds)
                again, seconds = sync(database, fake)
                agains.append(seconds)
                peaks.append(max(ran.peak_mb, again.peak_mb))
    what = f"Sync of {rows:,} at {PAGE_SECONDS * 1000:.0f} ms a page"
    for name, mine in ((what, firsts), (f"{what}, again", agains)):
        ratios = [one / other for one, other in zip(mine, walks, strict=True)]
        measured = f"{median(mine):.2f} s, {median(ratios):.3f} × the longer walk ({median(walks):.2f} s)"
        yield name, measured, "≤ 1.15 ×", "≤ 1.05 ×"
    yield f"{what}, requests", str(max(requests)), "≤ 102", "≤ 102"
    yield f"{what}, memory above a sync of one", f"{max(peaks) - idle:.0f} MB", "≤ 64 MB", "≤ 32 MB"


@contextmanager
def klaviyo(rows: int) -> Iterator[FakeKlaviyo]:
    """A Klaviyo with so many objects, more than half of them segments."""
    fake = FakeKlaviyo()
    segments = max(round(rows * LONGER), 1)
    fake.add_many(segments, rows - segments)
    fake.delay = PAGE_SECONDS
    with fake.serving():
        yield fake


def connected(fake: FakeKlaviyo) -> Database:
    """Return a fresh database, with the account connected."""
    database = sqlite()
    subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "connect_klaviyo"],
        input=fake.key.encode(),
        env=database.environment | {"KLAVIYO_API_BASE_URL": fake.url},
        check=True,
        capture_output=True,
    )
    return database


def sync(database: Database, fake: FakeKlaviyo) -> tuple[Ran, float]:
    """Sync into Email; return the process, and the seconds from the job's start to its end."""
    command = [sys.executable, str(ROOT / "manage.py"), "sync_klaviyo", "--channel", "email", "--json"]
    ran = run(command, database.environment | {"KLAVIYO_API_BASE_URL": fake.url})
    told = json.loads(ran.output)
    assert told["status"] == "done", told
    rows = database.execute(
        "SELECT (julianday(finished_at) - julianday(started_at)) * 86400.0 FROM integrations_syncjob "
        "ORDER BY created_at DESC LIMIT 1"
    )
    return ran, float(str(rows[0][0]))


def walk(fake: FakeKlaviyo) -> float:
    """Return the seconds that the pages of the longer walk take, one after the other."""
    address = urlsplit(fake.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    headers = {"Authorization": f"Klaviyo-API-Key {fake.key}", "revision": "2026-10-15"}
    path: str | None = "/api/segments?page[size]=10"
    start = time.perf_counter()
    while path:
        connection.request("GET", path, headers=headers)
        page = json.load(connection.getresponse())
        following = page["links"]["next"]
        path = following.removeprefix(fake.url) if following else None
    return time.perf_counter() - start
