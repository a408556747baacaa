"""A sync in the numbers and words of its pages.

Goes in: a channel, or a sync. Comes out: what the templates show. Must not know: requests.
"""

import math
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from channels.models import Channel
from integrations.arrival import CONTAINS, ArrivalRule, rule_for
from integrations.models import OPEN, ChannelSync, KlaviyoAccount, SyncJob, SyncLine
from jobs.models import Job, Status
from jobs.presence import worker_missing
from segments.history import LABELS
from segments.models import Segment
from segments.values import fold, folded_key

NAMES_READ = 10_000
HIDDEN = "hidden_syncs"  # in a session: by channel, the sync whose result was taken away
MATCHES_SHOWN = 12
RECENTLY = timedelta(minutes=10)  # so long the result of a sync stands above the table
WAITS_TOO_LONG = timedelta(minutes=1)

SHOWS = {  # what can be shown alone: its word, and which lines it means
    "created": ("New", Q(outcome="created")),
    "returns": ("Returning", Q(outcome="created", reason="returns")),
    "inactive": ("Arriving inactive", Q(outcome="created", inactive=True)),
    "updated": ("Renamed", Q(outcome="updated") & ~Q(reason="adopted")),
    "linked": ("Linked", Q(outcome="updated", reason="adopted")),
    "missing": ("Gone", Q(outcome="missing")),
    "protected": ("Left alone", Q(outcome="protected")),
    "error": ("Errors", Q(outcome="error")),
}


class Glance(NamedTuple):
    """What the Segments tab must know of Klaviyo, by one query: most of the time that is all it shows."""

    connected: bool
    newest: UUID | None  # sync
    status: str
    finished_at: datetime | None
    last_at: datetime | None  # that one was done
    last_by: str
    last_account: str

    @property
    def running(self) -> bool:
        """Whether a sync waits or runs."""
        return self.status in OPEN

    @property
    def tells(self) -> bool:
        """Whether the newest sync is worth a box above the table."""
        if self.status == Status.DONE and self.finished_at:
            return timezone.now() - self.finished_at < RECENTLY
        return self.running or self.status in (Status.NEEDS_ANSWER, Status.FAILED)


def glance(channel: Channel) -> Glance:
    """Return how Klaviyo stands in `channel`."""
    syncs = SyncJob.objects.syncs().filter(channel=OuterRef("pk"))
    done = syncs.filter(status=Status.DONE)

    def of(rows: QuerySet[SyncJob], field: str) -> Subquery:
        return Subquery(rows.values(field)[:1])

    found = Channel.objects.filter(pk=channel.pk).values_list(
        Exists(KlaviyoAccount.objects.connected()),
        of(syncs, "pk"),
        of(syncs, "status"),
        of(syncs, "finished_at"),
        of(done, "finished_at"),
        of(done, "change_set__user_name"),
        of(done, "account__name"),
    )
    connected, newest, status, finished_at, last_at, last_by, last_account = found.get()
    return Glance(connected, newest, status or "", finished_at, last_at, last_by or "", last_account or "")


def region(channel: Channel, seen: Glance | None = None, hidden: str = "") -> dict[str, Any]:
    """Return what stands above the table of a channel's segments: the newest sync, if it is worth that.

    `hidden` is the sync whose result the reader has taken away.
    """
    seen = seen or glance(channel)
    is_hidden = seen.status == Status.DONE and str(seen.newest) == hidden
    if seen.newest is None or not seen.tells or is_hidden:
        return {"job": None, "seen": seen}
    newest = SyncJob.objects.for_list().get(pk=seen.newest)
    waits = newest.status == Status.WAITING and timezone.now() - newest.created_at > WAITS_TOO_LONG
    return {
        "job": newest,
        "seen": seen,
        "took": took(newest),
        "no_worker": waits and worker_missing(),
        "gone": gone(newest),
    }


def gone(job: SyncJob) -> list[SyncLine]:
    """Return the segments that a sync found gone, if they are few enough to be named."""
    return list(job.lines.filter(outcome="missing")) if 0 < job.missing <= 3 else []


def took(job: SyncJob) -> str:
    """Return how long a job has been at it, or took, in words; "" where its time was also somebody's to answer in."""
    if not job.started_at or not (job.is_open or job.status in (Status.DONE, Status.FAILED)):
        return ""
    seconds = math.ceil(((job.finished_at or timezone.now()) - job.started_at).total_seconds())
    return f"{seconds} second{'' if seconds == 1 else 's'}" if seconds < 120 else f"{round(seconds / 60)} minutes"


class Filter(NamedTuple):
    """One choice of lines."""

    value: str
    word: str
    lines: int


def filters(job: SyncJob, show: str) -> list[Filter]:
    """Return the choices that there are lines for."""
    found = [Filter("", "All", job.lines.count())]
    found += [Filter(value, word, job.lines.filter(which).count()) for value, (word, which) in SHOWS.items()]
    return [each for each in found if each.lines or each.value in ("", show)]


def lines(job: SyncJob, show: str) -> QuerySet[SyncLine]:
    """Return the lines of one choice, in the order in which the sync noted them."""
    return job.lines.filter(SHOWS[show][1]) if show in SHOWS else job.lines.all()


class Row(NamedTuple):
    """One line with the segment that it is about, if that is here, or one of the same name."""

    line: SyncLine
    segment: Segment | None
    namesake: Segment | None


def rows(job: SyncJob, lines: Iterable[SyncLine]) -> list[Row]:
    """Return lines with their segments: two queries for any number."""
    lines = list(lines)
    ids = [line.segment_id for line in lines if line.segment_id and line.outcome != "error"]
    segments = Segment.objects.select_related("channel").filter(channel=job.channel)
    here = {each.klaviyo_id: each for each in segments.filter(klaviyo_id__in=ids)}
    alike: dict[str, Segment] = {}
    if job.goal == Job.Goal.CHECK:
        alike = namesakes(job.channel, [line.name for line in lines if line.outcome == "created"])
    return [Row(line, here.get(line.segment_id), alike.get(line.name)) for line in lines]


def namesakes(channel: Channel, names: list[str]) -> dict[str, Segment]:
    """Return by name the segments of `channel` of the same names that nobody has given an ID yet."""
    keys = {folded_key(name): name for name in names}
    found = Segment.objects.filter(channel=channel, name_key__in=list(keys), klaviyo_id=None, segment_id="")
    return {keys[each.name_key]: each for each in found.select_related("channel")}


def question(job: SyncJob) -> dict[str, Any] | None:
    """Return what is asked before a sync may write; None if nothing is."""
    if job.status != Status.NEEDS_ANSWER:
        return None
    percent = round(100 * job.missing / job.known) if job.known else 0
    return {
        "percent": percent,
        "found": job.known - job.missing,
        "before": job.account.in_words,
        "other_key": not job.answered_as.endswith(f"({job.account.account_id})"),
    }


class Override(NamedTuple):
    """A value that a person gave, and what Klaviyo says."""

    field: str
    label: str
    says: str


def overrides(segment: Segment) -> list[Override]:
    """Return the values of a Klaviyo segment that do not follow Klaviyo."""
    return [Override(field, LABELS[field], getattr(segment, f"synced_{field}")) for field in segment.overridden]


def settings_of(channel: Channel) -> ChannelSync:
    """Return the channel's settings, as they are or would begin."""
    return ChannelSync.objects.filter(channel=channel).first() or ChannelSync(channel=channel)


class Match(NamedTuple):
    """A name that a rule matches, and whether its segment is here already."""

    name: str
    rule: ArrivalRule
    here: bool

    @property
    def parts(self) -> tuple[str, str, str]:
        """The name: what stands before what the rule looks for, that itself, and what comes after."""
        found = re.search(re.escape(self.rule.text), self.name, re.IGNORECASE)
        if self.rule.operator != CONTAINS or not found:
            return self.name, "", ""
        return self.name[: found.start()], found[0], self.name[found.end() :]


def matches(channel: Channel, rules: list[ArrivalRule]) -> dict[str, Any]:
    """Return which names, of those known from Klaviyo, the rules match: those here, and those of the newest preview."""
    synced = Segment.objects.filter(channel=channel, synced_name__isnull=False).values_list("synced_name", flat=True)
    here = {name for name in synced[:NAMES_READ] if name is not None}
    preview = SyncJob.objects.filter(channel=channel, goal=Job.Goal.CHECK, status=Status.READY).first()
    new = set(preview.lines.filter(outcome="created").values_list("name", flat=True)) - here if preview else set()
    found = [
        Match(name, rule, name in here)
        for name in sorted(here | new, key=fold)
        for rule in [rule_for(name, rules)]
        if rule
    ]
    found.sort(key=lambda match: match.here)
    return {
        "matched": found[:MATCHES_SHOWN],
        "matched_count": len(found),
        "matches_most": len(found) * 2 > len(here | new),
        "names_known": len(here | new),
        "per_rule": [(rule, sum(rule.matches(name) for name in here | new)) for rule in rules],
    }
