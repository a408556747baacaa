"""Segments, and the record of every change of them.

A segment is a reference into a sending platform: name, ID there, link, whether it is active.
Rows are written by segments.changes alone; this module says what is stored and reads it.
DESIGN section 2 is the source of the rules.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.db import connection, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Sum
from django.urls import reverse

from channels.models import Channel
from jobs.models import ENDED, Job, Page, Said, Status
from segments.marks import Marks
from segments.queries import SegmentQuerySet
from segments.values import fold


class FoldedField(models.CharField):  # type: ignore[type-arg]  # not subscriptable at run time
    """Text folded by segments.values: compared and sorted by code point on every database.

    PostgreSQL needs COLLATE "C" for that; SQLite's BINARY is the same order.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """Return Django's column parameters, with the collation where there is one to name."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters


class ChangeSet(models.Model):
    """One change of segments as people see it: an import, a sync, an edit, an undo.

    It is the audit log, and what undo works from. `first_pk` and `last_pk` enclose the primary
    keys of the segments that it created, so that finding them needs no index of its own.
    """

    class Kind(models.TextChoices):
        ADD = "add", "Added"
        EDIT = "edit", "Edited"
        STATUS = "status", "Active status"
        DELETE = "delete", "Deleted"
        IMPORT = "import", "Import"
        SYNC = "sync", "Sync"
        BULK = "bulk", "Bulk action"
        UNDO = "undo", "Undo"

    class Via(models.TextChoices):
        WEB = "web", "Web page"
        ADMIN = "admin", "Django admin"
        COMMAND = "command", "Command line"
        SCHEDULE = "schedule", "Schedule"

    kind = models.CharField(max_length=10, choices=Kind)
    via = models.CharField(max_length=10, choices=Via, default=Via.WEB)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    user_name = models.CharField(max_length=310, blank=True, help_text="As it was then; outlives the account.")
    at = models.DateTimeField(auto_now_add=True)
    label = models.CharField(max_length=255, blank=True, help_text="What it was: a file's name, a segment's name.")
    label_key = models.TextField(default="", editable=False)  # the label folded, however long that is: for searching
    undoes = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="undone_by")
    form_token = models.UUIDField(null=True, unique=True, editable=False)
    first_pk = models.BigIntegerField(null=True, editable=False)
    last_pk = models.BigIntegerField(null=True, editable=False)

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("at",), name="segments_sets_by_time"),)  # the overview's chart

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.label}" if self.label else self.get_kind_display()

    def save(self, *, update_fields: Iterable[str] | None = None, **options: Any) -> None:
        """Save it, and its label as it is searched for."""
        self.label_key = fold(self.label)
        if update_fields is not None and "label" in update_fields:
            update_fields = {*update_fields, "label_key"}
        super().save(update_fields=update_fields, **options)

    def touched(self) -> int:
        """How many segments it created, changed or deleted."""
        numbers = F("created") + F("updated") + F("deleted")
        return self.channels.aggregate(total=Sum(numbers))["total"] or 0

    def left_in_words(self) -> str:
        """Of an undo: what it left as it was; "" if that is nothing, or it is none."""
        left = self.channels.aggregate(left=Sum("kept"))["left"] or 0
        words = f"{left + self.touched():,} {'was' if left == 1 else 'were'} changed since, and left alone"
        return f"{left:,} of {words}" if left else ""


class ChangeSetChannel(models.Model):
    """What a change set did in one channel, in numbers of segments (or of rows, for an import)."""

    change_set = models.ForeignKey(ChangeSet, on_delete=models.CASCADE, related_name="channels")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    deleted = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    errors = models.PositiveIntegerField(default=0)
    kept = models.PositiveIntegerField(default=0, help_text="Left as they are by an undo.")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("change_set", "channel"), name="segments_counts_once_a_channel"),
        )

    def __str__(self) -> str:
        return f"{self.change_set_id} in {self.channel_id}"


class Source(models.TextChoices):
    """Where a segment came from."""

    MANUAL = "manual", "Manual"
    CSV = "csv", "CSV"
    KLAVIYO = "klaviyo", "Klaviyo"


class Segment(Marks, models.Model):
    """A segment of one channel.

    `segment_id` is its ID in the sending platform, or a label: which one, `identity_key` says.
    That key is `i` and the digest of the ID, or `n` and the digest of the folded name, and is
    unique in the channel. `name_key` and `id_key` are folded, for sorting and searching.
    """

    # No constraint in the database: it costs an import 4 s per million rows, at its commit and under the lock.
    # A channel that ever had a segment is held by the constraint of ChangeSetChannel.
    channel = models.ForeignKey(
        Channel, on_delete=models.PROTECT, db_index=False, db_constraint=False, related_name="segments"
    )
    name = models.CharField("segment name", max_length=255)
    segment_id = models.CharField("segment ID", max_length=255, blank=True, default="")
    link = models.CharField(max_length=2048, blank=True, default="")
    active = models.BooleanField("active status", default=True)
    source = models.CharField(max_length=10, choices=Source, default=Source.MANUAL)

    identity_key = models.BinaryField(max_length=17, editable=False)
    name_key = FoldedField(max_length=255, editable=False)
    id_key = FoldedField(max_length=255, blank=True, default="", editable=False)

    klaviyo_id = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001  # NULL keeps it out of the unique constraint
    klaviyo_account = models.BigIntegerField(null=True, blank=True, editable=False)
    klaviyo_kind = models.CharField(max_length=10, blank=True, default="", editable=False)
    klaviyo_state = models.CharField(max_length=60, blank=True, default="", db_default="", editable=False)
    synced_name = models.CharField(max_length=255, null=True, blank=True, editable=False)  # noqa: DJ001  # NULL: Klaviyo has not said
    synced_link = models.CharField(max_length=2048, null=True, blank=True, editable=False)  # noqa: DJ001  # as above
    missing_since = models.DateTimeField(null=True, blank=True, editable=False)

    created_in = models.ForeignKey(
        ChangeSet, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+", editable=False
    )
    created_line = models.PositiveIntegerField(null=True, editable=False)
    last_change = models.ForeignKey(
        ChangeSet, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+", editable=False
    )
    updated_at = models.DateTimeField(editable=False)

    objects = SegmentQuerySet.as_manager()

    class Meta:
        constraints = (
            # Matching by ID or by name, and the guard against doubles.
            models.UniqueConstraint(fields=("channel", "identity_key"), name="segments_identity_unique_in_channel"),
            # Matching by Klaviyo ID; NULLs are not equal, so segments without one do not meet.
            models.UniqueConstraint(
                fields=("channel", "klaviyo_id", "klaviyo_account", "klaviyo_kind"), name="segments_klaviyo_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(klaviyo_id__isnull=True) | ~models.Q(segment_id=""),
                name="segments_klaviyo_has_segment_id",
            ),
        )
        indexes = (
            # The Segments tab in its first order, page by page; matching and counting by name. With `id_key`, SQLite
            # searches in it alone: 0.2 s for a million segments without a hit, where their rows take 2 s.
            models.Index(fields=("channel", "name_key", "id", "id_key"), name="segments_by_name_searched"),
            # The Segments tab sorted by segment ID, and by the latest change.
            models.Index(fields=("channel", "id_key", "id"), name="segments_by_id"),
            models.Index(fields=("channel", "updated_at", "id"), name="segments_by_update"),
            # Its filter "Inactive", and the count of that: few of many.
            models.Index(
                fields=("channel", "name_key", "id"), name="segments_inactive", condition=models.Q(active=False)
            ),
            # Filtered and sorted by source. Imports, which are large, do not pay for it.
            models.Index(
                fields=("channel", "source", "name_key", "id"),
                name="segments_not_by_csv",
                condition=~models.Q(source="csv"),
            ),
        )

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The detail page."""
        return reverse("segments:detail", args=[self.channel.slug, self.pk])


class Change(models.Model):
    """One segment changed by one change set: before and after. Creates write none.

    `segment` has no foreign key: the row outlives the segment. `before_change` and
    `after_change` are the segment's `last_change` before and after; a segment is still as this
    set left it while its `last_change` equals `after_change`. Of a deleted segment `after_*` is empty,
    and all else that bringing it back needs is kept too.
    """

    class Kind(models.TextChoices):
        UPDATE = "u", "Updated"
        DELETE = "d", "Deleted"
        INSERT = "i", "Brought back"

    change_set = models.ForeignKey(ChangeSet, on_delete=models.PROTECT, db_index=False, db_constraint=False)
    channel = models.ForeignKey(Channel, on_delete=models.DO_NOTHING, db_index=False, db_constraint=False)
    segment = models.BigIntegerField()
    kind = models.CharField(max_length=1, choices=Kind)

    before_name = models.CharField(max_length=255)
    before_segment_id = models.CharField(max_length=255)
    before_link = models.CharField(max_length=2048)
    before_active = models.BooleanField()
    before_identity_key = models.BinaryField(max_length=17)
    before_name_key = models.CharField(max_length=255)
    before_id_key = models.CharField(max_length=255)
    before_change = models.BigIntegerField()

    after_name = models.CharField(max_length=255)
    after_segment_id = models.CharField(max_length=255)
    after_link = models.CharField(max_length=2048)
    after_active = models.BooleanField()
    after_change = models.BigIntegerField()

    KEPT: ClassVar = (
        "source",
        "klaviyo_id",
        "klaviyo_account",
        "klaviyo_kind",
        "klaviyo_state",
        "synced_name",
        "synced_link",
        "missing_since",
        "created_in_id",
        "created_line",
    )
    source = models.CharField(max_length=10, null=True)  # noqa: DJ001  # NULL: an update, nothing kept
    klaviyo_id = models.CharField(max_length=64, null=True)  # noqa: DJ001
    klaviyo_account = models.BigIntegerField(null=True)
    klaviyo_kind = models.CharField(max_length=10, null=True)  # noqa: DJ001
    klaviyo_state = models.CharField(max_length=60, null=True)  # noqa: DJ001
    synced_name = models.CharField(max_length=255, null=True)  # noqa: DJ001
    synced_link = models.CharField(max_length=2048, null=True)  # noqa: DJ001
    missing_since = models.DateTimeField(null=True)
    created_in_id = models.BigIntegerField(null=True)
    created_line = models.PositiveIntegerField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=("change_set", "segment"), name="segments_change_of_set"),  # undo, activity
            models.Index(fields=("segment",), name="segments_change_of_segment"),  # history of one segment
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.before_name}"


class SearchText(models.Model):
    """What the search looks through in place of a segment's wide row; on PostgreSQL. See segments.search.index."""

    segment = models.BigIntegerField(primary_key=True)
    channel = models.ForeignKey(Channel, on_delete=models.DO_NOTHING, db_index=False, db_constraint=False)
    text = FoldedField(max_length=511)

    def __str__(self) -> str:
        return str(self.text)


class SearchBacklog(models.Model):
    """Segments of a channel whose SearchText is out of date: those of a change set, or all there are (NULL).

    The workers bring them up to date in the order of their primary keys; it is done up to `after`.
    """

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE)
    change_set = models.ForeignKey(ChangeSet, null=True, on_delete=models.CASCADE, db_index=False)
    after = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.change_set_id or 'all'} of {self.channel_id} after {self.after}"

    @staticmethod
    def is_kept() -> bool:
        """Whether this database keeps SearchText."""
        return connection.vendor == "postgresql"

    @classmethod
    def note(cls, channel: Channel, change_set: ChangeSet | None) -> None:
        """Have what `change_set` touched in `channel`, or all (None), brought up to date; in the transaction of it."""
        if cls.is_kept():
            cls.objects.create(channel=channel, change_set=change_set)


class UndoJob(Job):
    """An undo of so many segments that no web request waits for it. Smaller ones need no job.

    `form_token` makes sending its form twice one job, and one change; a change set has at most one undo under way.
    """

    pipeline: ClassVar = "segments.undo.undoing"
    idle: ClassVar = "segments.search.index.catch_up"
    lanes_of: ClassVar = ("change_set__channels",)

    change_set = models.ForeignKey(ChangeSet, on_delete=models.PROTECT, related_name="undo_jobs")
    undo = models.ForeignKey(ChangeSet, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    form_token = models.UUIDField(null=True, unique=True, editable=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("change_set",), condition=~models.Q(status__in=ENDED), name="segments_one_undo_under_way"
            ),
        )

    def __str__(self) -> str:
        return f"Undo of {self.change_set_id}"

    def lanes(self) -> list[str]:
        """The channels that it writes: no other job writes them meanwhile."""
        return [f"channel:{counts.channel_id}" for counts in self.change_set.channels.all()]

    @property
    def page(self) -> Page:
        """The page of the change that is to be undone."""
        return Page("segments:change", [str(self.change_set_id)])

    def said(self) -> Said:
        """What was to be undone, and whether it is."""
        what = self.change_set.label or self.change_set.get_kind_display()
        if self.status == Status.DONE and self.undo:
            left = self.undo.left_in_words()
            return Said("arrow-back-up", "g", "Undone: ", what, f"; {left}" if left else "")
        tone = "a" if self.status == Status.DONE else "r"
        return Said("arrow-back-up", tone, "Not undone: ", what, f". {self.message}")


class BulkJob(Job):
    """An action on so many chosen segments that no web request waits for it. Fewer need no job.

    `chosen` is what they were chosen by: primary keys, or the search and filters of the list. `targets` are the
    primary keys of the channels to add them to. `told` is how many segments its sender was told of; None: nobody asked.
    `form_token` makes sending the form twice one job, and one change.
    """

    pipeline: ClassVar = "segments.bulk.acting"

    class Action(models.TextChoices):
        ACTIVATE = "activate", "Activate"
        DEACTIVATE = "deactivate", "Deactivate"
        ADD = "add", "Add to channel"
        DELETE = "delete", "Delete"

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=10, choices=Action)
    targets = models.JSONField(default=list)
    chosen = models.JSONField()
    told = models.PositiveIntegerField(null=True)
    change_set = models.ForeignKey(ChangeSet, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    form_token = models.UUIDField(null=True, unique=True, editable=False)

    def __str__(self) -> str:
        return f"{self.get_action_display()} in {self.channel}"

    def lanes(self) -> list[str]:
        """The channels that it writes: no other job writes them meanwhile."""
        return [f"channel:{pk}" for pk in (self.targets if self.action == self.Action.ADD else [self.channel_id])]

    @property
    def page(self) -> Page:
        """The page that tells how it stands."""
        return Page("segments:bulk_job", [self.channel.slug, str(self.pk)])

    def said(self) -> Said:
        """What was done to how many segments, and where."""
        where = f" in {self.channel}"
        if self.status == Status.DONE and self.change_set:  # whose label names the channels that they were added to
            return Said("list-details", "g", "", self.change_set.label, where if self.action != self.Action.ADD else "")
        tone = "a" if self.status == Status.DONE else "r"
        what = str(self.get_action_display())
        return Said("list-details", tone, "", what, f"{where}: {self.message}")

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status in ENDED
