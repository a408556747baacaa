"""What changed in the last two weeks, day by day: the numbers of the overview's chart, and the pictures of them.

Goes in: the channels of board.channels(). Comes out: a Trend, by at most one query. Must not know: requests.
Where Klaviyo syncs ran in these days it is what they changed: that is what nobody did by hand, and an import of
thousands beside it would flatten it. Else it is what everybody changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import F, QuerySet, Sum
from django.db.models.expressions import Combinable
from django.db.models.functions import TruncDate
from django.utils import timezone

from integrations.models import SyncJob
from jobs.models import Status
from overview.chart import Chart, Day, chart
from segments.models import ChangeSetChannel

DAYS = 14
OF_SYNCS = "What Klaviyo syncs changed"
OF_EVERYBODY = "What changed"


@dataclass(frozen=True)
class Trend:
    """Numbers of each of the last DAYS days, the oldest first. `keys` are what they count: its label, and its word."""

    title: str
    keys: Sequence[tuple[str, str]]
    days: list[Day]

    def __bool__(self) -> bool:
        return any(any(day.numbers) for day in self.days)

    @property
    def wide(self) -> Chart:
        """The picture for a screen."""
        return chart(self.days, width=640, height=208, thick=26)

    @property
    def narrow(self) -> Chart:
        """The picture for a phone."""
        return chart(self.days, width=320, height=200, thick=14, every=2)

    @property
    def words(self) -> str:
        """What there is to see, in two sentences."""
        first, last = self.days[0].date, self.days[-1].date
        most = max(self.days, key=lambda day: sum(day.numbers))
        when = "today" if most is self.days[-1] else f"on {in_words(most.date)}"
        parts = [f"{number:,} {word}" for number, (_, word) in zip(most.numbers, self.keys, strict=True) if number]
        return (
            f"Stacked columns per day from {in_words(first)} to {in_words(last)}. "
            f"Most changes {when}: {', '.join(parts)}."
        )


def in_words(day: date) -> str:
    """Return a day without its year: 10 November."""
    return f"{day.day} {day:%B}"


def trend(channels: Sequence[Any]) -> Trend:
    """Return what changed in the last days. It is read again only when a change set was added, or a day is over."""
    today = timezone.localdate()
    dates = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    zone = str(timezone.get_current_timezone())
    version = (today, [(each.pk, each.changed_at, each.newest_change, each.synced_at) for each in channels])
    kept = _kept.get(zone)
    if kept and kept[0] == version:
        return kept[1]
    of_syncs = any(each.synced_at and timezone.localdate(each.synced_at) >= dates[0] for each in channels)
    found = _of_syncs(dates) if of_syncs else _of_everybody(dates)
    _kept[zone] = version, found
    return found


_kept: dict[str, tuple[object, Trend]] = {}  # by time zone, with the version of what it was read from


def _of_syncs(dates: list[date]) -> Trend:
    keys = (("New", "new"), ("Renamed", "renamed"), ("Gone from Klaviyo", "gone"))
    done = SyncJob.objects.syncs().filter(status=Status.DONE)
    return Trend(OF_SYNCS, keys, _days(dates, done, "finished_at", "created", F("updated") - F("adopted"), "missing"))


def _of_everybody(dates: list[date]) -> Trend:
    keys = (("Created", "created"), ("Changed", "changed"), ("Deleted", "deleted"))
    counts = ChangeSetChannel.objects.all()
    return Trend(OF_EVERYBODY, keys, _days(dates, counts, "change_set__at", "created", "updated", "deleted"))


def _days(dates: list[date], rows: QuerySet[Any], moment: str, *counts: str | Combinable) -> list[Day]:
    """Sum the `counts` of `rows` by the day of their `moment`, where the reader is."""
    since = timezone.make_aware(datetime.combine(dates[0], time.min))
    days = rows.filter(**{f"{moment}__gte": since}).annotate(day=TruncDate(moment)).order_by().values_list("day")
    sums_of = {f"sum_{number}": Sum(count) for number, count in enumerate(counts)}
    sums = {day: numbers for day, *numbers in days.annotate(**sums_of)}
    return [Day(each, tuple(sums.get(each, [0] * len(counts)))) for each in dates]
