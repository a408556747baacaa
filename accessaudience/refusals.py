"""What the web server answers by itself, to requests that the application never sees: a line of text.

Goes in: a connection. Comes out: the answer on it, if the other side is there to read it, with the headers that pages
have. Must not know: Django.
"""

import socket
from contextlib import suppress
from typing import NamedTuple

HEADERS = {
    "Connection": "close",
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Refusal(NamedTuple):
    """Why a request is not taken."""

    status: int
    reason: str
    text: str

    def send(self, connection: socket.socket) -> None:
        """Send it, without waiting for anybody."""
        body = f"{self.text}\n".encode()
        lines = [f"{name}: {value}" for name, value in (HEADERS | {"Content-Length": str(len(body))}).items()]
        head = "\r\n".join([f"HTTP/1.1 {self.status} {self.reason}", *lines, "", ""])
        with suppress(OSError):
            connection.setblocking(False)
            connection.send(head.encode() + body)


UNREADABLE = Refusal(400, "Bad Request", "This is not a request that can be understood. Nothing was changed.")
TOO_LATE = Refusal(408, "Request Timeout", "Your request came in too slowly. Nothing was changed. Try again.")
UNMEASURED = Refusal(411, "Length Required", "Say how long the request is (Content-Length). Nothing was changed.")
TOO_LONG = Refusal(431, "Request Header Fields Too Large", "The head of this request is too long. Nothing was changed.")
FAILED = Refusal(500, "Internal Server Error", "Something went wrong here. Try again in a few minutes.")
BUSY = Refusal(
    503, "Service Unavailable", "Other files are being taken in. Nothing was changed. Try again in a few minutes."
)
