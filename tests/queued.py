"""Imports that wait for a worker, as an upload whose columns are matched leaves them."""

import csv
import io
from collections.abc import Iterable
from hashlib import sha256

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from channels.models import Channel
from imports.models import ImportJob
from segments import changes
from segments.values import SegmentValues

FIELDS = ("name", "segment_id", "link", "active")


def queue_rows(rows: Iterable[Iterable[str]], *slugs: str, columns: int = 4, on_duplicate: str = "update") -> ImportJob:
    """Store a file of `rows`, whose columns are the first so many FIELDS; return its import into those channels."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(FIELDS[:columns])
    writer.writerows(rows)
    content = text.getvalue().encode()
    job = ImportJob(file_name="segments.csv", via="command", size=len(content), sha256=sha256(content).hexdigest())
    job.mapping = {
        field: {"column": number} if number <= columns else {} for number, field in enumerate(FIELDS, start=1)
    }
    job.on_duplicate = on_duplicate
    job.file = default_storage.save(f"imports/{job.pk}/upload", ContentFile(content))
    job.save()
    job.channels.set(Channel.objects.filter(slug__in=slugs))
    return job


def queue_import(rows: int, *slugs: str) -> ImportJob:
    """Return an import of segments 1 to `rows`, of which Email has the first two under other names."""
    email = Channel.objects.get(slug="email")
    for number in (1, 2):
        changes.add(email, SegmentValues(f"Old name {number}", f"id-{number}"), changes.By())
    numbered = ([f"Segment {number}", f"id-{number}"] for number in range(1, rows + 1))
    return queue_rows(numbered, *slugs, columns=2)
