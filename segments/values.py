"""What a segment's values may be: text from any door in, SegmentValues or RowErrors out.

Form, CSV, Klaviyo, Django admin and commands all call this module, so the same value is accepted
or refused everywhere. The rules are RULES.md "Values" and "Matching". Must not know: Django,
files, columns, databases.
"""

import ipaddress
import re
from hashlib import blake2b
from typing import NamedTuple
from unicodedata import normalize

NAME_MAX = 255  # code points, as are all lengths here
ID_MAX = 255
LINK_MAX = 2048
SHOWN_MAX = 200  # of a refused value
KEY_MAX = 255

# White space as Unicode has it: str.strip() would take U+001C to U+001F too, which are control characters.
SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
AT_ENDS = SPACE + "\u200b\u2060\ufeff"
OVERRIDES = "\u202d\u202e"
REPLACEMENT = "\ufffd"

ACTIVE_WORDS = dict.fromkeys(("true", "t", "yes", "y", "1", "active", "on", "enabled"), True) | dict.fromkeys(
    ("false", "f", "no", "n", "0", "inactive", "off", "disabled"), False
)

_REFUSED = re.compile(f"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f{OVERRIDES}{REPLACEMENT}\ud800-\udfff]")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}\.?", re.ASCII | re.IGNORECASE)
_LINK = re.compile(r"https?://([^/?#]*)([/?#].*)?", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]@]+)(?::([0-9]{1,5}))?", re.ASCII | re.IGNORECASE)
# Nearly every link there is: short, ASCII, a host whose last label starts with a letter. 1 us where the
# full check takes 10; what it does not take is not refused but looked at closely.
_PLAIN_LINK = re.compile(
    rf"https?://(?:{_LABEL}\.)*[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?(?::[0-9]{{1,4}})?(?:[/?#][!-~]*)?",
    re.ASCII | re.IGNORECASE,
)
_PLAIN_LINK_MAX = 253  # then its host is no longer than DNS allows


class SegmentValues(NamedTuple):
    """Cleaned values of one segment. "" and None are blank: unmapped, or an empty cell."""

    name: str
    segment_id: str = ""
    link: str = ""
    active: bool | None = None


class RowError(NamedTuple):
    """Why a value was refused: the field ("" for the row as a whole), a code, and what to do about it."""

    field: str
    code: str
    message: str
    value: str = ""


class Refused(ValueError):  # noqa: N818  # the name says what happened to the value
    """A value that breaks a rule. `code` names the rule (RULES.md), `message` says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def clean(name: str, segment_id: str = "", link: str = "", active: str = "") -> SegmentValues | list[RowError]:
    """Return the cleaned values of one row, or every reason why it is refused."""
    try:
        return SegmentValues(clean_name(name), clean_segment_id(segment_id), clean_link(link), clean_active(active))
    except Refused:
        return _reasons(name, segment_id, link, active)


def _reasons(name: str, segment_id: str, link: str, active: str) -> list[RowError]:
    reasons = []
    for field, value, check in (
        ("name", name, clean_name),
        ("segment_id", segment_id, clean_segment_id),
        ("link", link, clean_link),
        ("active", active, clean_active),
    ):
        try:
            check(value)
        except Refused as refused:
            reasons.append(RowError(field, refused.code, refused.message, value.strip(AT_ENDS)[:SHOWN_MAX]))
    return reasons


def clean_name(text: str) -> str:
    """Return the segment name in `text`: trimmed, single spaces, NFC, 1 to 255 characters; else raise Refused."""
    if text.isascii() and text.isprintable():
        name = " ".join(text.split())
    else:
        name = text.strip(AT_ENDS)
        _refuse_control_characters(name, "segment name")
        name = normalize("NFC", " ".join(name.split()))
    if not name:
        raise Refused("name_required", "Fill in a segment name.")
    if len(name) > NAME_MAX:
        raise Refused("name_too_long", f"Shorten the name to {NAME_MAX} characters; it has {len(name)}.")
    return name


def clean_segment_id(text: str) -> str:
    """Return the segment ID in `text`, trimmed and otherwise as it is, at most 255 characters; else raise Refused."""
    value = text.strip(AT_ENDS)
    if not value.isascii() or not value.isprintable():
        _refuse_control_characters(value, "segment ID")
    if len(value) > ID_MAX:
        raise Refused("id_too_long", f"Shorten the segment ID to {ID_MAX} characters; it has {len(value)}.")
    return value


def clean_active(text: str) -> bool | None:
    """Return whether `text` says active (True) or inactive (False), None if it is blank; else raise Refused."""
    word = text.strip(AT_ENDS).lower()
    if not word:
        return None
    try:
        return ACTIVE_WORDS[word]
    except KeyError:
        raise Refused(
            "active_unknown",
            "Use Active or Inactive (Yes, No, True, False, On, Off, 1 and 0 do too), or leave it empty.",
        ) from None


def clean_link(text: str) -> str:
    """Return the web address in `text`, trimmed: http or https, a host as DNS allows; else raise Refused."""
    link = text.strip(AT_ENDS)
    if not link or (len(link) <= _PLAIN_LINK_MAX and _PLAIN_LINK.fullmatch(link)):
        return link
    parts = _LINK.fullmatch(link)
    if not parts:
        raise Refused("url_scheme", "Start the link with https:// so it can be opened.")
    if len(link) > LINK_MAX:
        raise Refused("url_too_long", f"Shorten the link to {LINK_MAX} characters; it has {len(link)}.")
    authority: str = parts[1]
    if "@" in authority and "\\" not in authority:
        raise Refused("url_credentials", "Take the user name and password out of the link.")
    if any(c.isspace() for c in link) or _REFUSED.search(link) or not _is_host_and_port(authority):
        raise Refused("url_invalid", "Use a full web address such as https://example.com/page, or leave it empty.")
    return link


def _is_host_and_port(authority: str) -> bool:
    parts = _AUTHORITY.fullmatch(authority)
    if not parts or int(parts[2] or 0) > 65535:
        return False
    host: str = parts[1]
    if host.startswith("["):
        return _is_address(host[1:-1], ipaddress.IPv6Address)
    try:
        host = host.encode("idna").decode("ascii")
    except UnicodeError:
        return False
    if len(host.rstrip(".")) > 253 or not _HOST.fullmatch(host):
        return False
    last = host.rstrip(".").rpartition(".")[2]
    return not last.isdigit() or _is_address(host, ipaddress.IPv4Address)


def _is_address(text: str, kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _refuse_control_characters(value: str, what: str) -> None:
    found = _REFUSED.search(value)
    if found:
        code = ord(found[0])
        raise Refused(
            "control_character",
            f"Remove the character U+{code:04X} from the {what}: it cannot be seen or was damaged on the way.",
        )


def fold(text: str) -> str:
    """Return `text` as it is compared: without case, in NFC, single spaces. É equals é, not e (RULES.md "Matching")."""
    if text.isascii():
        return " ".join(text.lower().split())
    return " ".join(normalize("NFC", normalize("NFC", text).casefold()).split())


def words(text: str) -> list[str]:
    """Return the words of a search, folded, each once."""
    return list(dict.fromkeys(fold(text).split()))


def folded_key(text: str) -> str:
    """Return fold(text) in at most 255 characters, such that equal keys still mean equal text.

    Folding can make text three times longer. What does not fit is its first 222 characters, U+001F and the
    32 hex digits of its digest; no cleaned text holds U+001F.
    """
    folded = fold(text)
    if len(folded) <= KEY_MAX:
        return folded
    digest = blake2b(folded.encode(), digest_size=16).hexdigest()
    return f"{folded[:222]}\x1f{digest}"


def identity_key(name: str, segment_id: str, *, label: bool = False) -> bytes:
    """Return what identifies a segment in its channel: 17 bytes, `i` or `n` and a digest.

    `i` is the segment ID's, `n` the folded name's: of a segment without ID, or whose ID is only a label.
    """
    if segment_id and not label:
        return b"i" + blake2b(segment_id.encode(), digest_size=16).digest()
    return b"n" + blake2b(fold(name).encode(), digest_size=16).digest()
