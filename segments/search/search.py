"""A text that is looked for in a list of segments: those that have all of its words in their name or segment ID.

Goes in: segments, their channels, a text. Comes out: those that match, as a QuerySet, and the next few in the order of
a list. The folding is that of RULES.md "Matching". Must not know: requests, forms.

Where few match, the index says which. Where many do, the next ones are mostly near: so many segments are read in the
order of names, and only if a page is not full by then the index is asked for the next ones. A word that stands in many
names, but in none of the first ones, is so found without reading all of those.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, Subquery, Value
from django.db.models.functions import Coalesce

from channels.models import Channel
from segments.models import Segment
from segments.pages import BY_NAME, Run
from segments.queries import SegmentQuerySet
from segments.search import index
from segments.search.common import first_of
from segments.search.index import FIRST, LAST
from segments.values import words

READ = 20_000  # segments that are read in their order before the index is asked
AHEAD = 1_000  # matches that it is asked for: more than a page, as filters leave some of them out


class Search:
    """Those of `segments`, which are of `channels` and otherwise filtered, that match `text`; all for a blank text."""

    def __init__(self, segments: SegmentQuerySet, channels: Iterable[Channel], text: str) -> None:
        self.channels = list(channels)
        self.words = words(text)
        self.known = index.candidates(self.channels, self.words)
        matching = segments.search(text)
        self.rows = matching if self.known.keys is None else matching.filter(pk__in=self.known.keys)

    def following(self, run: Run, place: list[Any], backwards: bool, count: int) -> list[Segment]:
        """Return the next `count` of them from `place` on, as a page shows them."""
        rows = run.after(self.rows.for_list(), place, backwards)
        if not self.known.too_many or run.key != BY_NAME:
            return list(rows[:count])
        near = list(rows.filter(self._is_near(run, place, backwards))[:count])
        if len(near) == count:
            return near
        descending = run.descending != backwards
        behind = (place[0], place[1]) if place else LAST if descending else FIRST
        known = index.query_of_known(self.channels, self.words, behind, descending, AHEAD)
        return first_of(rows, known, self.known.outdated, descending, count)

    def _is_near(self, run: Run, place: list[Any], backwards: bool) -> Q:
        """Whether a segment comes no later than the one that is so far behind `place`, filters or not."""
        descending = run.descending != backwards
        every = Segment.objects.filter(channel__in=self.channels)
        far = Run(BY_NAME, descending=run.descending).after(every, place, backwards).values("name_key")
        name = Coalesce(Subquery(far[READ : READ + 1]), Value((FIRST if descending else LAST)[0]))
        return Q(name_key__gte=name) if descending else Q(name_key__lte=name)
