"""A file's physical lines: a seekable stream of bytes in; decoded text, line by line, out.

CRLF, LF and CR end a line (RULES.md "Structure"), and nothing else does. Memory is one chunk and
one record, whatever the file. Must not know: delimiters, cells.
"""

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from imports.dialect import CHUNK, decoder, undecodable

# A record longer than this is a quote or a line end gone wrong. Eight of the longest cells fit.
MAX_RECORD = 1024 * 1024

# The look behind keeps a long run of ' from being tried from each of them.
SIGNED = re.compile("(?<!')'++[=+\\-@\t\r\n\0\uff1d\uff0b\uff0d\uff20]")  # RULES.md "Going out again"


class Lines:
    """The lines of `stream` from its start, to be read once.

    Whoever reads keeps `record` at the line where the record begins that is being read; should one
    grow beyond MAX_RECORD, `cut` becomes its line, the rest so far comes as one last line, and reading ends.
    `signed` says whether the lines being read may hold a cell of SIGNED.
    """

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self.record = 1
        self.cut = 0
        self.signed = False
        self._stream = stream
        self._encoding = encoding

    def __iter__(self) -> Iterator[str]:
        rest = ""
        record, length = 0, 0  # where the record began that was open at the last chunk's end, and its size
        signed = False
        for chunk in self._texts():
            text = rest + chunk
            end = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1  # a CR at the very end may be half a CRLF
            whole, rest = text[:end], text[end:]
            going_on = record == self.record
            record, length = self.record, length + len(chunk) if going_on else len(chunk)
            if length > MAX_RECORD:
                self.cut = record
                yield text
                return
            # Of the lines before too, as a record may have begun in them.
            before, signed = signed or (going_on and self.signed), SIGNED.search(whole) is not None
            self.signed = before or signed
            yield from io.StringIO(whole, newline="")
        self.signed = True
        yield from io.StringIO(rest, newline="")

    def _texts(self) -> Iterator[str]:
        """Yield the text in pieces, without its mark; raise UnreadableFile (`undecodable`) where it is none."""
        decode = decoder(self._encoding).decode
        self._stream.seek(0)
        done, start = 0, True
        while True:
            chunk = self._stream.read(CHUNK)
            done += len(chunk)
            try:
                text = decode(chunk, not chunk)
            except UnicodeDecodeError as error:
                raise undecodable(self._stream, self._encoding, done - len(error.object) + error.start) from error
            if start and text:
                text, start = text.removeprefix("\ufeff"), False
            if text:
                yield text
            if not chunk:
                return
