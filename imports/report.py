"""What came of an import, as one JSON object: DESIGN section 4.

Goes in: a job that was done, checked or refused. Comes out: a dict that json can write; programs rely
on its keys. Must not know: command lines, pages.
"""

from collections.abc import Iterator
from typing import Any

from imports import planfile
from imports.models import ImportChannel, ImportJob
from jobs.models import JobError, Status

LISTED = 1_000  # of error rows, and of skipped rows
COUNTS = (*ImportChannel.COUNTS, "blank")


def as_json(job: ImportJob, error: JobError | None = None) -> dict[str, Any]:
    """Return all there is to say of `job`; `error` is why nothing came of it."""
    is_kept = ImportJob.objects.filter(pk=job.pk).exists()
    per_channel = [] if error else list(_channels(job))
    totals = {name: sum(counts[name] for counts in per_channel) for name in COUNTS}
    return {
        "import": str(job.pk) if is_kept else None,
        "change_set": job.change_set_id,
        "status": job.status if is_kept else Status.FAILED,
        "file": {"encoding": job.encoding, "delimiter": job.delimiter or None, "header": job.header},
        "suggested_mapping": _as_numbers(job.suggested_mapping),
        "mapping": _as_numbers(job.mapping),
        "rows": sum(totals.values()),
        **totals,
        "channels": per_channel,
        "error_rows": [] if error else _error_rows(job),
        "skipped_rows": [] if error else _skipped_rows(job),
        "warnings": job.warnings,
        "error": error and {"code": error.code, "line": error.line, "message": error.message},
    }


def _channels(job: ImportJob) -> Iterator[dict[str, Any]]:
    for target in job.targets.select_related("channel"):
        counts = {name: getattr(target, name) for name in ImportChannel.COUNTS}
        yield {"channel": target.channel.slug, **counts, "blank": job.blank}


def _as_numbers(mapping: dict[str, Any]) -> dict[str, Any]:
    """Return a stored mapping with columns as numbers, a static value as it is stored, and None for unmapped."""
    return {name: source.get("column") or source or None for name, source in mapping.items()}


def _error_rows(job: ImportJob) -> list[Any]:
    return list(job.row_errors.values("line", "field", "column", "value", "code", "message")[:LISTED])


def _skipped_rows(job: ImportJob) -> list[dict[str, Any]]:
    """Return the skipped rows of all channels; what is skipped alike in several of them is there once."""
    found = {
        (row.line, row.code, row.of_line)
        for channel in job.channels.all()
        for row in planfile.page(job, channel.pk, "skipped", 0, LISTED)
    }
    rows = sorted(found, key=lambda row: row[:2])
    return [{"line": line, "code": code, "of_line": of_line} for line, code, of_line in rows[:LISTED]]
