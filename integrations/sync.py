"""The pipeline of a sync: a job goes in; its plan, or its segments, come out.

`check(job)` reads all of Klaviyo and writes down what a sync would do, changing no segment. `run(job)`
reads it and does it, in one transaction that ends with the job's own row. Everything is read before
anything is written, and no transaction is open meanwhile: what was not read to its end writes nothing.
Both are called by jobs.runner under a lease. Must not know: requests, pages, command lines.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.accounts import note_refusal, open_account
from integrations.arrival import ArrivalRule, rule_for
from integrations.klaviyo.client import LISTS, SEGMENTS, Account, Everything, KlaviyoError
from integrations.klaviyo.parse import KINDS, Found, Unusable, parse
from integrations.models import ChannelSync, KlaviyoAccount, SyncError, SyncJob, SyncLine, account_in_words
from integrations.secrets import Unreadable
from jobs.lease import finish
from jobs.models import Status
from jobs.points import reach
from segments import changes
from segments.changes import By, Fetched, Staged, SyncCounts, SyncPlan, SyncRow
from segments.models import ChangeSet, Segment

LINES_KEPT = 10_000  # by name, for its page; the counts know them all
ORDER = ("error", "missing", "updated", "created", "protected")  # of the lines; what is unchanged has none
READING, MATCHING = "reading", "matching"
# A channel may do without new lists, or without new segments. Both are read all the same: what is here goes on
# following Klaviyo, and is gone only if it is gone there.
LEFT_OUT: dict[str, str] = {ChannelSync.Bring.SEGMENTS: LISTS, ChannelSync.Bring.LISTS: SEGMENTS}


class Question(Exception):  # noqa: N818  # a turn of events, not a fault
    """What somebody must say before anything may be written."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass
class Reading:
    """Everything that Klaviyo has, and what this sync has noted of it so far."""

    account: Account
    fetched: list[tuple[int, Fetched]]
    unusable: list[Unusable]
    rules: list[ArrivalRule]
    counts: SyncCounts = field(default_factory=SyncCounts)
    lines: list[SyncLine] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Return what the job's row tells of it."""
        counts = {name: getattr(self.counts, name) for name in (*SyncJob.COUNTS, "known", "adopted")}
        answered_as = account_in_words(self.account.name, self.account.id)
        return {**counts, "fetched": self.counts.fetched, "answered_as": answered_as}


def check(job: SyncJob) -> None:
    """Write down what a sync would do: counts, lines by name, and what it would ask. No segment is written.

    Raises SyncError if Klaviyo did not tell everything.
    """
    reading = read(job)
    with staged(reading) as rows, changes.plan_sync(rows, job.channel, job.account_id) as plan:
        note(job, reading, plan)
        facts = reading.facts()
        try:
            guard(job, reading)
        except Question as question:
            facts |= {"code": question.code, "message": question.message}
        with transaction.atomic():
            keep_lines(job, reading)
            finish(job, Status.READY, **facts)


def run(job: SyncJob) -> None:
    """Bring everything into the channel: all of it, and the job's end, or nothing.

    Ends as `needs_answer`, with nothing written, where it cannot know whether the sync is meant. Raises
    SyncError if Klaviyo did not tell everything.
    """
    reading = read(job)

    def look(plan: SyncPlan) -> None:
        note(job, reading, plan)
        guard(job, reading)

    def end(result: changes.SyncResult) -> None:
        keep_lines(job, reading)
        keep_account(job.account, reading.account)
        finish(job, Status.DONE, change_set=result.change_set, **reading.facts())

    with staged(reading) as rows:
        job.begin_writing()
        try:
            changes.apply_sync(
                rows,
                job.channel,
                job.account_id,
                by=By(job.user, ChangeSet.Via(job.via)),
                label=job.account.name,
                report=look,
                finish=end,
            )
        except Question as question:
            with transaction.atomic():
                keep_lines(job, reading)
                finish(job, Status.NEEDS_ANSWER, code=question.code, message=question.message, **reading.facts())


def read(job: SyncJob) -> Reading:
    """Return all that Klaviyo has, cleaned. Raises SyncError."""
    reach("sync:fetching")
    everything = fetch(job)
    reach("sync:fetched")
    setting = ChannelSync.objects.filter(channel=job.channel_id).first()
    reading = Reading(everything.account, [], [], setting.arrival_rules if setting else [])
    left_out = LEFT_OUT.get(setting.bring if setting else "")
    for walk, objects in ((SEGMENTS, everything.segments), (LISTS, everything.lists)):
        here = known_ids(job, KINDS[walk]) if walk == left_out else None
        for each in objects:
            found = parse(walk, each, settings.KLAVIYO_WEB_URL)
            if here is not None and identity_of(found) not in here:
                continue
            if isinstance(found, Unusable):
                reading.unusable.append(found)
                continue
            inactive = rule_for(found.values.name, reading.rules) is not None
            values = found.values._replace(active=not inactive)
            reading.fetched.append((len(reading.fetched) + 1, Fetched(values, found.kind, found.state)))
    return reading


def known_ids(job: SyncJob, kind: str) -> set[str]:
    """Return the Klaviyo IDs of the account's lists or segments that the channel has."""
    here = Segment.objects.filter(channel=job.channel_id, klaviyo_account=job.account_id, klaviyo_kind=kind)
    return {each for each in here.values_list("klaviyo_id", flat=True) if each}


def identity_of(found: Found | Unusable) -> str:
    """Return the Klaviyo ID of an object, as parse() found it."""
    return found.id if isinstance(found, Unusable) else found.values.segment_id


def fetch(job: SyncJob) -> Everything:
    """Return all that the job's account holds. Raises SyncError, in words for whoever reads the page."""
    expected = SyncJob.objects.filter(account=job.account_id, status=Status.DONE).values_list("fetched", flat=True)
    total = expected.first() or 0

    def on_progress(objects: int) -> None:
        reach("sync:page")
        job.beat(objects, max(total, objects), READING)

    if not job.account.is_connected:
        raise SyncError("no_account", f"“{job.account}” is not connected any more. An admin connects it again.")
    try:
        everything = open_account(job.account.key()).everything(on_progress)
    except KlaviyoError as error:
        note_refusal(job.account, error)
        raise in_words(error) from None
    except Unreadable:
        raise SyncError(
            "key_unreadable",
            "This server cannot read the stored key any more: ENCRYPTION_KEYS was changed. An admin replaces the key.",
        ) from None
    job.beat(total, total, MATCHING)
    return everything


def in_words(error: KlaviyoError) -> SyncError:
    """Return a KlaviyoError as the end of a job, with the time when Klaviyo will answer again."""
    if error.retry_after is None:
        return SyncError(error.code, error.message)
    return SyncError(error.code, error.message, timezone.now() + timedelta(seconds=error.retry_after))


@contextmanager
def staged(reading: Reading) -> Iterator[Staged]:
    """Have what was read in the tables that plan and apply work from."""
    with changes.stage_sync(reading.fetched, ((each.kind, each.id) for each in reading.unusable)) as rows:
        yield rows


def guard(job: SyncJob, reading: Reading) -> None:
    """Raise Question where the answer is complete, but may be the wrong one to write."""
    counts, channel = reading.counts, job.channel
    if not job.accept_account:
        known_as = other_account(job, reading.account)
        if known_as:
            raise Question(
                "another_account",
                f"Klaviyo answered as {account_in_words(reading.account.name, reading.account.id)}, but the segments "
                f"in {channel} are from {known_as}. "
                "None of your segments were changed. Go on only if that is right.",
            )
    if not job.accept_missing and counts.missing * 2 > counts.known:
        raise Question(
            "many_missing",
            f"{counts.missing:,} of the {counts.known:,} segments and lists known in {channel} are not in Klaviyo any "
            "more. None of your segments were changed. Go on only if they were removed there on purpose.",
        )


def other_account(job: SyncJob, answered: Account) -> str:
    """Return what the account is called that the channel's segments are from, if it is not the one that answered."""
    if answered.id != job.account.account_id:
        return job.account.in_words
    synced = Segment.objects.filter(channel=job.channel_id, klaviyo_id__isnull=False)
    if synced.filter(klaviyo_account=job.account_id).exists():
        return ""
    other = synced.values_list("klaviyo_account", flat=True).first()
    if other is None:
        return ""
    account = KlaviyoAccount.objects.filter(pk=other).first()
    return account.in_words if account else "an account that is gone"


def keep_account(account: KlaviyoAccount, answered: Account) -> None:
    """Note that the key is good, and that the account is another now, if somebody said that this is right."""
    if account.refused_at:
        account.refused_at = None
        account.save(update_fields=["refused_at"])
    if answered.id == account.account_id:
        return
    if KlaviyoAccount.objects.filter(account_id=answered.id).exists():
        raise SyncError(
            "account_twice",
            f"The key of “{account}” opens “{answered.name}”, which is connected as an account of its own. "
            "An admin chooses that account for this channel.",
        )
    account.account_id, account.organisation = answered.id, answered.name[:255]
    account.save(update_fields=["account_id", "organisation"])


def note(job: SyncJob, reading: Reading, plan: SyncPlan) -> None:
    """Remember the counts of `plan`, and what it does by name."""
    reading.counts = plan.counts
    lines = [line_of_unusable(job, each) for each in reading.unusable]
    lines += [line_of(job, row, reading.rules) for row in plan.rows() if row.outcome in ORDER]
    lines.sort(key=lambda line: ORDER.index(line.outcome))
    reading.lines = lines[:LINES_KEPT]


def line_of(job: SyncJob, row: SyncRow, rules: Iterable[ArrivalRule]) -> SyncLine:
    """Return what to keep of one row of the plan."""
    line = SyncLine(job=job, outcome=row.outcome, reason=row.reason, kind=row.kind, segment=row.target)
    values = row.after or row.before
    if row.outcome == "protected":
        values = row.before
    if values:
        line.name, line.segment_id = values.name, values.segment_id
    if row.outcome == "created" and row.klaviyo and row.klaviyo.active is False:
        line.inactive = True
        line.says = str(rule_for(row.klaviyo.name, rules) or "")
    if row.outcome == "updated" and row.before and row.before.name != line.name:
        line.was = row.before.name
    if row.klaviyo and row.outcome in ("protected", "updated") and row.klaviyo.name != line.name:
        line.says = row.klaviyo.name
    if row.outcome == "error":
        whose = f"“{row.before.name}” here, which is of another account or kind" if row.before else "another one there"
        line.says = f"Its ID is that of {whose}."
    return line


def line_of_unusable(job: SyncJob, unusable: Unusable) -> SyncLine:
    """Return what to keep of an object that cannot be taken over."""
    error = unusable.errors[0]
    return SyncLine(
        job=job,
        outcome="error",
        reason=error.code,
        kind=unusable.kind,
        name=unusable.name,
        segment_id=unusable.id,
        says=error.message,
    )


def keep_lines(job: SyncJob, reading: Reading) -> None:
    """Write the lines of the job in place of those of an attempt before."""
    SyncLine.objects.filter(job=job).delete()
    SyncLine.objects.bulk_create(reading.lines, batch_size=500)
