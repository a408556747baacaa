"""Rows on many segments at once: all that match a filter, switched and taken back by a worker."""

from collections import defaultdict
from collections.abc import Callable, Iterator

from figures import Budget, Figure, compared
from machine import Database, Ran, import_file, postgresql, sample, sqlite
from writing import MEMORY, Times, note

# What pressing the button does: a job, of which only the filter is kept. Active segments are all but some.
DEACTIVATE = """
from django.contrib.auth.models import Group
from channels.models import Channel
from people.models import Person
from segments.bulk import acting
from segments.changes import By
from segments.models import BulkJob
person = Person.objects.create(email="bench@example.com")
person.groups.add(Group.objects.get(name="Marketer"))
acting.begin(BulkJob.Action.DEACTIVATE, Channel.objects.get(slug="email"), {"status": "active"}, [], By(person))
"""
UNDO = """
from segments.undo import undoing
from segments.changes import By
from segments.models import BulkJob
job = BulkJob.objects.get()
undoing.begin(job.change_set, By(job.user))
"""
DONE = "SELECT count(*) FROM segments_bulkjob b JOIN segments_undojob u ON b.status = 'done' AND u.status = 'done'"


def on_postgresql(rounds: int, rows: int) -> Iterator[Figure]:
    """All active segments deactivated, and that undone, by a worker; against the import that made them."""
    yield from all_that_match("PostgreSQL", postgresql, rounds, rows)


def on_sqlite(rounds: int, rows: int) -> Iterator[Figure]:
    """All active segments deactivated, and that undone, by a worker; against the import that made them."""
    yield from all_that_match("SQLite", sqlite, rounds, rows)


def all_that_match(name: str, make: Callable[[], Database], rounds: int, rows: int) -> Iterator[Figure]:
    """A worker that does the one job, started for it and waited for: its start is in the figures."""
    took: Times = defaultdict(list)
    idle = worker(make()).peak_mb
    matching = 0
    for _ in range(rounds):
        database = make()
        took["import"].append(import_file(database, sample(rows))[0].seconds)
        matching = int(str(database.execute("SELECT count(*) FROM segments_segment WHERE active")[0][0]))
        for what, begin in (("deactivate", DEACTIVATE), ("undo", UNDO)):
            database.manage("shell", "-v0", "-c", begin)
            note(took, what, worker(database))
        assert database.execute(DONE) == [(1,)], "a job was not done"
    what = f"{name}, all {matching:,} active ones of {rows:,}"
    yield compared(f"{what} deactivated, against their import", "import", took["deactivate"], took["import"], Budget())
    yield compared(f"{what}, that undone, against it", "deactivating", took["undo"], took["deactivate"], Budget())
    yield Figure(f"{what}, memory of the worker above idle", max(took["peak"]) - idle, MEMORY)


def worker(database: Database) -> Ran:
    """Let a worker do the one job that waits, if any; what an idle one does besides is not done."""
    return database.manage("worker", "--once")
