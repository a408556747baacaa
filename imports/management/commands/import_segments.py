"""manage.py import_segments FILE --channel email [--channel sms] [--map name="Segment Name"] [--set active=true] …"""

import hashlib
import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, BinaryIO

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from accessaudience.errors import FileStoreError
from channels.models import Channel
from imports import planfile, stored
from imports.dialect import DELIMITERS, encoding_named
from imports.errorfile import in_words
from imports.fields import SEGMENT_FIELDS
from imports.mapping import Mapping, suggest
from imports.models import ImportChannel, ImportJob
from imports.reader import Table
from imports.reading import facts_of, opened, refuse_mapping
from imports.report import as_json
from imports.uploads import Kept, keep, shown_name
from jobs.models import JobError, Status
from jobs.runner import run_here
from segments.models import ChangeSet
from segments.values import RowError

COULD_NOT, WRONG_USAGE, ROW_ERRORS = 1, 2, 3  # exit statuses: DESIGN section 4
TOLD = 20  # of error rows, in words
COLUMNS_NAMED = 8  # in a refusal
CHUNK = 1024 * 1024
FIELDS = [field.name for field in SEGMENT_FIELDS]
DELIMITER_NAMES = {label.lower(): delimiter for delimiter, label in DELIMITERS.items()} | {"\\t": "\t"}

Choices = dict[str, str]  # field: what --map or --set says


class Command(BaseCommand):
    """Imports a file in the foreground, through the same job rows and locks as the web page does."""

    requires_system_checks = []  # accessaudience.prepare checks; they load every page, for 0.4 s
    help = (
        "Import segments from a CSV file. Exit status: 0 done; 1 could not run, nothing changed; "
        "2 wrong usage; 3 done, with row errors."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take a file, channels, and how to read and map it."""
        fields = ", ".join(FIELDS)
        parser.add_argument("file", metavar="FILE", help="the CSV file; - reads standard input")
        parser.add_argument(
            "--channel", action="append", required=True, metavar="SLUG", help="import into this channel; repeatable"
        )
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="FIELD=HEADER",
            help=f"take a field ({fields}) from the column with this header, from the second column with #2, or from "
            "none if left empty; else the mapping is the suggested one",
        )
        parser.add_argument(
            "--set", action="append", default=[], metavar="FIELD=VALUE", help="give a field this value in every row"
        )
        parser.add_argument("--encoding", default="", help="for example utf-8 or cp1252; else it is found out")
        parser.add_argument("--delimiter", default="", help="one of , ; | tab; else it is found out")
        parser.add_argument(
            "--on-duplicate",
            choices=ImportJob.OnDuplicate.values,
            default=ImportJob.OnDuplicate.UPDATE,
            help="what happens to rows whose segment is already there (default: %(default)s)",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would happen and change nothing")
        parser.add_argument("--json", action="store_true", help="write one JSON object to standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import the file, tell what happened, and exit with the status that says so."""
        choices = _choices(options["map"], "--map"), _choices(options["set"], "--set")
        job = ImportJob(
            file_name="standard input" if options["file"] == "-" else shown_name(options["file"]),
            status=Status.UPLOADED,
            goal=ImportJob.Goal.RUN,
            via=ChangeSet.Via.COMMAND,
            chosen_encoding=_encoding(options["encoding"]),
            chosen_delimiter=_delimiter(options["delimiter"]),
            on_duplicate=options["on_duplicate"],
        )
        channels = _channels(options["channel"])
        try:
            with _opened(options["file"]) as source:
                _, job.file, job.size, job.sha256 = _kept(job, source)
            with _nothing_kept_on_failure(job):
                with opened(job) as (table, stream):
                    self._describe(job, table)
                    mapping = _mapping(table, *choices)
                    job.mapping = mapping.to_json()
                    _refuse(table, stream, mapping)
                job.save()
                ImportChannel.objects.bulk_create(ImportChannel(job=job, channel=channel) for channel in channels)
            self._perform(job, dry_run=options["dry_run"])
        except JobError as error:
            self._report(job, options, error)
        else:
            self._report(job, options)

    def _describe(self, job: ImportJob, table: Table) -> None:
        """Say in `job` how its file is read, for the report: the import itself will find the same."""
        for name, value in facts_of(table).items():
            setattr(job, name, value)

    def _perform(self, job: ImportJob, *, dry_run: bool) -> None:
        """Do `job` here and now, alone in its channels; raise JobError if it could not be done."""
        goal, done = (job.Goal.CHECK, Status.READY) if dry_run else (job.Goal.RUN, Status.DONE)
        with _progress() as bar:
            job.on_beat = partial(_show, bar)
            try:
                run_here(job, goal, of=(Status.UPLOADED,), once=True, on_wait=self._say_waiting)
            except KeyboardInterrupt:
                raise JobError("cancelled", "Stopped. Nothing was changed.") from None
        if job.status != done:
            raise JobError(job.code or "cancelled", job.message or "The import was stopped.", job.error_line)

    def _say_waiting(self) -> None:
        self.stderr.write("Another import into the same channel is running; waiting for it to end.")

    def _report(self, job: ImportJob, options: dict[str, Any], error: JobError | None = None) -> None:
        """Write what came of `job`, and exit with a status other than 0 if it was not all well."""
        result = as_json(job, error)
        if options["dry_run"]:
            result["import"] = None
            _forget(job)
        if options["json"]:
            self.stdout.write(json.dumps(result))
        if error:
            raise CommandError(error.message, returncode=COULD_NOT)
        if not options["json"]:
            self._tell(result, dry_run=options["dry_run"])
        if result["errors"]:
            sys.exit(ROW_ERRORS)

    def _tell(self, result: dict[str, Any], *, dry_run: bool) -> None:
        """Write the result in words, the errors to standard error."""
        for warning in result["warnings"]:
            self.stderr.write(warning["message"])
        for row in result["error_rows"][:TOLD]:
            found = RowError(row["field"], row["code"], row["message"])
            self.stderr.write(f"Line {row['line']:,}: {in_words([found])}")
        if result["errors"] > TOLD:
            self.stderr.write(f"{result['errors']:,} rows have errors; the page of the import has them all.")
        for counts in result["channels"]:
            numbers = ", ".join(f"{counts[name]:,} {name}" for name in (*ImportChannel.COUNTS, "blank"))
            self.stdout.write(f"{counts['channel']}: {numbers}{' (nothing was changed)' if dry_run else ''}")
        if result["change_set"]:
            self.stdout.write(f"To undo this import: manage.py undo_change {result['change_set']}")


def wrong_usage(message: str) -> CommandError:
    """Return the refusal of arguments that make no sense, alone or with this file."""
    return CommandError(message, returncode=WRONG_USAGE)


def _choices(given: list[str], option: str) -> Choices:
    """Return field and text of each `FIELD=TEXT`."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in FIELDS:
            raise wrong_usage(f"{option} {text}: write FIELD=…, where FIELD is one of {', '.join(FIELDS)}.")
        found[name] = value
    return found


def _encoding(name: str) -> str:
    try:
        return encoding_named(name) if name else ""
    except LookupError:
        raise wrong_usage(f"--encoding {name}: that encoding is not known. Use for example utf-8 or cp1252.") from None


def _delimiter(text: str) -> str:
    delimiter = DELIMITER_NAMES.get(text.lower(), text)
    if delimiter and delimiter not in DELIMITERS:
        raise wrong_usage(f"--delimiter {text}: use one of , ; | tab.")
    return delimiter


def _channels(slugs: list[str]) -> list[Channel]:
    known = {channel.slug: channel for channel in Channel.objects.all()}
    for slug in slugs:
        if slug not in known:
            raise CommandError(f"There is no channel {slug!r}. Use one of: {', '.join(known)}.", returncode=COULD_NOT)
    return [known[slug] for slug in dict.fromkeys(slugs)]


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    """Open the file to be imported, or standard input."""
    if file == "-":
        if sys.stdin is None:  # it was closed before we began
            raise JobError("file_missing", "Standard input is closed. Send the file to it, or name one.")
        yield sys.stdin.buffer
        return
    try:
        source = open(file, "rb")  # noqa: SIM115  # closed below: what goes wrong with it open is of another kind
    except OSError as error:
        raise JobError("file_missing", f"{file} cannot be read: {error.strerror}.") from error
    with source:
        yield source


def _kept(job: ImportJob, source: BinaryIO) -> Kept:
    """Store all of `source` for `job`, by way of a temporary file that has its size and digest."""
    try:
        with TemporaryUploadedFile("upload", "text/csv", 0, None) as upload:
            _copy(_chunks(source, job.file_name), upload)
            return keep(job.pk, upload)
    except OSError as error:
        message = f"The file could not be stored: {_why(error)} Nothing was imported."
        raise JobError("not_stored", message) from error


def _why(error: OSError) -> str:
    return str(error) if isinstance(error, FileStoreError) else f"{error.strerror}. Make room, then try again."


def _chunks(source: BinaryIO, name: str) -> Iterator[bytes]:
    """Read `source` to its end."""
    try:
        while chunk := source.read(CHUNK):
            yield chunk
    except OSError as error:
        raise JobError("file_missing", f"{name} cannot be read: {error.strerror}.") from error


def _copy(chunks: Iterator[bytes], upload: TemporaryUploadedFile) -> None:
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        size += len(chunk)
        if size > settings.IMPORT_MAX_BYTES:
            limit = settings.IMPORT_MAX_BYTES / 1024 / 1024
            raise JobError("file_too_large", f"The file is larger than {limit:,.4g} MiB. Split it into smaller files.")
        digest.update(chunk)
        upload.write(chunk)
    upload.seek(0)
    upload.size = size
    upload.sha256 = digest.hexdigest()  # type: ignore[attr-defined]  # as imports.uploads.UploadHandler does


def _mapping(table: Table, mapped: Choices, static: Choices) -> Mapping:
    """Return the suggested mapping with what --map and --set say in its place."""
    columns = {name: suggested.column for name, suggested in suggest(table.header, table.sample()).items()}
    for name, text in mapped.items():
        columns.pop(name, None)
        if text:
            columns[name] = _column(table.header, name, text)
    for name in static:
        columns.pop(name, None)
    mapping = Mapping(columns, static)
    for error in mapping.errors(len(table.header)):
        if error.field in static and error.code != "name_unmapped":
            raise wrong_usage(f"--set {error.field}={error.value}: {error.message}")
        if error.code == "no_such_column":
            raise wrong_usage(f"--map {error.field}=#{error.value}: {error.message}")
    return mapping


def _column(header: list[str], name: str, text: str) -> int:
    """Return the number of the column that `text` means: `#2`, or its header."""
    if text[0] == "#" and text[1:].isdecimal():
        return int(text[1:])
    for same in (str, str.casefold):
        found = [number for number, column in enumerate(header, 1) if same(column) == same(" ".join(text.split()))]
        if len(found) == 1:
            return found[0]
        if found:
            numbers = " or ".join(f"--map {name}=#{number}" for number in found)
            raise wrong_usage(f"Several columns are called {text!r}: say {numbers}.")
    shown = ", ".join(repr(column) for column in header)
    raise wrong_usage(f"--map {name}={text}: the file has no such column. It has {shown}.")


def _refuse(table: Table, stream: BinaryIO, mapping: Mapping) -> None:
    """Raise JobError if the rows cannot be read by `mapping`; where an option helps, name it."""
    try:
        refuse_mapping(table, stream, mapping)
    except JobError as error:
        if error.code != "name_unmapped":
            raise
        has = ", ".join(repr(column) for column in table.header[:COLUMNS_NAMED])
        more = ", …" if len(table.header) > COLUMNS_NAMED else ""
        message = (
            f"No column is called like a segment name; name one with --map name=COLUMN (the file has {has}{more})."
        )
        raise JobError(error.code, message, error.line) from None


@contextmanager
def _nothing_kept_on_failure(job: ImportJob) -> Iterator[None]:
    """Delete the stored file if the body fails: there is no import that it would belong to."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # what cannot be deleted, retention will
            default_storage.delete(job.file)
        raise


def _forget(job: ImportJob) -> None:
    """Delete a dry run, with its files."""
    if job.file:
        default_storage.delete(job.file)
    for name in ["errors.csv", *(planfile.name_of(channel.pk) for channel in job.channels.all())]:
        stored.remove(job, name)
    ImportJob.objects.filter(pk=job.pk).delete()


@contextmanager
def _progress() -> Iterator["tqdm[Any]"]:
    with tqdm(unit=" rows", file=sys.stderr, disable=not sys.stderr.isatty(), leave=False) as bar:
        yield bar


def _show(bar: "tqdm[Any]", progress: int, total: int, step: str) -> None:
    bar.total = total
    bar.set_description(step, refresh=False)
    bar.update(progress - bar.n)
