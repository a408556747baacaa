"""manage.py export_segments --channel email [--output FILE]"""

import io
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from channels.models import Channel
from people.audit import Kind, record
from segments.export import csv_pieces


class Command(BaseCommand):
    """Writes the segments of a channel as CSV, in bounded memory."""

    requires_system_checks = []  # accessaudience.prepare checks; they load every page, for 0.4 s
    help = "Write the segments of a channel as CSV, to standard output or to a file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take a channel, and a file to write to."""
        parser.add_argument("--channel", required=True, metavar="SLUG", help="the channel, for example email")
        parser.add_argument("--output", metavar="FILE", help="where to write; standard output if left out")

    def handle(self, *args: Any, channel: str, output: str | None, **options: Any) -> None:
        """Write the file; a sentence on standard error and exit status 1 if that cannot be done."""
        found = Channel.objects.filter(slug=channel).first()
        if not found:
            known = ", ".join(Channel.objects.values_list("slug", flat=True))
            raise CommandError(f"There is no channel {channel!r}. Use one of: {known}.")
        pieces = self._with_progress(csv_pieces(found.segments.all()), found.segment_count)
        if output:
            self._write_file(Path(output), pieces)
        else:
            self._write_out(pieces)
        record(Kind.EXPORT, None, f"Segments of {found}")

    def _with_progress(self, pieces: Iterable[str], total: int) -> Iterable[str]:
        with tqdm(total=total, unit=" segments", file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
            for piece in pieces:
                yield piece
                bar.update(min(piece.count("\r\n"), total - bar.n))

    def _write_file(self, path: Path, pieces: Iterable[str]) -> None:
        """Write beside `path`, then put it in its place: no half a file is ever found there.

        What is no file, such as /dev/null or a pipe, is written to.
        """
        path = path.resolve()  # a link stays one
        if path.exists() and not path.is_file():
            self._write_into(path, pieces)
            return
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with unfinished.open("x", encoding="utf-8", newline="") as file:
                file.writelines(pieces)
            unfinished.replace(path)
        except OSError as error:
            raise CommandError(f"{path} could not be written: {error.strerror}.") from error
        finally:
            unfinished.unlink(missing_ok=True)

    def _write_into(self, path: Path, pieces: Iterable[str]) -> None:
        try:
            with path.open("w", encoding="utf-8", newline="") as file:
                file.writelines(pieces)
        except OSError as error:
            raise CommandError(f"{path} could not be written: {error.strerror}.") from error

    def _write_out(self, pieces: Iterable[str]) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", newline="")  # CRLF and the mark as they are, whatever the locale
        try:
            for piece in pieces:
                self.stdout.write(piece, ending="")
            self.stdout.flush()
        except BrokenPipeError:  # the reader, `head` for one, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
