"""Change sets: who changed what, when, by which door, and in what numbers."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import F

from channels.models import Channel
from segments.models import ChangeSet, ChangeSetChannel, SearchBacklog

if TYPE_CHECKING:
    from people.models import Person


@dataclass(frozen=True)
class By:
    """Who makes a change, by which door, and the one-time token of the form it came from."""

    user: "Person | None" = None
    via: ChangeSet.Via = ChangeSet.Via.WEB
    form_token: UUID | None = field(default=None, compare=False)


class AlreadyDone(Exception):  # noqa: N818  # not a fault: the form was sent twice
    """This very form was sent before, and `change_set` is what it did. Nothing was changed now."""

    def __init__(self, change_set: ChangeSet) -> None:
        super().__init__(f"change set {change_set.pk}")
        self.change_set = change_set


def open_set(kind: ChangeSet.Kind, by: By, label: str, undoes: ChangeSet | None = None) -> ChangeSet:
    """Return a new change set, to be filled in the transaction that holds the channels' lock.

    Raises AlreadyDone if the form's token is known: the lock makes the second of two look here
    after the first has committed, and a unique constraint stands behind.
    """
    if by.form_token:
        done = ChangeSet.objects.filter(form_token=by.form_token).first()
        if done:
            raise AlreadyDone(done)
    return ChangeSet.objects.create(
        kind=kind,
        via=by.via,
        user=by.user,
        user_name=str(by.user) if by.user else "",
        label=label[:255],
        undoes=undoes,
        form_token=by.form_token,
    )


def close_set(change_set: ChangeSet, channel: Channel, **counts: Any) -> None:
    """Write the set's counts for `channel` (fields of ChangeSetChannel), and the channel's new size."""
    ChangeSetChannel.objects.create(change_set=change_set, channel=channel, **counts)
    if any(counts.get(what) for what in ("created", "updated", "deleted")):
        SearchBacklog.note(channel, change_set)
    growth = counts.get("created", 0) - counts.get("deleted", 0)
    if growth:
        Channel.objects.filter(pk=channel.pk).update(segment_count=F("segment_count") + growth)
