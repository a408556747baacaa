"""How a file is to be read: bytes in; encoding and delimiter, or a refusal by name, out.

The rules are RULES.md "File", "Encoding" and "Structure". Nothing is ever unpacked or guessed
unsaid: what is not text is refused by its first bytes, and a guess is marked as one. Must not know:
Django, rows, fields.
"""

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from imports.filetypes import refuse_other_kinds
from imports.unreadable import UnreadableFile
from segments.values import AT_ENDS

HEAD = 64 * 1024  # bytes that tell the kind of file, the delimiter, UTF-16 without a mark
CHUNK = 64 * 1024

# Excel, Google Sheets and the European locales; in the order that settles a tie.
DELIMITERS = {",": "Comma", ";": "Semicolon", "\t": "Tab", "|": "Pipe"}

# What a person can choose where the guess is wrong.
ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "cp1252": "Windows-1252",
    "iso-8859-1": "ISO-8859-1 (Latin 1)",
    "iso-8859-15": "ISO-8859-15",
    "mac_roman": "Mac Roman",
    "shift_jis": "Shift JIS",
}
# What a file can be found to be, beside those.
FOUND = {
    "utf-8-bom": "UTF-8",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32-le": "UTF-32",
    "utf-32-be": "UTF-32",
}
# UTF-32's little-endian mark begins with UTF-16's: the longer one is looked for first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-bom"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_QUOTED = re.compile(r'(?:\A|(?<=[,;\t|\r\n]))"[^"]*(?:""[^"]*)*"')
_SEP_LINE = re.compile(r'"?sep=([^\w"\r\n])"?\s*', re.IGNORECASE)


class Dialect(NamedTuple):
    """How to read one file. `delimiter` is "" for a single column that has none."""

    encoding: str
    delimiter: str
    guessed: bool = False  # the encoding: nothing in the file says it
    sep_line: bool = False  # the first line is Excel's `sep=;`, not data


def encoding_named(name: str) -> str:
    """Return the encoding that a person means by `name`; LookupError if it is none of ours."""
    wanted = name.strip().lower()
    if wanted in FOUND:
        return wanted
    codec = codecs.lookup(wanted).name
    for ours in ENCODINGS:
        if codecs.lookup(ours).name == codec:
            return ours
    raise LookupError(f"unknown encoding: {name}")


def detect(stream: BinaryIO, encoding: str = "", delimiter: str = "") -> Dialect:
    """Return how to read the seekable `stream`; what is given (a person's choice) is taken as it is.

    Raises UnreadableFile: not a text file (by its name), empty, or `undecodable` with the line.
    """
    stream.seek(0)
    head = stream.read(HEAD)
    if not head:
        raise UnreadableFile("empty_file", "The file is empty. Export it again, then upload that file.")
    refuse_other_kinds(head)
    guessed = False
    if not encoding:
        encoding, guessed = _detect_encoding(stream, head)
    elif encoding in ("utf-8", "utf-16"):
        encoding = _marked(head, encoding)
    text = decoder(encoding, "replace").decode(head)  # what is broken in it, reading tells with its line
    sep = _SEP_LINE.fullmatch(next(lines(text), ""))
    return Dialect(encoding, delimiter or (sep[1] if sep else _detect_delimiter(text)), guessed, bool(sep))


def decoder(encoding: str, errors: str = "strict") -> codecs.IncrementalDecoder:
    """Return a decoder for one of our encodings' names. A mark stays in the text, as U+FEFF."""
    return codecs.getincrementaldecoder("utf-8" if encoding == "utf-8-bom" else encoding)(errors)


def lines(text: str) -> Iterator[str]:
    """Return the lines of `text` with their ends: CRLF, LF and CR, and not the others that splitlines() knows."""
    return iter(io.StringIO(text.removeprefix("\ufeff"), newline=""))


def _marked(head: bytes, chosen: str) -> str:
    """Return which UTF-8 or UTF-16 a file in the `chosen` one is: by its mark, else by its zero bytes."""
    for mark, encoding in _MARKS:
        if head.startswith(mark) and encoding.startswith(chosen):
            return encoding
    if chosen == "utf-8":
        return chosen
    return _by_zero_bytes(head) or "utf-16-le"


def _detect_encoding(stream: BinaryIO, head: bytes) -> tuple[str, bool]:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, False
    wide = _by_zero_bytes(head)
    if wide:
        return wide, True
    broken = _first_broken_byte(stream)
    if broken is None:
        return "utf-8", False
    if _has_multibyte(stream):
        raise undecodable(stream, "utf-8", broken)
    return "cp1252", True


def _by_zero_bytes(head: bytes) -> str:
    """Return which UTF-16 or UTF-32 the zero bytes of `head` show, "" if none.

    Text has ASCII in it, at least its delimiters and line ends: then one byte of two, always the
    same one, is zero. A few stray zero bytes in other text do not look like that.
    """
    quads, pairs = len(head) // 4, len(head) // 2
    zeros = [head[i::4].count(0) for i in range(4)]
    if quads and min(zeros[2:]) >= quads * 0.9 and zeros[0] < quads * 0.1:
        return "utf-32-le"
    if quads and min(zeros[:2]) >= quads * 0.9 and zeros[3] < quads * 0.1:
        return "utf-32-be"
    for encoding, many, few in (("utf-16-le", 1, 0), ("utf-16-be", 0, 1)):
        share = zeros[many] + zeros[many + 2]
        if share >= pairs * 0.1 and (zeros[few] + zeros[few + 2]) * 10 <= share and _ends_lines(head, few):
            return encoding
    return ""


def _ends_lines(head: bytes, place: int) -> bool:
    """Whether most line ends of `head` are at `place` of a pair whose other byte is zero."""
    ends = [i for i, byte in enumerate(head) if byte in b"\r\n"]
    paired = [i for i in ends if i % 2 == place and head[i ^ 1 : (i ^ 1) + 1] == b"\0"]
    return len(paired) * 2 > len(ends)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    return iter(lambda: stream.read(CHUNK), b"")


def _first_broken_byte(stream: BinaryIO) -> int | None:
    """Return where the whole stream stops being UTF-8, None if it never does."""
    utf8 = decoder("utf-8")
    done = 0
    try:
        for chunk in _chunks(stream):
            done += len(chunk)
            utf8.decode(chunk)
        utf8.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return done - len(error.object) + error.start
    return None


def _has_multibyte(stream: BinaryIO) -> bool:
    rest = b""
    for chunk in _chunks(stream):
        if _MULTIBYTE.search(rest + chunk):
            return True
        rest = chunk[-3:]
    return False


def undecodable(stream: BinaryIO, encoding: str, offset: int) -> UnreadableFile:
    """Return the refusal of a file whose byte at `offset` is not text in `encoding`, with its line."""
    line = _line_of(stream, encoding, offset)
    label = ENCODINGS.get(encoding) or FOUND[encoding]
    return UnreadableFile(
        "undecodable",
        f"Line {line:,} holds a character that cannot be read as {label}. "
        "Save the file as CSV UTF-8, or choose the encoding that it was saved in.",
        line,
    )


def _line_of(stream: BinaryIO, encoding: str, offset: int) -> int:
    """Return the line, from 1, in which the byte at `offset` stands; all before it can be decoded."""
    decode = decoder(encoding).decode
    line, last, left = 1, "", offset
    for chunk in _chunks(stream):
        text = decode(chunk[:left])
        left -= len(chunk)
        line += text.count("\n") + text.count("\r") - text.count("\r\n")
        if last == "\r" and text.startswith("\n"):
            line -= 1
        last = text[-1:] or last
        if left <= 0:
            break
    return line


def _detect_delimiter(text: str) -> str:
    """Return the delimiter that gives the header record most cells, "" if it has none.

    What is quoted, whichever delimiter stands before the quote, counts as text. Not csv.Sniffer: it guesses.
    """
    text = _QUOTED.sub(lambda quoted: "x" if quoted[0].strip(AT_ENDS + '"') else "", text)
    blank = AT_ENDS + "".join(DELIMITERS)
    header = next((line for line in lines(text) if line.strip(blank)), text)
    best = max(DELIMITERS, key=header.count)
    return best if best in header else ""
