"""Segments as the pages read them: filters that the Segments tab and the export share.

Goes in: what somebody looks for. Comes out: a QuerySet. Writes nothing, and must not know requests
or templates. Ordering and pages are segments.pages.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.models import F, Q

from segments import values

if TYPE_CHECKING:
    from segments.models import Segment
    from segments.pages import Run

KLAVIYO_KINDS = {"klaviyo-list": "list", "klaviyo-segment": "segment"}
CSV = "csv"
GONE, OVERRIDE, NO_LINK = "gone", "override", "no-link"  # of a status, and of details
COUNT_CAP = 10_000  # counting further would read a big channel whole; the page says "10,000+"


def of_source(source: str) -> Q:
    """Came in this way. What did not come by CSV has an index, which SQLite takes only where its condition is said."""
    return Q(source=source) if source == CSV else Q(source=source) & ~Q(source=CSV)


class SegmentQuerySet(models.QuerySet["Segment"]):
    """What pages and the export ask of segments."""

    def for_list(self) -> "SegmentQuerySet":
        """Only what a row of the Segments tab shows."""
        return self.only(
            "channel",
            "name",
            "name_key",
            "segment_id",
            "id_key",
            "identity_key",
            "link",
            "active",
            "source",
            "klaviyo_kind",
            "klaviyo_id",
            "synced_name",
            "synced_link",
            "missing_since",
            "updated_at",
        )

    def search(self, text: str) -> "SegmentQuerySet":
        """In whose name or segment ID all words of `text` are, both folded (RULES.md); all for a blank text."""
        found = self
        for word in values.words(text):
            found = found.filter(Q(name_key__contains=word) | Q(id_key__contains=word))
        return found

    def following(self, run: "Run", place: list[Any], backwards: bool, count: int) -> "list[Segment]":
        """Return the next `count` from `place` on, in the order of `run`."""
        return list(run.after(self, place, backwards)[:count])

    def with_status(self, active: bool | None) -> "SegmentQuerySet":
        """Active (True), inactive (False) or both (None)."""
        return self if active is None else self.filter(active=active)

    def gone(self) -> "SegmentQuerySet":
        """Which Klaviyo had, and has no more. The unique index of Klaviyo IDs finds the few that ever were its."""
        return self.filter(klaviyo_id__isnull=False, missing_since__isnull=False)

    def of_klaviyo_kind(self, kind: str) -> "SegmentQuerySet":
        """Which are a `list` or a `segment` in Klaviyo."""
        return self.filter(klaviyo_id__isnull=False, klaviyo_kind=kind)

    def overridden(self) -> "SegmentQuerySet":
        """Whose name or link a person changed from what Klaviyo said; a sync leaves that alone."""
        differs = ~Q(name=F("synced_name")) | ~Q(link=F("synced_link"))
        return self.filter(differs, klaviyo_id__isnull=False, synced_name__isnull=False)

    def with_detail(self, only: str) -> "SegmentQuerySet":
        """With an OVERRIDE, or with NO_LINK; all if blank."""
        if only == OVERRIDE:
            return self.overridden()
        return self.filter(link="") if only == NO_LINK else self

    def with_source(self, source: str) -> "SegmentQuerySet":
        """Which came in this way; from anywhere if blank."""
        return self.filter(of_source(source)) if source else self

    def of_any_source(self, source: str) -> "SegmentQuerySet":
        """As with_source(), or of one of KLAVIYO_KINDS."""
        kind = KLAVIYO_KINDS.get(source)
        return self.of_klaviyo_kind(kind) if kind else self.with_source(source)

    def of_name(self, name: str) -> "SegmentQuerySet":
        """Whose name is the same after folding."""
        return self.filter(name_key=values.folded_key(name))

    def labelled(self, labelled: bool) -> "SegmentQuerySet":
        """Whose segment ID is only a label (True), or all others (False)."""
        is_label = Q(identity_key__gte=b"n") & ~Q(segment_id="")
        return self.filter(is_label) if labelled else self.exclude(is_label)

    def capped_count(self, cap: int = COUNT_CAP) -> int:
        """How many there are, but at most `cap` + 1: the database stops counting there."""
        some: Any = self.order_by().values("pk")[: cap + 1]
        return int(some.count())


def union_all(parts: Iterable[models.QuerySet[Any, Any]]) -> tuple[str, list[Any]]:
    """Return one query for the rows of all `parts`, in no order, with its parameters; "" if none can have any.

    Each part may be cut off in its own order, which QuerySet.union() cannot do on SQLite.
    """
    queries: list[str] = []
    parameters: list[Any] = []
    for part in parts:
        try:
            sql, values = part.query.sql_with_params()
        except EmptyResultSet:
            continue
        queries.append(f"SELECT * FROM ({sql}) part_{len(queries)}")  # noqa: S608  # Django's own SQL
        parameters += values
    return " UNION ALL ".join(queries), parameters
