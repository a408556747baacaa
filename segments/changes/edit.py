"""One segment changed by a person: added, edited, switched, deleted.

Goes in: cleaned values, and who. Comes out: one ChangeSet, written under the channel's lock with the
history that undo needs. Here blanks clear: a person saw the whole segment. Must not know: requests.
"""

from typing import Any

from django.utils import timezone

from channels.models import Channel
from segments.changes.lock import WEB_WAIT, locked
from segments.changes.sets import By, close_set, open_set
from segments.models import Change, ChangeSet, Segment, Source
from segments.values import SegmentValues, folded_key, identity_key


class IdentityTaken(Exception):  # noqa: N818  # a state of the channel, not a fault
    """Another segment of the channel has that Segment ID, or that name and no ID either. Nothing was changed."""

    def __init__(self, existing: Segment) -> None:
        super().__init__(existing.name)
        self.existing = existing


class EditedMeanwhile(Exception):  # noqa: N818  # a state of the segment, not a fault
    """Somebody changed or deleted the segment since the form was opened. Nothing was changed."""

    def __init__(self, segment: Segment | None) -> None:
        super().__init__(str(segment))
        self.segment = segment  # as it is now; None if it is gone


def add(channel: Channel, values: SegmentValues, by: By) -> Segment:
    """Return the new segment of `channel`. Raises IdentityTaken, AlreadyDone, ChannelBusy."""
    key = identity_key(values.name, values.segment_id)
    with locked([channel], WEB_WAIT):
        change_set = open_set(ChangeSet.Kind.ADD, by, values.name)
        _refuse_taken(channel.pk, key)
        segment = Segment.objects.create(
            channel=channel,
            name=values.name,
            segment_id=values.segment_id,
            link=values.link,
            active=values.active is not False,
            source=Source.MANUAL,
            identity_key=key,
            name_key=folded_key(values.name),
            id_key=folded_key(values.segment_id),
            created_in=change_set,
            last_change=change_set,
            updated_at=timezone.now(),
        )
        change_set.first_pk = change_set.last_pk = segment.pk
        change_set.save(update_fields=["first_pk", "last_pk"])
        close_set(change_set, channel, created=1)
    return segment


def edit(segment: Segment, values: SegmentValues, by: By, expected_change: int | None = None) -> ChangeSet | None:
    """Give the segment exactly `values` (an `active` of None leaves it); None if nothing differed.

    `expected_change` is the `last_change_id` that the person saw. Clearing the ID of a Klaviyo segment
    puts the Klaviyo ID back; a label that was not touched stays a label. Raises IdentityTaken,
    EditedMeanwhile, AlreadyDone, ChannelBusy.
    """
    with locked([segment.channel], WEB_WAIT):
        change_set = open_set(ChangeSet.Kind.EDIT, by, segment.name)
        now = _reload(segment, expected_change)
        segment_id = values.segment_id or now.klaviyo_id or ""
        key = identity_key(values.name, segment_id, label=now.has_label and segment_id == now.segment_id)
        return _change(
            now,
            change_set,
            name=values.name,
            name_key=folded_key(values.name),
            segment_id=segment_id,
            id_key=folded_key(segment_id),
            link=values.link,
            active=now.active if values.active is None else values.active,
            identity_key=key,
        )


def set_active(segment: Segment, active: bool, by: By) -> ChangeSet | None:
    """Make the segment active or inactive; None if it is already. Raises EditedMeanwhile, AlreadyDone, ChannelBusy."""
    with locked([segment.channel], WEB_WAIT):
        change_set = open_set(ChangeSet.Kind.STATUS, by, segment.name)
        return _change(_reload(segment), change_set, active=active)


def delete(segment: Segment, by: By) -> ChangeSet:
    """Delete the segment, keeping all that bringing it back needs. Raises EditedMeanwhile, AlreadyDone, ChannelBusy."""
    with locked([segment.channel], WEB_WAIT):
        change_set = open_set(ChangeSet.Kind.DELETE, by, segment.name)
        now = _reload(segment)
        _record(now, change_set, Change.Kind.DELETE, Segment(), **{field: getattr(now, field) for field in Change.KEPT})
        now.delete()
        close_set(change_set, now.channel, deleted=1)
    return change_set


def _reload(segment: Segment, expected_change: int | None = None) -> Segment:
    """The segment as it is under the lock."""
    now = Segment.objects.select_related("channel").filter(pk=segment.pk).first()
    if now is None or (expected_change is not None and now.last_change_id != expected_change):
        raise EditedMeanwhile(now)
    return now


def _refuse_taken(channel_pk: int, key: bytes, but: int | None = None) -> None:
    existing = Segment.objects.filter(channel_id=channel_pk, identity_key=key).first()
    if existing and existing.pk != but:
        raise IdentityTaken(existing)


def _change(now: Segment, change_set: ChangeSet, **values: Any) -> ChangeSet | None:
    """Write those of `values` that differ from the segment `now`, and their history; None, and no set, if none does."""
    before = Segment(**{field.attname: getattr(now, field.attname) for field in now._meta.concrete_fields})
    changed = [field for field, value in values.items() if _plain(getattr(now, field)) != value]
    if not changed:
        change_set.delete()
        return None
    for field in changed:
        setattr(now, field, values[field])
    if "identity_key" in changed:
        _refuse_taken(now.channel_id, values["identity_key"], but=now.pk)
    now.last_change = change_set
    now.updated_at = timezone.now()
    now.save(update_fields=[*changed, "last_change", "updated_at"])
    _record(before, change_set, Change.Kind.UPDATE, now)
    close_set(change_set, now.channel, updated=1)
    return change_set


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def _record(before: Segment, change_set: ChangeSet, kind: Change.Kind, after: Segment, **kept: Any) -> None:
    Change.objects.create(
        change_set=change_set,
        channel_id=before.channel_id,
        segment=before.pk,
        kind=kind,
        before_name=before.name,
        before_segment_id=before.segment_id,
        before_link=before.link,
        before_active=before.active,
        before_identity_key=before.identity_key,
        before_name_key=before.name_key,
        before_id_key=before.id_key,
        before_change=before.last_change_id,
        after_name=after.name,
        after_segment_id=after.segment_id,
        after_link=after.link,
        after_active=after.active,
        after_change=change_set.pk,
        **kept,
    )
