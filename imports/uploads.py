"""An uploaded file from the wire to storage: counted, hashed, refused or kept.

Goes in: the parts of a multipart request. Comes out: a file in storage under a name of our own,
with its size and digest, or UnreadableFile, which says what it is and what to do, and nothing kept.
Must not know: what a CSV is (imports.reader), or what becomes of the file.
"""

import hashlib
import re
import unicodedata
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID, uuid4

# First, as it puts the libmagic of its wheel where python-magic looks:
import pylibmagic  # noqa: F401  # for what importing it does

# isort: split
import magic
from django.conf import settings
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.files.uploadhandler import SkipFile, TemporaryFileUploadHandler

from imports import stored
from imports.filetypes import ASK, SAVE_AS, UNPACK, refuse_other_kinds
from imports.unreadable import UnreadableFile

FIELD = "file"
HEAD = 8192  # bytes that tell what a file is


class UploadHandler(TemporaryFileUploadHandler):
    """Takes the one file of the upload form to a temporary file, counting and hashing as it comes.

    A file beyond `IMPORT_MAX_BYTES` is dropped where it passes the limit (`too_large`); the rest
    of the request is read and thrown away, so that the browser gets to see the answer. So it is where
    the disk has no room for more (`not_stored`). Files of other fields are dropped at their first byte.
    """

    file: TemporaryUploadedFile
    too_large = False
    takes_none = False  # all is read and dropped, as its sender has uploaded too much
    not_stored: OSError | None = None
    _taken = False

    def new_file(self, field_name: str, *args: Any, **kwargs: Any) -> None:
        """Open the temporary file, for the first file of the right field alone."""
        if field_name != FIELD or self._taken or self.takes_none:
            raise SkipFile
        self._taken = True
        self._digest = hashlib.sha256()
        try:
            super().new_file(field_name, *args, **kwargs)
        except OSError as error:
            self.not_stored = error
            raise SkipFile from error

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write a piece down, unless it is one too many."""
        if start + len(raw_data) > settings.IMPORT_MAX_BYTES:
            self.too_large = True
            self.file.close()
            raise SkipFile
        self._digest.update(raw_data)
        try:
            super().receive_data_chunk(raw_data, start)
        except OSError as error:
            self._give_up(error)
            raise SkipFile from error

    def file_complete(self, file_size: int) -> "UploadedFile[Any] | None":
        """Return the file, with its digest as `sha256`."""
        try:
            file = super().file_complete(file_size)  # writes the end of it down
        except OSError as error:
            self._give_up(error)
            return None
        if file is not None:
            file.sha256 = self._digest.hexdigest()  # type: ignore[attr-defined]  # ours, read by `keep`
        return file

    def _give_up(self, error: OSError) -> None:
        self.not_stored = error
        with suppress(OSError):  # what could not be written cannot be at the end either
            self.file.close()


class Kept(NamedTuple):
    """A file in storage: the import that it is for, its name there, its size in bytes and its digest."""

    job: UUID
    name: str
    size: int
    sha256: str


def keep(job: UUID, upload: "UploadedFile[Any]") -> Kept:
    """Store `upload` under the name of its job, in pieces; the user's name for it is no part of the path.

    Raises OSError where storage has no room, or does not answer; nothing of the file is kept then.
    """
    place = stored.place_for_upload(job)
    try:
        name = default_storage.save(place, upload)
    except OSError:
        with suppress(OSError):
            default_storage.delete(place)
        raise
    return Kept(job, name, upload.size or 0, upload.sha256)  # type: ignore[attr-defined]  # set by UploadHandler


def keep_apart(kept: Kept) -> Kept:
    """Store a kept file anew, for an import of its own."""
    job = uuid4()
    with default_storage.open(kept.name) as file:
        name = default_storage.save(stored.place_for_upload(job), file)
    forget(kept)
    return kept._replace(job=job, name=name)


def forget(kept: Kept) -> None:
    """Delete a kept file unless it is an import's; what cannot be deleted, retention will."""
    if stored.is_of_import(kept.job, kept.name):
        return
    with suppress(OSError):
        default_storage.delete(kept.name)


def shown_name(name: str) -> str:
    """Return what the user calls the file, as text to show: no folders, no control characters, at most 255."""
    base = re.split(r"[/\\]", name)[-1]
    text = "".join(c for c in base if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))
    text = " ".join(text.split()) or "upload.csv"
    if len(text) <= 255:
        return text
    stem, dot, end = text.rpartition(".")
    return f"{stem[: 254 - len(end)]}.{end}" if dot and len(end) <= 10 else text[:255]


# What libmagic finds beyond the first bytes of imports.filetypes: a list of what is refused, never of what is
# allowed, as CSV has no mark of its own. Kinds that it guesses from text are not on it.
REFUSED = {
    "application/vnd.oasis.opendocument": ("an office document", SAVE_AS),
    "application/vnd.openxmlformats-officedocument": ("an office document", SAVE_AS),
    "application/vnd.ms-": ("an office document", SAVE_AS),
    "application/msword": ("a Word document", ASK),
    "application/x-tar": ("a tar archive", UNPACK),
    "application/x-lzma": ("an lzma file", UNPACK),
    "application/x-bzip": ("a bzip2 file", UNPACK),
    "application/x-dosexec": ("a program", ASK),
    "application/x-mach-binary": ("a program", ASK),
    "application/vnd.microsoft.portable-executable": ("a program", ASK),
    "image/": ("an image", ASK),
    "audio/": ("a sound file", ASK),
    "video/": ("a film", ASK),
}


def refuse_by_content(head: bytes, name: str = "") -> None:
    """Raise UnreadableFile (`not_csv`) if what starts with `head` is no text, saying what it is and what to do."""
    refuse_other_kinds(head, name)
    if b"\0" not in head:  # no binary file does without; a text may happen to start like an image
        return
    found = magic.from_buffer(head, mime=True)
    for kind, (what, todo) in REFUSED.items():
        if found.startswith(kind):
            raise UnreadableFile("not_csv", f"This is {what}. {todo}")
