"""The fields of each object type, declared once: the mapping screen, its form and the import read them here.

A new field is one declaration. The headers are RULES.md "Suggested mapping". Must not know: Django, files.
"""

from collections.abc import Callable
from dataclasses import dataclass

from segments import values


@dataclass(frozen=True)
class Field:
    """One field that a column or a static value can fill.

    `headers` suggest a column, compared without case and with `_` as a space, the first one first;
    `headers_if_clean` do so only where every value of the sample passes `clean` and one is there.
    `clean` returns the value or raises Refused. `unmapped` says what happens without a source.
    """

    name: str
    label: str
    headers: tuple[str, ...]
    clean: Callable[[str], object]
    required: bool = False
    unmapped: str = ""
    headers_if_clean: tuple[str, ...] = ()
    choices: tuple[tuple[str, str], ...] = ()  # of a static value: (value, label); any text where empty


SEGMENT_FIELDS = (
    Field(
        "name",
        "Segment name",
        ("segment name", "name", "segment", "list name", "audience name", "audience", "title"),
        values.clean_name,
        required=True,
        unmapped="Every segment needs a name.",
    ),
    Field(
        "segment_id",
        "Segment ID",
        ("segment id", "external id", "segment api identifier", "id", "list id", "audience id"),
        values.clean_segment_id,
        unmapped="Segments are compared by name.",
    ),
    Field(
        "link",
        "Link",
        ("link", "segment link", "segment url", "link url", "url"),
        values.clean_link,
        unmapped="New segments have no link.",
    ),
    Field(
        "active",
        "Active status",
        ("active status", "active", "is active", "enabled"),
        values.clean_active,
        unmapped="Every new segment will be Active.",
        headers_if_clean=("status", "state"),
        choices=(("true", "Active"), ("false", "Inactive")),
    ),
)
FIELDS = {"segments": SEGMENT_FIELDS}

# Headers of people's data: an upload with one of each of two kinds is no list of segments.
PEOPLE_HEADERS = (
    {"email", "e mail", "email address", "e mail address", "mail"},
    {"phone", "phone number", "mobile", "mobile number", "mobile phone", "telephone", "cell phone"},
    {"first name", "firstname", "given name", "fname"},
    {"last name", "lastname", "surname", "family name", "lname"},
)
