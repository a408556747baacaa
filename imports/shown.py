"""What of a cell may be shown on a page, in a command's output, or kept in the database."""

import re

from segments.values import SHOWN_MAX

_PASSWORD = re.compile(r"(//[^/?#@\s:]*:)[^/?#\s]*@")


def shown(text: str, limit: int = SHOWN_MAX) -> str:
    """Return the first characters of `text`, a password in a link masked, NUL made visible.

    PostgreSQL cannot store a NUL.
    """
    if "@" in text and "//" in text:
        text = _PASSWORD.sub("\\1••••@", text)
    return text.replace("\0", "␀")[:limit]
