"""What a list of segments is narrowed by: a search and filters, as a page asks for them and as a job keeps them.

Goes in: what was chosen of each. Comes out: the segments of a channel that match. Must not know: forms, requests.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from channels.models import Channel
from segments.models import Source
from segments.queries import GONE, NO_LINK, OVERRIDE, SegmentQuerySet
from segments.search.search import Search

STATUSES = {"active": "Active", "inactive": "Inactive", GONE: "Gone from Klaviyo"}
SOURCES = dict(Source.choices) | {"klaviyo-list": "Klaviyo lists", "klaviyo-segment": "Klaviyo segments"}
DETAILS = {OVERRIDE: "With manual override", NO_LINK: "Without link"}


class NotUnderstood(ValueError):
    """A filter that there is not (any more): what it would leave out, nobody can say."""


@dataclass(frozen=True)
class Filters:
    """Words to search for; a status, source and detail of those above. "" leaves nothing out.

    Raises NotUnderstood for any other.
    """

    q: str = ""
    status: str = ""
    source: str = ""
    only: str = ""

    def __post_init__(self) -> None:
        for value, known in ((self.status, STATUSES), (self.source, SOURCES), (self.only, DETAILS)):
            if value and value not in known:
                raise NotUnderstood(f"There is no filter {value!r}.")

    @classmethod
    def of_kept(cls, kept: Mapping[str, Any]) -> "Filters":
        """Those that kept() gave. Raises NotUnderstood for what it gives no more: without it, too many would match."""
        unknown = kept.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise NotUnderstood(f"There is no filter {', '.join(sorted(unknown))}.")
        return cls(**kept)

    def kept(self) -> dict[str, str]:
        """All of them, as JSON takes them."""
        return asdict(self)

    def search(self, channel: Channel) -> Search:
        """The segments of `channel` that match, to be read in an order."""
        segments: SegmentQuerySet = channel.segments.all()
        if self.status == GONE:
            segments = segments.gone()
        elif self.status:
            segments = segments.with_status(self.status == "active")
        return Search(segments.of_any_source(self.source).with_detail(self.only), [channel], self.q)


NARROWING = tuple(field.name for field in fields(Filters))
