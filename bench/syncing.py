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
from pathlib import Path
from urllib.parse import urlsplit

from figures import Budget, Figure, compared
from machine import MANAGE, ROOT, Database, run, sqlite
from writing import MEMORY

sys.path.insert(0, str(ROOT))

from tests.klaviyo.fake import FakeKlaviyo  # noqa: E402  # found by the line above

PAGE_SECONDS = 0.2
LONGER = 0.6  # of all objects are segments
OPEN = "SELECT count(*) FROM integrations_syncjob WHERE status IN ('waiting', 'running')"
START = """
from channels.models import Channel
from integrations.starting import start
from segments.models import ChangeSet
start(Channel.objects.get(slug="{slug}"), None, via=ChangeSet.Via.COMMAND)
"""


def of_klaviyo(rounds: int, rows: int) -> Iterator[Figure]:
    """A sync into an empty channel by the command, the same again, and one by a worker that runs; requests; memory."""
    rows = min(rows, 1_000)
    walks: list[float] = []
    taken: dict[str, list[float]] = {"": [], ", again": [], ", by a worker that runs": []}
    requests, peaks = [], []
    with klaviyo(rows) as fake:
        for number in range(rounds):
            database = connected(fake)
            for turn in ("sync", "walk") if number % 2 else ("walk", "sync"):
                if turn == "walk":
                    walks.append(walk(fake))
                    continue
                for name in ("", ", again"):
                    fake.requests.clear()
                    taken[name].append(sync(database, fake))
                    requests.append(len(fake.requests))
                seconds, above_idle = sync_by_worker(database, fake)
                taken[", by a worker that runs"].append(seconds)
                peaks.append(above_idle)
    what = f"Sync of {rows:,} at {PAGE_SECONDS * 1000:.0f} ms a page"
    for name, mine in taken.items():
        yield compared(what + name, "the longer walk", mine, walks, Budget(must=1.15, goal=1.05))
    pages = Budget(" requests", must=102, goal=102, digits=0)
    yield Figure(f"{what}, requests", max(requests), pages)
    yield Figure(f"{what}, memory of the worker above idle", max(peaks), MEMORY)


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
        [*MANAGE, "connect_klaviyo"],
        input=fake.key.encode(),
        env=database.environment | {"KLAVIYO_API_BASE_URL": fake.url},
        check=True,
        capture_output=True,
    )
    return database


def sync(database: Database, fake: FakeKlaviyo) -> float:
    """Sync into Email by the command; return the seconds from the job's start to its end."""
    command = [*MANAGE, "sync_klaviyo", "--channel", "email", "--json"]
    ran = run(command, database.environment | {"KLAVIYO_API_BASE_URL": fake.url})
    told = json.loads(ran.output)
    assert told["status"] == "done", told
    return seconds_of_newest(database)


def sync_by_worker(database: Database, fake: FakeKlaviyo) -> tuple[float, float]:
    """Sync into SMS, then into Meta, by one worker; return the second's seconds, and the worker's MB above idle."""
    environment = database.environment | {"KLAVIYO_API_BASE_URL": fake.url}
    command = [*MANAGE, "worker"]
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=silent, stderr=silent) as worker:
        while database.execute("SELECT count(*) FROM jobs_workerseen") == [(0,)]:
            time.sleep(0.1)
        idle = peak_mb(worker.pid)
        for slug in ("sms", "meta"):
            database.manage("shell", "-c", START.format(slug=slug))
            while database.execute(OPEN) != [(0,)]:
                time.sleep(0.1)
        above_idle = peak_mb(worker.pid) - idle
        worker.terminate()
    return seconds_of_newest(database), above_idle


def peak_mb(pid: int) -> float:
    """Return the most memory that a running process has had, in MB (Linux: VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"The kernel tells no VmHWM of process {pid}.")


def seconds_of_newest(database: Database) -> float:
    """Return the seconds that the newest sync took, from its start to its end."""
    rows = database.execute(
        "SELECT (julianday(finished_at) - julianday(started_at)) * 86400.0 FROM integrations_syncjob "
        "WHERE status = 'done' ORDER BY created_at DESC LIMIT 1"
    )
    return float(str(rows[0][0]))


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
