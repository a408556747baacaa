"""Klaviyo's JSON into values of segments, through the one cleaning function.

Goes in: an object as Klaviyo gave it, and which walk it came from. Comes out: Found, or Unusable with
the reasons: one bad object is data, the others arrive. Must not know: Django, HTTP, databases.
"""

from typing import Any, NamedTuple
from urllib.parse import quote

from integrations.klaviyo.client import LISTS, SEGMENTS
from segments.values import AT_ENDS, SHOWN_MAX, RowError, SegmentValues, clean

ID_MAX = 64  # theirs have 6 characters
KINDS = {LISTS: "list", SEGMENTS: "segment"}


class Found(NamedTuple):
    """A list or segment of Klaviyo, cleaned. Its Segment ID is its Klaviyo ID; `active` is not yet said."""

    kind: str  # list, segment
    values: SegmentValues
    state: str  # Klaviyo's own: inactive, processing, starred; several with a space between them


class Unusable(NamedTuple):
    """An object that cannot be taken over, and why. `id` is "" if even that cannot be told."""

    kind: str
    id: str
    name: str
    errors: list[RowError]


def parse(walk: str, item: Any, web_url: str) -> Found | Unusable:
    """Return what `item` of the walk `lists` or `segments` says; `web_url` is where its link leads."""
    kind = KINDS[walk]
    identity = item.get("id") if isinstance(item, dict) else None
    if not isinstance(identity, str) or not identity.strip(AT_ENDS) or len(identity) > ID_MAX:
        return Unusable(kind, "", "", [_odd("segment_id", f"This {kind} has no ID that can be used.", identity)])
    attributes = item.get("attributes")
    if item.get("type") != kind or not isinstance(attributes, dict):
        return Unusable(
            kind, _shown(identity), "", [_odd("", f"Klaviyo sent something else where a {kind} should be.", item)]
        )
    name = attributes.get("name")
    if name is not None and not isinstance(name, str):
        return Unusable(kind, _shown(identity), "", [_odd("name", "Its name is not text. Rename it in Klaviyo.", name)])
    name = name if name and name.strip(AT_ENDS) else f"Unnamed segment ({identity})"
    cleaned = clean(name, identity, link_to(web_url, identity))
    if isinstance(cleaned, list):
        return Unusable(
            kind, _shown(identity), _shown(name), [each._replace(value=_shown(each.value)) for each in cleaned]
        )
    return Found(kind, cleaned, _state(attributes))


def link_to(web_url: str, identity: str) -> str:
    """Return the address of a list or segment in Klaviyo's pages: the same for both, as their own tools build it."""
    return f"{web_url}/lists/{quote(identity, safe='')}"


def _state(attributes: dict[str, Any]) -> str:
    words = []
    if attributes.get("is_active") is False:
        words.append("inactive")
    if attributes.get("is_processing") is True:
        words.append("processing")
    if attributes.get("is_starred") is True:
        words.append("starred")
    return " ".join(words)


def _odd(field: str, message: str, value: Any) -> RowError:
    return RowError(field, "unexpected_object", message, "" if value is None else _shown(repr(value)))


def _shown(text: str) -> str:
    """Return the first characters of `text`, such as every database and page can take."""
    return text[:SHOWN_MAX].replace("\0", "␀").encode(errors="replace").decode()
