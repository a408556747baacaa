"""An uploaded file from the wire to storage: counted, hashed, refused or kept.

Goes in: the parts of a multipart request. Comes out: a file in storage under a name of our own,
with its size and digest, or a `Refusal` that says what it is and what to do, and nothing kept.
Must not know: what a CSV is (imports.reader), or what becomes of the file.
"""

import hashlib
import re
import unicodedata
from typing import Any, NamedTuple
from uuid import UUID

# First, as it puts the libmagic of its wheel where python-magic looks:
import pylibmagic  # noqa: F401

# isort: split
import magic
from django.conf import settings
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.files.uploadhandler import SkipFile, TemporaryFileUploadHandler

FIELD = "file"
HEAD = 8192  # bytes that tell what a file is


class UploadHandler(TemporaryFileUploadHandler):
    """Takes the one file of the upload form to a temporary file, counting and hashing as it comes.

    A file beyond `IMPORT_MAX_BYTES` is dropped where it passes the limit (`too_large`); the rest
    of the request is read and thrown away, so that the browser gets to see the answer. Files of
    other fields are dropped at their first byte.
    """

    file: TemporaryUploadedFile
    too_large = False
    _taken = False

    def new_file(self, field_name: str, *args: Any, **kwargs: Any) -> None:
        """Open the temporary file, for the first file of the right field alone."""
        if field_name != FIELD or self._taken:
            raise SkipFile
        self._taken = True
        self._digest = hashlib.sha256()
        super().new_file(field_name, *args, **kwargs)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write a piece down, unless it is one too many."""
        if start + len(raw_data) > settings.IMPORT_MAX_BYTES:
            self.too_large = True
            self.file.close()
            raise SkipFile
        self._digest.update(raw_data)
        super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> "UploadedFile[Any] | None":
        """Return the file, with its digest as `sha256`."""
        file = super().file_complete(file_size)
        if file is not None:
            file.sha256 = self._digest.hexdigest()  # type: ignore[attr-defined]  # ours, read by `keep`
        return file


class Kept(NamedTuple):
    """A file in storage: its name there, its size in bytes and its digest."""

    name: str
    size: int
    sha256: str


def keep(job: UUID, upload: "UploadedFile[Any]") -> Kept:
    """Store `upload` under the name of its job, in pieces; the user's name for it is no part of the path."""
    name = default_storage.save(f"imports/{job}/upload", upload)
    return Kept(name, upload.size or 0, upload.sha256)  # type: ignore[attr-defined]  # set by UploadHandler


def shown_name(name: str) -> str:
    """Return what the user calls the file, as text to show: no folders, no control characters, at most 255."""
    base = re.split(r"[/\\]", name)[-1]
    text = "".join(c for c in base if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))
    text = " ".join(text.split()) or "upload.csv"
    if len(text) <= 255:
        return text
    stem, dot, end = text.rpartition(".")
    return f"{stem[: 254 - len(end)]}.{end}" if dot and len(end) <= 10 else text[:255]


class Refusal(NamedTuple):
    """Why a file is not taken: what it is, and what to do instead."""

    code: str
    title: str
    what: str
    todo: tuple[str, ...]


class Kind(NamedTuple):
    """A kind of file that is refused by name."""

    code: str
    what: str
    todo: tuple[str, ...]


EXCEL = Kind(
    "excel",
    "an Excel workbook",
    ("Open it in Excel and use File → Save as → CSV UTF-8.", "Then choose the CSV file here."),
)
SHEET = Kind("spreadsheet", "a spreadsheet", ("Save or download it as CSV.", "Then choose the CSV file here."))
DOCUMENT = Kind("document", "an office document", ("Ask for the list as CSV.",))
ARCHIVE = Kind("archive", "a compressed file", ("Unpack it and choose the CSV file inside.",))
PDF = Kind("pdf", "a PDF", ("Ask for the list as CSV.", "Text copied out of a PDF loses its columns."))
IMAGE = Kind("image", "an image", ("Ask for the list as CSV.",))
HTML = Kind("html", "a saved web page", ("Use Export in the platform, not Save page.",))
PROGRAM = Kind("binary", "not a text file", ("Ask for the list as CSV.",))

# What libmagic calls it: a list of what is refused, never of what is allowed; CSV has no mark of its own.
REFUSED = {
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": EXCEL,
    "application/vnd.ms-excel": EXCEL,
    "application/vnd.ms-excel.sheet.macroEnabled.12": EXCEL,
    "application/vnd.ms-excel.sheet.binary.macroEnabled.12": EXCEL,
    "application/CDFV2": EXCEL,
    "application/CDFV2-encrypted": EXCEL._replace(
        code="excel_protected", what="a protected workbook", todo=("Remove the password in Excel first.", *EXCEL.todo)
    ),
    "application/encrypted": EXCEL,
    "application/x-ole-storage": EXCEL,
    "application/vnd.oasis.opendocument.spreadsheet": SHEET,
    "application/vnd.apple.numbers": SHEET,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": DOCUMENT,
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": DOCUMENT,
    "application/vnd.oasis.opendocument.text": DOCUMENT,
    "application/msword": DOCUMENT,
    "application/zip": ARCHIVE,
    "application/gzip": ARCHIVE,
    "application/x-gzip": ARCHIVE,
    "application/x-bzip2": ARCHIVE,
    "application/x-xz": ARCHIVE,
    "application/zstd": ARCHIVE,
    "application/x-7z-compressed": ARCHIVE,
    "application/x-rar": ARCHIVE,
    "application/vnd.rar": ARCHIVE,
    "application/x-tar": ARCHIVE,
    "application/pdf": PDF,
    "image/png": IMAGE,
    "image/jpeg": IMAGE,
    "image/gif": IMAGE,
    "image/webp": IMAGE,
    "image/bmp": IMAGE,
    "image/tiff": IMAGE,
    "image/heic": IMAGE,
    "image/avif": IMAGE,
    "image/vnd.microsoft.icon": IMAGE,
    "application/x-executable": PROGRAM,
    "application/x-pie-executable": PROGRAM,
    "application/vnd.sqlite3": PROGRAM,
    "application/vnd.apache.parquet": PROGRAM,
}

# First bytes, where libmagic wants more of the file than a head to be sure, or guesses from text.
SIGNATURES = (
    (b"PK\x03\x04", ARCHIVE),
    (b"\x1f\x8b", ARCHIVE),
    (b"%PDF-", PDF),
    (b"\x89PNG\r\n\x1a\n", IMAGE),
    (b"\xff\xd8\xff", IMAGE),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", EXCEL),
    (b"SQLite format 3\0", PROGRAM),
    (b"\x7fELF", PROGRAM),
)
MARKUP = re.compile(rb"(?:<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>]|<\?xml\s|<svg[\s>])", re.IGNORECASE)


def refusal(head: bytes, name: str) -> Refusal | None:
    """Return why the file that starts with `head` is refused, or None: the content decides, not `name`."""
    kind = _kind(head)
    if kind is None:
        return None
    suffix = name.rpartition(".")[2].lower()
    what = f"It is {kind.what}"
    if suffix in ("csv", "tsv", "txt"):
        what += f" whose name ends in .{suffix}"
    return Refusal(kind.code, f"“{name}” is not a CSV file", f"{what}. Nothing was stored.", kind.todo)


def _kind(head: bytes) -> Kind | None:
    """Return what `head` is the start of, where that is something else than text."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if MARKUP.match(text):
        return HTML
    found = REFUSED.get(magic.from_buffer(head, mime=True)) if head else None
    if found and (found is not IMAGE or b"\0" in head):  # an image has zero bytes; a header "GIF89a" has none
        return found
    return next((kind for signature, kind in SIGNATURES if head.startswith(signature)), None)
