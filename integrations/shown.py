"""A sync in the numbers and words of its pages.

Goes in: a channel, or a sync. Comes out: what the templates show. Must not know: requests.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from django.utils import timezone

from channels.models import Channel
from integrations.arrival import ArrivalRule, rule_for
from integrations.models import ChannelSync, KlaviyoAccount, SyncJob, SyncLine
from integrations.starting import NoAccount, account_for
from jobs.models import Job, Status
from jobs.presence import worker_missing
from segments.models import Segment
from segments.values import fold, folded_key

NAMES_READ = 10_000
MATCHES_SHOWN = 12
RECENTLY = timedelta(minutes=10)  # so long the result of a sync stands above the table
WAITS_TOO_LONG = timedelta(minutes=1)

SHOWS = {  # what can be shown alone: its word, and which lines it means
    "created": ("New", Q(outcome="created")),
    "returns": ("Returning", Q(outcome="created", reason="returns")),
    "inactive": ("Arriving inactive", Q(outcome="created", inactive=True)),
    "updated": ("Renamed", Q(outcome="updated")),
    "missing": ("Gone", Q(outcome="missing")),
    "protected": ("Left alone", Q(outcome="protected")),
    "error": ("Errors", Q(outcome="error")),
}


def region(channel: Channel) -> dict[str, Any]:
    """Return what stands above the table of a channel's segments: the newest sync, if it is worth that."""
    newest = SyncJob.objects.for_list().syncs().filter(channel=channel).first()
    if newest is None:
        return {"job": None, "last": None}
    now = timezone.now()
    told = newest.is_open or newest.status in (Status.NEEDS_ANSWER, Status.FAILED)
    if newest.status == Status.DONE and newest.finished_at:
        told = now - newest.finished_at < RECENTLY
    waits = newest.status == Status.WAITING and now - newest.created_at > WAITS_TOO_LONG
    return {
        "job": newest if told else None,
        "last": newest if newest.status == Status.DONE else last_done(channel),
        "took": took(newest),
        "no_worker": waits and worker_missing(),
        "gone": gone(newest) if told else [],
    }


def last_done(channel: Channel) -> SyncJob | None:
    """Return the newest sync that brought everything in."""
    return SyncJob.objects.for_list().syncs().filter(channel=channel, status=Status.DONE).first()


def gone(job: SyncJob) -> list[SyncLine]:
    """Return the segments that a sync found gone, if they are few enough to be named."""
    return list(job.lines.filter(outcome="missing")) if 0 < job.missing <= 3 else []


def took(job: SyncJob) -> str:
    """Return how long a job has been at it, or took, in words."""
    if not job.started_at:
        return ""
    seconds = round(((job.finished_at or timezone.now()) - job.started_at).total_seconds())
    return f"{seconds} second{'' if seconds == 1 else 's'}" if seconds < 120 else f"{round(seconds / 60)} minutes"


def action(channel: Channel) -> dict[str, Any]:
    """Return what the button of the Segments tab does: sync, say that one runs, or lead to connecting."""
    accounts = list(KlaviyoAccount.objects.connected())
    try:
        account = account_for(channel, accounts) if accounts else None
    except NoAccount:
        account = None
    running = SyncJob.objects.syncs().open().filter(channel=channel).exists() if accounts else False
    return {"connected": bool(accounts), "account": account, "running": running}


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
    return {"percent": percent, "found": job.known - job.missing, "before": job.account.organisation}


class Override(NamedTuple):
    """A value that a person gave, and what Klaviyo says."""

    field: str
    label: str
    says: str


def overrides(segment: Segment) -> list[Override]:
    """Return the values of a Klaviyo segment that do not follow Klaviyo."""
    if segment.klaviyo_id is None:
        return []
    found = []
    if segment.synced_name is not None and segment.synced_name != segment.name:
        found.append(Override("name", "Segment name", segment.synced_name))
    if segment.synced_link is not None and segment.synced_link != segment.link:
        found.append(Override("link", "Link", segment.synced_link))
    return found


def settings_of(channel: Channel) -> ChannelSync:
    """Return the channel's settings, as they are or would begin."""
    return ChannelSync.objects.filter(channel=channel).first() or ChannelSync(channel=channel)


class Match(NamedTuple):
    """A name that a rule matches, and whether its segment is here already."""

    name: str
    rule: ArrivalRule
    here: bool


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
        "names_known": len(here | new),
        "per_rule": [(rule, sum(rule.matches(name) for name in here | new)) for rule in rules],
    }
