"""The pipeline of an import: a job goes in; its plan, or its segments, come out.

`check(job)` reads the whole file and writes down what an import would do, changing no segment.
`run(job)` reads it again and does it, in one transaction that ends with the job's own row. Both are
called by jobs.runner under a lease. Must not know: requests, pages, command lines.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from uuid import uuid4

from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import F

from channels.models import Channel
from imports import errorfile, planfile, stored
from imports.leftout import ErrorRow
from imports.models import ImportChannel, ImportJob, ImportRowError
from imports.reading import Reading, staged_rows
from imports.shown import shown
from jobs.lease import finish
from jobs.models import Status
from jobs.points import reach
from segments import changes
from segments.changes import By, Counts, Plan, PlannedRow, Rule
from segments.models import ChangeSet, Source
from segments.values import RowError

ERRORS_KEPT = 10_000  # in the database; the error file has them all
SKIPPED_KEPT = 1_000  # of an import that did not end as its check said, or had none
BATCH = 5_000  # rows between two beats

CountsOf = dict[int, Counts]  # by the channel's primary key


def check(job: ImportJob) -> None:
    """Write down what an import of `job` would do: counts, plan files, errors, warnings. No segment is written.

    Raises JobError if the file or the mapping is not good for that.
    """
    with _own_files(job) as files, staged_rows(job) as reading:
        counts = {}
        for channel in job.channels.all():
            with changes.plan(reading.staged, channel, Rule(job.on_duplicate)) as plan:
                counts[channel.pk] = plan.counts
                reading.note_ambiguous(channel, plan)
                _write_plan(job, channel, _beating(job, reading, plan.rows()), reading)
        _write_errors(job, reading)
        with transaction.atomic():
            _keep_errors(job, reading)
            _keep_counts(job, counts, reading)
            finish(job, Status.READY, files=files, **reading.facts())


def run(job: ImportJob) -> None:
    """Write the file's good rows into the job's channels: all of them, and the job's end, or nothing.

    Raises JobError if the file or the mapping is not good for that.
    """
    was = _counts_of(job) if job.rows else None
    with _own_files(job) as files, staged_rows(job) as reading:
        skipped: dict[int, list[PlannedRow]] = {}

        def report(channel: Channel, plan: Plan) -> None:
            reading.note_ambiguous(channel, plan)
            found = (row for row in plan.left_out() if row.outcome == "skipped")
            skipped[channel.pk] = list(islice(found, SKIPPED_KEPT)) if plan.counts.skipped else []

        def end(result: changes.Result) -> None:
            _keep_errors(job, reading)
            _keep_counts(job, result.counts, reading)
            result.change_set.channels.update(errors=F("errors") + reading.left_out.rows)
            facts = reading.facts()
            if was and was != _counts_of(job):
                facts["warnings"] = [*facts["warnings"], _changed_since(was, _counts_of(job))]
            _write_errors(job, reading)
            for channel in job.channels.all():
                _write_plan(job, channel, skipped[channel.pk], reading)
            reach("import:files_written")
            finish(job, Status.DONE, files=files, change_set=result.change_set, **facts)

        job.begin_writing()
        changes.apply(
            reading.staged,
            job.channels.all(),
            Rule(job.on_duplicate),
            kind=ChangeSet.Kind.IMPORT,
            source=Source.CSV,
            by=By(job.user, ChangeSet.Via(job.via), form_token=job.pk),
            label=job.file_name,
            report=report,
            finish=end,
        )


@contextmanager
def _own_files(job: ImportJob) -> Iterator[str]:
    """Let the body write plan and error files under names that only this attempt has, and yield how they begin.

    Whoever reads them does so by what finish() stores: the earlier ones hold until then, and go afterwards.
    """
    before, job.files = job.files, f"{uuid4()}-"
    try:
        yield job.files
    except (DatabaseError, InterfaceError):
        raise  # perhaps in the answer to a commit that was done
    except BaseException:
        stored.remove_written(job, job.files)
        job.files = before
        raise
    stored.remove_written(job, before)


def _beating(job: ImportJob, reading: Reading, rows: Iterator[PlannedRow]) -> Iterator[PlannedRow]:
    while batch := list(islice(rows, BATCH)):
        job.beat(reading.rows, reading.rows, "matching")
        yield from batch


def _write_plan(job: ImportJob, channel: Channel, rows: Iterable[PlannedRow], reading: Reading) -> None:
    planfile.write(job, channel.pk, rows, reading.error_rows(channel.pk), reading.mapping)


def _write_errors(job: ImportJob, reading: Reading) -> None:
    table = reading.table
    errorfile.write(job, table.header, reading.error_rows(), table.dialect.delimiter)


def _keep_errors(job: ImportJob, reading: Reading) -> None:
    """Write the first errors to the database, in place of those of an earlier reading."""
    job.row_errors.all().delete()
    errors = (_row_error(job, row, error, reading) for row in reading.error_rows() for error in row.errors)
    ImportRowError.objects.bulk_create(islice(errors, ERRORS_KEPT), batch_size=1_000)


def _row_error(job: ImportJob, row: ErrorRow, error: RowError, reading: Reading) -> ImportRowError:
    column = reading.mapping.columns.get(error.field)
    return ImportRowError(
        job=job,
        channel_id=row.channel,
        line=row.line,
        field=error.field,
        column=column,
        header=shown(reading.table.header[column - 1]) if column else "",
        name=shown(reading.mapping.texts(row.cells)["name"]),
        value=shown(error.value),
        code=error.code,
        message=error.message,
    )


def _keep_counts(job: ImportJob, counts: CountsOf, reading: Reading) -> None:
    for channel, planned in counts.items():
        job.targets.filter(channel=channel).update(**reading.counts(planned)._asdict())


def _counts_of(job: ImportJob) -> CountsOf:
    rows = job.targets.values_list("channel_id", *ImportChannel.COUNTS)
    return {channel: Counts(*counts) for channel, *counts in rows}


def _changed_since(was: CountsOf, done: CountsOf) -> dict[str, str]:
    """Return the warning that an import did something else than its check had said."""

    def in_words(counts: CountsOf) -> str:
        totals = map(sum, zip(*counts.values(), strict=True))
        return ", ".join(f"{total:,} {name}" for name, total in zip(ImportChannel.COUNTS, totals, strict=True))

    message = (
        "Segments were changed between the check and the import, so it did not do what the check said. "
        f"Check: {in_words(was)}. Done: {in_words(done)}."
    )
    return {"code": "changed_since_check", "message": message}
