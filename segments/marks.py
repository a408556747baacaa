"""What several fields of a segment say together, for one that was read; of many at once, segments.queries asks it.

Goes in: a segment, or the columns of one. Comes out: whether its ID is a label, it is gone, somebody changed it. Must
not know: databases.
"""

from typing import Any


class Marks:
    """For a class that has the fields of a segment: `self` is one of it."""

    __slots__ = ()

    @property
    def has_label(self: Any) -> bool:
        """Whether `segment_id` is a label: shown, but the name is what identifies the segment."""
        return bool(self.segment_id) and bytes(self.identity_key[:1]) == b"n"

    @property
    def is_gone(self: Any) -> bool:
        """Whether Klaviyo had it, and has it no more."""
        return self.klaviyo_id is not None and self.missing_since is not None

    @property
    def overridden(self: Any) -> list[str]:
        """Which of its fields a person changed from what Klaviyo said: `name`, `link`."""
        if self.klaviyo_id is None:
            return []
        said = {"name": self.synced_name, "link": self.synced_link}
        return [field for field, value in said.items() if value is not None and value != getattr(self, field)]
