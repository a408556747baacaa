"""An upload and what became of it. The pipeline itself is imports.importer."""

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import RowNumber

from channels.models import Channel
from imports.fields import SEGMENT_FIELDS
from jobs.models import Job, JobError, Page, Said, Status
from segments.activity.sets import AskedOfEach, is_undone
from segments.models import ChangeSet


class UploadTry(models.Model):
    """That somebody uploaded, when: kept for an hour, for imports.quota."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "upload tries"
        indexes = (models.Index(fields=("user", "at"), name="imports_upload_tries"),)  # the count of the last hour

    def __str__(self) -> str:
        return f"{self.user}, {self.at:%H:%M}"


class ImportJobQuerySet(models.QuerySet["ImportJob"]):
    """Imports, with what the pages show of them."""

    def for_list(self) -> "ImportJobQuerySet":
        """Each with its user, its counts per channel, and whether it is `undone`, in two queries for any number."""
        targets = models.Prefetch("targets", ImportChannel.objects.select_related("channel"))
        return (
            self.select_related("user", "change_set")
            .prefetch_related(targets)
            .annotate(undone=self._undo(), has_errors_of_one_channel=models.Exists(ImportRowError.of_one_channel("pk")))
        )

    def undone(self) -> "ImportJobQuerySet":
        """Those that have been taken back."""
        return self.filter(self._undo())

    def _undo(self) -> models.Exists:
        """A change set that is undone, as Activity tells it."""
        return AskedOfEach(ChangeSet.objects.filter(is_undone(), pk=models.OuterRef("change_set")))

    def to_look_at(self, since: datetime) -> "ImportJobQuerySet":
        """Those that failed or left rows out lately and were neither dismissed nor undone.

        They come by turns, one that failed and one that left rows out, of each kind the newest first: neither hides the
        other. Each with its `errors`, and in how many channels together (`counted_in`, 1 where the same rows had them
        in all).
        """
        targets = ImportChannel.objects.filter(job=models.OuterRef("pk")).order_by().values("job")
        left_out = models.Exists(targets.filter(errors__gt=0))
        ended = models.Q(status=Status.FAILED) | models.Q(left_out, status=Status.DONE)
        of_all = models.Q(least=models.F("most")) & ~models.Exists(ImportRowError.of_one_channel("job"))
        counted = targets.annotate(
            least=models.Min("errors"), most=models.Max("errors"), all=models.Sum("errors"), channels=models.Count("pk")
        )
        errors = models.Case(models.When(of_all, then=models.F("most")), default=models.F("all"))
        counted_in = models.Case(models.When(of_all, then=1), default=models.F("channels"))
        return (
            self.filter(ended, ~self._undo(), finished_at__gte=since, dismissed_at=None)
            .annotate(
                place=models.Window(RowNumber(), partition_by="status", order_by="-created_at"),
                errors=models.Subquery(counted.values(n=errors)),
                counted_in=models.Subquery(counted.values(n=counted_in)),
            )
            .order_by("place")
        )

    def with_errors(self) -> "ImportJobQuerySet":
        """Those that left out rows with errors."""
        return self.filter(models.Exists(ImportChannel.objects.filter(job=models.OuterRef("pk"), errors__gt=0)))


class ImportJob(Job):
    """One uploaded file on its way into one or several channels.

    `file` is its name in storage, made by us; `file_name` is what the user called it: text to
    show, never a path. `mapping` is `{field: {"column": 1-based} | {"value": text} | {}}`.
    """

    pipeline: ClassVar = "imports.importer"
    upkeep: ClassVar = "imports.retention.remove_old_files"
    lanes_of: ClassVar = ("channels",)

    class OnDuplicate(models.TextChoices):
        UPDATE = "update", "Update existing"
        SKIP = "skip", "Skip existing"

    object_type = models.CharField(max_length=20, default="segments", choices=[("segments", "Segments")])
    channels: "models.ManyToManyField[Channel, ImportChannel]" = models.ManyToManyField(
        Channel, through="ImportChannel", related_name="imports"
    )
    file = models.CharField(max_length=120, blank=True, editable=False)
    files = models.CharField(
        max_length=40, blank=True, editable=False, help_text="How the names of its plan and error files begin."
    )
    file_name = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, editable=False)

    chosen_encoding = models.CharField(max_length=20, blank=True, help_text="Blank: as found.")
    chosen_delimiter = models.CharField(max_length=1, blank=True, help_text="Blank: as found.")
    encoding = models.CharField(max_length=20, blank=True)
    delimiter = models.CharField(max_length=1, blank=True)
    header: "models.JSONField[list[str], list[str]]" = models.JSONField(default=list)
    suggested_mapping: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    mapping: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    on_duplicate = models.CharField(max_length=6, choices=OnDuplicate, default=OnDuplicate.UPDATE)
    people_confirmed = models.BooleanField(default=False, help_text="Somebody said that these are not people.")

    rows = models.PositiveIntegerField(default=0, help_text="Rows of the file; the counts are per channel.")
    blank = models.PositiveIntegerField(default=0)
    warnings: "models.JSONField[Any, Any]" = models.JSONField(default=list, help_text="[{code, message}]")
    error_line = models.PositiveIntegerField(null=True, blank=True)
    dismissed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When somebody had seen enough of it on the overview."
    )
    change_set = models.ForeignKey(ChangeSet, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    objects = ImportJobQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        indexes = (models.Index(fields=("status", "finished_at"), name="imports_ended"),)  # /metrics: the last hour

    def __str__(self) -> str:
        return self.file_name

    @property
    def page(self) -> Page:
        """The page that tells how it stands; it leads on to matching columns while that is to be done."""
        return Page("imports:detail", [str(self.pk)])

    def lanes(self) -> list[str]:
        """The channels that it writes: no other job writes them meanwhile."""
        return [f"channel:{channel.pk}" for channel in self.channels.all()]

    @property
    def is_matching(self) -> bool:
        """Whether its columns are still being matched: nothing has been started that would write."""
        before = (Status.UPLOADED, Status.READY)
        checks = (Status.WAITING, Status.CHECKING, Status.FAILED)
        return bool(self.file) and (self.status in before or (self.status in checks and self.goal == self.Goal.CHECK))

    @property
    def channel_names(self) -> str:
        """The target channels, in words: Email, SMS."""
        return ", ".join(target.channel.name for target in self.targets.all())

    @property
    def by(self) -> str:
        """Who uploaded it, or has gone on with it since."""
        return str(self.user or ChangeSet.Via(self.via).label)

    @property
    def totals(self) -> dict[str, int]:
        """The counts of all its channels together."""
        targets = self.targets.all()
        return {count: sum(getattr(target, count) for target in targets) for count in ImportChannel.COUNTS}

    @property
    def guessed_encoding(self) -> bool:
        """Whether the check had to guess the encoding."""
        return any(warning["code"] == "encoding_guessed" for warning in self.warnings)

    @property
    def filled(self) -> int:
        """How many rows of the file are not blank."""
        return self.rows - self.blank

    @property
    def ended_alike(self) -> bool:
        """Whether as many rows were imported, skipped and left out in each of its channels."""
        return len({(each.rows_of("ready"), each.skipped, each.errors) for each in self.targets.all()}) == 1

    @property
    def errors_alike(self) -> bool:
        """Whether the same rows had errors in each of its channels."""
        counts = {each.errors for each in self.targets.all()}
        return len(counts) == 1 and (counts == {0} or len(self.targets.all()) == 1 or not self.errors_of_one_channel)

    @property
    def errors_of_one_channel(self) -> bool:
        """Whether a row had an error in one of its channels alone. `for_list()` knows it."""
        known = getattr(self, "has_errors_of_one_channel", None)
        return self.row_errors.filter(channel__isnull=False).exists() if known is None else bool(known)

    def rows_of(self, kind: str) -> int:
        """How many rows are of a `kind`, as ImportChannel has it: in each of its channels, or in all together.

        The latter where they did not end alike in all of these.
        """
        counts = [target.rows_of(kind) for target in self.targets.all()]
        return counts[0] if self.ended_alike else sum(counts)

    @property
    def imported(self) -> int:
        """How many rows ended as a segment."""
        return self.rows_of("ready")

    @property
    def planned(self) -> int:
        """How many rows there were to import."""
        return self.rows_of("all")

    @property
    def skipped(self) -> int:
        """How many rows were skipped."""
        return self.rows_of("skipped")

    @property
    def left_out(self) -> int:
        """How many rows had errors: of the file, or in all channels together where not the same had them in all."""
        counts = [target.errors for target in self.targets.all()]
        return counts[0] if self.errors_alike else sum(counts)

    @property
    def in_channels(self) -> str:
        """In words in how many channels it has imported and planned so many; "" if there is one."""
        return self._in_channels(alike=self.ended_alike, each=" in each of {} channels")

    @property
    def left_out_in_channels(self) -> str:
        """In words in how many channels it has left out so many, where these are not the same rows."""
        return self._in_channels(alike=self.errors_alike, each="")

    def _in_channels(self, *, alike: bool, each: str) -> str:
        number = len(self.targets.all())
        return "" if number < 2 else (each if alike else " in {} channels together").format(number)

    @property
    def can_be_undone(self) -> bool:
        """Whether it changed anything that has not been taken back. Needs `for_list()`."""
        changed = self.totals["created"] or self.totals["updated"]
        return bool(
            self.status == Status.DONE and self.change_set_id and changed and not getattr(self, "undone", False)
        )

    @property
    def has_error_file(self) -> bool:
        """Whether its rows with errors can be downloaded: they are kept as long as the file itself."""
        return bool(self.file and self.totals["errors"])

    @property
    def changed_nothing(self) -> bool:
        """Whether all that could be imported was there already."""
        return bool(self.totals["unchanged"] and not self.totals["created"] and not self.totals["updated"])

    @property
    def leaves_rows_out(self) -> bool:
        """Whether rows are skipped, or have errors."""
        return bool(self.totals["skipped"] or self.totals["errors"])

    @property
    def changes_in_words(self) -> str:
        """What it changed: 1,131 created, 58 updated."""
        if self.status != Status.DONE:
            return ""
        done = [f"{self.totals[count]:,} {count}" for count in ("created", "updated") if self.totals[count]]
        return ", ".join(done) or "No changes"

    def changes_on_failure(self, error: JobError) -> dict[str, Any]:
        """The line of the file, beside what every job tells."""
        return {**super().changes_on_failure(error), "error_line": error.line}

    def said(self) -> Said:
        """The file, and what became of it: 1,189 segments, 6 rows with errors."""
        match self.status:
            case Status.DONE:
                number, left_out = self.imported, self.left_out
                words = f" is imported: {number:,} segment{'' if number == 1 else 's'}{self.in_channels}"
                errors = f", {left_out:,} row{'' if left_out == 1 else 's'} with errors{self.left_out_in_channels}"
                tone, after = ("a", words + errors) if left_out else ("g", words)
            case Status.READY:
                tone, after = "", " is checked and ready to import"
            case _:
                tone, after = "r", f" was not {'read' if self.goal == self.Goal.CHECK else 'imported'}: {self.message}"
        return Said("file-import", tone, "", self.file_name, after)


class ImportChannel(models.Model):
    """The counts of one import in one channel: of the check, then of the import itself."""

    COUNTS: ClassVar = ("created", "updated", "unchanged", "skipped", "errors")

    job = models.ForeignKey(ImportJob, on_delete=models.CASCADE, related_name="targets")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    errors = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("channel_id",)
        constraints = (models.UniqueConstraint(fields=("job", "channel"), name="imports_channel_once_a_job"),)

    def __str__(self) -> str:
        return f"{self.job_id} into {self.channel_id}"

    def rows_of(self, kind: str) -> int:
        """How many rows of the file are of a `kind`: one of COUNTS, "all", "ready" or "matches"."""
        kinds = {
            "all": self.COUNTS,
            "ready": ("created", "updated", "unchanged"),
            "matches": ("updated", "unchanged"),
        }
        return sum(getattr(self, count) for count in kinds.get(kind, (kind,)))

    @property
    def matches(self) -> int:
        """How many rows are segments that the channel has already."""
        return self.rows_of("matches")


class ImportRowError(models.Model):
    """A row that was left out and why: the first 10,000 of an import; all are in its error file."""

    job = models.ForeignKey(ImportJob, on_delete=models.CASCADE, related_name="row_errors")
    channel = models.ForeignKey(Channel, null=True, on_delete=models.PROTECT, help_text="NULL: in every channel.")
    line = models.PositiveIntegerField()
    field = models.CharField(max_length=20, blank=True)
    column = models.PositiveSmallIntegerField(null=True)
    header = models.CharField(max_length=200, blank=True)
    name = models.CharField(max_length=200, blank=True, help_text="The row's segment name, to find it by.")
    value = models.CharField(max_length=200, blank=True)
    code = models.CharField(max_length=40)
    message = models.CharField(max_length=300)

    class Meta:
        ordering = ("line", "id")
        indexes = (
            models.Index(fields=("job", "line", "id"), name="imports_errors_in_order"),  # the job's page
            # Whether a job has any: the list of imports.
            models.Index(
                fields=("job",), condition=models.Q(channel__isnull=False), name="imports_errors_of_one_channel"
            ),
        )

    def __str__(self) -> str:
        return f"line {self.line}: {self.code}"

    @classmethod
    def of_one_channel(cls, job: str) -> "models.QuerySet[ImportRowError]":
        """Those of the outer query's `job` that are not in each of its channels."""
        return cls._default_manager.filter(job=models.OuterRef(job), channel__isnull=False)

    @property
    def label(self) -> str:
        """The field in words; of an error of the row itself there is none."""
        return next((field.label for field in SEGMENT_FIELDS if field.name == self.field), "")
