"""Segments that a person chose in the list, and what shall be done with all of them.

Goes in: a channel, what they were chosen by, an action. Comes out: its change set, at once or, where they are very
many, by a BulkJob that a worker does. What they were chosen by travels, not the segments: a job looks again. The
action itself is segments.changes, and the job ends in its transaction. Must not know: requests.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction

from channels.models import Channel
from jobs.lease import finish
from jobs.models import Job, JobError, Status
from jobs.quota import may_wait
from segments import changes
from segments.filters import Filters, NotUnderstood
from segments.models import BulkJob, ChangeSet
from segments.queries import SegmentQuerySet
from segments.steps import beating

IN_REQUEST = 20_000  # segments; many more would hold a web process, and its user, for seconds
NOTHING = {
    BulkJob.Action.ACTIVATE: "Nothing was changed: they are all active already.",
    BulkJob.Action.DEACTIVATE: "Nothing was changed: they are all inactive already.",
    BulkJob.Action.ADD: "Nothing was added: each is there already, or several there have its name.",
    BulkJob.Action.DELETE: "Nothing was deleted: they are gone already.",
}
GONE = "Nothing was changed: they are gone, or match no more."
NO_SUCH_FILTER = "Nothing was changed: these were chosen by a filter that there is no more. Choose them again."


def segments_of(channel: Channel, chosen: Mapping[str, Any]) -> SegmentQuerySet:
    """The segments of `channel` that were chosen by their primary keys (`ids`), or by the search and filters.

    Raises NotUnderstood.
    """
    if "ids" in chosen:
        of_channel: SegmentQuerySet = channel.segments.filter(pk__in=chosen["ids"])
        return of_channel
    return Filters.of_kept(chosen).search(channel).rows


def act(
    action: str,
    channel: Channel,
    chosen: Mapping[str, Any],
    targets: Iterable[Channel],
    by: changes.By,
    how: changes.How,
) -> ChangeSet | None:
    """Do it, as one change; None if there was nothing to do. As segments.changes for the rest."""
    segments = segments_of(channel, chosen)
    match action:
        case BulkJob.Action.DELETE:
            return changes.delete_all(segments, channel, by, how)
        case BulkJob.Action.ADD:
            return changes.add_to(segments, targets, by, how)
        case _:
            active = action == BulkJob.Action.ACTIVATE
            return changes.set_active_all(segments, channel, active, by, how)


def why_nothing(action: str, segments: SegmentQuerySet) -> str:
    """Why an action on `segments` changed nothing."""
    return NOTHING[BulkJob.Action(action)] if segments.exists() else GONE


def begin(
    action: str,
    channel: Channel,
    chosen: Mapping[str, Any],
    targets: Iterable[Channel],
    by: changes.By,
    told: int | None = None,
) -> BulkJob:
    """Return the job that does it, to no more segments than were told: a new one, or that of this very form.

    Raises TooMuch.
    """
    may_wait(by.user)
    try:
        with transaction.atomic():
            return BulkJob.objects.create(
                channel=channel,
                action=action,
                chosen=dict(chosen),
                targets=[target.pk for target in targets],
                told=told,
                user=by.user,
                via=by.via,
                form_token=by.form_token,
            )
    except IntegrityError:
        return BulkJob.objects.get(form_token=by.form_token)


def run(job: Job) -> None:
    """Do what `job` says, and end it in the same transaction."""
    if not isinstance(job, BulkJob):
        raise TypeError(f"{job!r} is no bulk action")
    job.beat(0, 0, "matching")
    try:
        segments = segments_of(job.channel, job.chosen)
    except NotUnderstood:
        raise JobError("no_such_filter", NO_SUCH_FILTER) from None
    total = segments.count()
    job.beat(0, total, "matching")
    job.begin_writing()

    def end(done: ChangeSet | None) -> None:
        message = "" if done else why_nothing(job.action, segments)
        finish(job, Status.DONE, change_set=done, progress=total, total=total, message=message)

    by = changes.By(job.user, ChangeSet.Via(job.via), form_token=job.form_token)
    targets = Channel.objects.filter(pk__in=job.targets)
    how = changes.How(job.told, wait=None, finish=end, passed=beating(job, total))
    try:
        act(job.action, job.channel, job.chosen, targets, by, how)
    except changes.MoreThanTold as problem:
        raise JobError("more_than_told", f"{problem} Choose them again.") from None
