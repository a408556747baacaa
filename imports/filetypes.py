"""Files that people upload in place of a CSV: first bytes in, a refusal by name out.

The content decides, never the file's name or what the browser says (RULES.md "File"). Nothing is
unpacked. Must not know: Django, encodings, rows.
"""

import re

from imports.unreadable import UnreadableFile

SAVE_AS = "Open it and save it as CSV UTF-8, then upload that file."
EXCEL = f"This is an Excel workbook. {SAVE_AS}"
EXCEL_AGAIN = "Save it once more from Excel as CSV UTF-8, then upload that file."
UNPACK = "Unpack it and upload the CSV file inside."
ASK = "Ask for the list as CSV and upload that."
EXPORT = "Use Export in the platform, not Save page, and upload the CSV file."

_MAGIC = (
    (b"\x1f\x8b", f"This is a gzip file. {UNPACK}"),
    (b"BZh", f"This is a bzip2 file. {UNPACK}"),
    (b"\xfd7zXZ\x00", f"This is an xz file. {UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"This is a 7-Zip archive. {UNPACK}"),
    (b"Rar!\x1a\x07", f"This is a RAR archive. {UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"This is a Zstandard file. {UNPACK}"),
    (b"%PDF-", f"This is a PDF document. {ASK}"),
    (b"{\\rtf", f"This is a rich text document. {ASK}"),
    (b"\x89PNG\r\n\x1a\n", f"This is a PNG image. {ASK}"),
    (b"\xff\xd8\xff", f"This is a JPEG image. {ASK}"),
    (b"GIF87a", f"This is a GIF image. {ASK}"),
    (b"GIF89a", f"This is a GIF image. {ASK}"),
    (b"II*\x00", f"This is a TIFF image. {ASK}"),
    (b"MM\x00*", f"This is a TIFF image. {ASK}"),
    (b"\x7fELF", f"This is a program, not a CSV file. {ASK}"),
    (b"SQLite format 3\x00", f"This is a database file. {ASK}"),
    (b"PAR1", f"This is a Parquet file. {ASK}"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # Excel until 2003, and every Office file with a password
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_EXCEL_NAMES = (".xlsx", ".xlsm", ".xlsb", ".xls")
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:(?><!--.*?-->)\s*)*<(?:!doctype\s+html|(?:html|head|body|table|meta|script|style|title|div)[\s>])",
    re.IGNORECASE | re.DOTALL,
)
_XML = re.compile(rb"\s*<\?xml\s", re.IGNORECASE)
_CONTROL = bytes((*range(0x09), *range(0x0E, 0x20)))
_CONTROL_SHARE = 1 / 16  # random bytes have a tenth; text with a stray zero byte far less
_CONTROL_FEW = 16
_LOOK_AT = 8_192


def refuse_other_kinds(head: bytes, name: str = "") -> None:
    """Raise UnreadableFile (`not_csv`) if a file that begins with `head` is no text file, naming what it is.

    Its own `name` decides nothing: a refusal only says where it promises something else.
    """
    message = _other_kind(head, name)
    if message:
        raise UnreadableFile("not_csv", message)


def _other_kind(head: bytes, name: str) -> str:
    for magic, message in _MAGIC:
        if head.startswith(magic):
            return message
    if head.startswith(_ZIP):
        return _zipped(head, name)
    if head.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in head:
            return f"This Excel workbook is protected. Remove the password in Excel first. {SAVE_AS}"
        return EXCEL
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return f"This is a WebP image. {ASK}"
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return f"This is a BMP image. {ASK}"
    if head[4:8] == b"ftyp":
        return f"This is an image or a film. {ASK}"
    text = head.removeprefix(b"\xef\xbb\xbf")
    if _HTML.match(text):
        return f"This is a web page. {EXPORT}"
    if _XML.match(text):
        return f"This is an XML file. {SAVE_AS}"
    if _is_binary(head[:_LOOK_AT]):
        return f"This is not a text file. {SAVE_AS}"
    return ""


def _zipped(head: bytes, name: str) -> str:
    if b"opendocument.spreadsheet" in head[:200]:
        return f"This is an OpenDocument spreadsheet. {SAVE_AS}"
    if b"word/" in head:
        return f"This is a Word document. {ASK}"
    if b"ppt/" in head:
        return f"This is a PowerPoint presentation. {ASK}"
    if b"xl/" in head or b"[Content_Types].xml" in head:
        return EXCEL
    if b"Index/" in head and b".iwa" in head:
        return f"This is a Numbers spreadsheet. {SAVE_AS}"
    if name.lower().endswith(_EXCEL_NAMES):
        return f"Its name says Excel workbook, but what is in it is another zip archive, or damaged. {EXCEL_AGAIN}"
    return f"This is a zip archive. {UNPACK}"


def _is_binary(head: bytes) -> bool:
    """Whether `head` holds more control characters than text does. UTF-16 and UTF-32 are full of zero bytes."""
    control = len(head) - len(head.translate(None, _CONTROL))
    if control <= max(_CONTROL_FEW, len(head) * _CONTROL_SHARE) or head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    zeros = [head[i::4].count(0) * 4 for i in range(4)]
    wide = max(zeros) > len(head) * 0.2 and min(zeros) < len(head) * 0.5
    return not wide or control - head.count(0) > len(head) * _CONTROL_SHARE
