"""Fifty marketers at once against two web processes and four workers, and readers beside Django admin's own list.

    make load                            5 minutes; writes docs/performance.md
    make load USERS=100 DURATION=60      more people, for a minute
    make load QUICK=1                    a short form, to see that it runs; writes nothing

Sets up a PostgreSQL database of its own with 100,000 segments, and people who are signed in; starts and stops its own
servers. First the marketers of bench/marketers.py browse, edit and upload. Then as many people as there are threads
read our list, and after that Django admin's of the same table, without a pause. At the end the database must hold what
the pages said was done: each upload once, no job left over. The status is not zero if it does not, or if any answer
was none that a person should see.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from figures import markdown, put
from machine import MANAGE, ROOT, WORK, Database, Missing, describe, import_file, load, postgresql, run, sample, tidied
from serving import answers, free_address

WEB_PROCESSES, WORKERS, READERS = 2, 4, 8
LIMITS = {"UPLOADS_AN_HOUR": "100000", "WAITING_JOBS": "1000", "LOG_LEVEL": "WARNING"}
DOCUMENT = ROOT / "docs" / "performance.md"
COOKIES, TOLD = WORK / "load-cookies.json", WORK / "load-told.json"
PATIENCE = 120.0  # seconds: only what does not work takes so long

# People of two roles, signed in: a hundred of them at once are not what the limits of signing in are for.
SIGN_IN = """
import json, sys
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client
from people.models import Person
def sessions(kind, role, number):
    for each in range(number):
        person = Person.objects.create(email=f"{kind}-{each}@example.com", first_name=kind, last_name=str(each))
        person.groups.add(Group.objects.get(name=role))
        client = Client(headers={"host": "127.0.0.1"})
        client.force_login(person)
        yield f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
kinds = {"marketer": ("Marketer", %(users)d), "reader": ("Admin", %(readers)d), "admin": ("Admin", %(readers)d)}
with open(%(file)r, "w") as file:
    json.dump({kind: list(sessions(kind, *how)) for kind, how in kinds.items()}, file)
"""
Told = dict[str, Any]  # what marketers.py writes down


def main() -> int:
    """Put it under load; print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--duration", type=int, default=300, help="seconds")
    parser.add_argument("--rows", type=int, default=100_000, help="segments that are there at the beginning")
    parser.add_argument("--quick", action="store_true", help="few people, for 20 seconds, with few segments")
    parser.add_argument("--write", action="store_true", help="write the figures into docs/performance.md")
    options = parser.parse_args()
    how = (6, 20, 2_000) if options.quick else (options.users, options.duration, options.rows)
    WORK.mkdir(parents=True, exist_ok=True)
    try:
        with tidied():
            return under_load(*how, write=options.write)
    except Missing as why:
        print(f"NOT RUN: load: {why}")
        return os.environ.get("ALLOW_MISSING") != "1"


def under_load(users: int, duration: int, rows: int, *, write: bool) -> int:
    """Set up, let people in, and compare what they were told with what is there."""
    database = postgresql()
    import_file(database, sample(rows))
    run([sys.executable, "-m", "accessaudience.prepare"], database.environment)
    database.manage("index_search")
    database.execute("ANALYZE")
    database.manage("shell", "-v0", "-c", SIGN_IN % {"users": users, "readers": READERS, "file": str(COOKIES)})
    before, address = load(), free_address()
    with served(database, address):
        people = visit(address, "Marketer", users, duration)
        ours, admins = (visit(address, kind, READERS, max(duration // 5, 5)) for kind in ("Reader", "AdminReader"))
    wrong = differences(database, rows, people["done"])
    for each in (people, ours, admins):
        wrong += [f"{number} × {what}" for what, number in each["unexpected"].items()]
    busy = people["done"].pop("refused, busy", 0)
    meanwhile = people["done"].pop("refused, changed meanwhile", 0)
    how = (
        f"`make load USERS={users} DURATION={duration}`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {rows:,} segments, "
        f"{WEB_PROCESSES} web processes, {WORKERS} workers, load {before} to {load()}; {describe()}."
    )
    lines = [
        how,
        table(people),
        f"Done: {in_words(people['done'])}. Refused as another change was being written: {busy}; as somebody else had "
        f"changed the segment meanwhile: {meanwhile}.",
        f"{READERS} people who read without a pause, first our list, then Django admin's of the same table:",
        table(ours, admins),
        "**Wrong:** " + "; ".join(wrong) if wrong else "No answer was an error, and the database holds what was done.",
    ]
    text = "\n\n".join(lines)
    print(text, flush=True)
    if write:
        put(DOCUMENT, "load", text)
    return bool(wrong)


@contextmanager
def served(database: Database, address: str) -> Iterator[None]:
    """Have the web server and the workers run while the body lasts; jobs that wait at its end are still done."""
    web = [sys.executable, "-m", "gunicorn", "--no-control-socket", f"--bind={address.partition('//')[2]}"]
    with ExitStack() as stack:
        stack.enter_context(started([*web, "accessaudience.wsgi"], database, "web"))
        for number in range(WORKERS):
            stack.enter_context(
                started([*MANAGE, "worker", "--name", f"worker-{number}"], database, f"worker-{number}")
            )
        wait_until(lambda: answers(f"{address}/health/ready"), "the service is not ready; build/bench has its logs")
        yield
        wait_until(lambda: open_jobs(database) == 0, "jobs are left over")


@contextmanager
def started(command: list[str], database: Database, name: str) -> Iterator[None]:
    """Run a command while the body lasts, its output in a file."""
    environment = database.environment | LIMITS | {"WEB_CONCURRENCY": str(WEB_PROCESSES)}
    with (WORK / f"load-{name}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def wait_until(what: Any, told: str) -> None:
    """Wait until `what` is true."""
    give_up = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > give_up:
            raise RuntimeError(told)
        time.sleep(0.2)


def visit(address: str, kind: str, users: int, duration: int) -> Told:
    """Let so many people of a kind work for so many seconds; each ends what they have begun."""
    command = [
        *(sys.executable, "-m", "locust", "--headless", "-f", str(ROOT / "bench" / "marketers.py"), kind),
        *("--host", address, "-u", str(users), "-r", str(max(users / 10, 1)), "-t", f"{duration}s"),
        *("--stop-timeout", "300", "--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0"),
    ]
    run(command, os.environ | {"LOAD_COOKIES": str(COOKIES), "LOAD_TOLD": str(TOLD)})
    told: Told = json.loads(TOLD.read_text("utf-8"))
    return told


OPEN = "SELECT count(*) FROM {} WHERE status NOT IN ('done', 'failed', 'cancelled', 'ready', 'uploaded')"
JOBS = ("imports_importjob", "segments_undojob", "segments_bulkjob", "integrations_syncjob")


def open_jobs(database: Database) -> int:
    """How many jobs have not ended."""
    return sum(number(database, OPEN.format(table)) for table in JOBS)


def number(database: Database, sql: str) -> int:
    """Return the one number that a statement tells."""
    return int(str(database.execute(sql)[0][0]))


def differences(database: Database, rows: int, done: dict[str, int]) -> list[str]:
    """Say where the database does not hold what the pages said was done, beside the first import of `rows`."""
    sets = "SELECT count(*) FROM segments_changeset WHERE kind = '{}'"
    created = "SELECT count(*) FROM segments_segment"
    by_uploads = "SELECT COALESCE(sum(created), 0) FROM segments_changesetchannel WHERE change_set_id IN {}"
    once = f"(SELECT change_set_id FROM imports_importjob WHERE status = 'done' AND file_name <> '{sample(rows).name}')"
    expected = {
        "uploads done": (number(database, f"SELECT count(*) FROM {once} one"), done.get("import", 0)),
        "change sets of imports": (number(database, sets.format("import")), done.get("import", 0) + 1),
        "rows imported": (number(database, by_uploads.format(once)), done.get("rows imported", 0)),
        "segments": (
            number(database, created),
            rows + done.get("rows imported", 0) + done.get("add", 0) - done.get("add, undone", 0),
        ),
        "segments by the channels' own count": (
            number(database, "SELECT sum(segment_count) FROM channels_channel"),
            number(database, created),
        ),
        "jobs left over": (open_jobs(database), 0),
        "jobs that failed": (
            sum(number(database, f"SELECT count(*) FROM {t} WHERE status = 'failed'") for t in JOBS),
            0,
        ),
        **{
            f"change sets of kind {kind}": (number(database, sets.format(kind)), done.get(kind, 0))
            for kind in ("add", "edit", "status", "undo")
        },
    }
    return [
        f"{what}: {found:,} where {told:,} were told of" for what, (found, told) in expected.items() if found != told
    ]


def table(*told: Told) -> str:
    """Requests by kind: how many, how fast, errors."""
    header = ("What", "Requests", "A second", "p50", "p95", "Errors")
    return markdown(
        header,
        (
            (
                "All" if each["name"] == "Aggregated" else each["name"],
                f"{each['requests']:,}",
                "" if each["a_second"] is None else f"{each['a_second']:.1f}",
                f"{each['p50'] or 0:,.0f} ms",
                f"{each['p95'] or 0:,.0f} ms",
                f"{each['failures']:,}",
            )
            for one in told
            for each in one["requests"]
            if len(told) == 1 or each["name"] != "Aggregated"
        ),
    )


def in_words(done: dict[str, int]) -> str:
    """What was done, by kind."""
    return ", ".join(f"{what} {number:,}" for what, number in sorted(done.items()))


if __name__ == "__main__":
    sys.exit(main())
