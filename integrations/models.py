"""Connected Klaviyo accounts, what each channel wants of them, and the syncs.

A sync's pipeline is integrations.sync. Segments name an account by its primary key
(`Segment.klaviyo_account`), so an account's row stays when it is disconnected: connected again, it
knows its segments.
"""

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from channels.models import Channel
from integrations.arrival import ArrivalRule, rules_of
from integrations.klaviyo.client import SCOPES
from integrations.secrets import Secret, decrypt, encrypt
from jobs.models import Job, JobError, Page, Said, Status
from segments.activity.sets import is_undone
from segments.models import ChangeSet

SHOWN_OF_KEY = 4


class KlaviyoAccountQuerySet(models.QuerySet["KlaviyoAccount"]):
    """Accounts."""

    def connected(self) -> "KlaviyoAccountQuerySet":
        """Those that have a key."""
        return self.exclude(encrypted_key="")


def account_in_words(name: str, account_id: str) -> str:
    """An account by the name that Klaviyo gives it, and its ID: two may have the same name. At most 255 characters."""
    return f"“{name[:180]}” ({account_id})"


class KlaviyoAccount(models.Model):
    """A Klaviyo account, and its private key while it is connected: encrypted, and shown to nobody."""

    name = models.CharField(max_length=100, help_text="What it is called here.")
    account_id = models.CharField(max_length=64, unique=True, help_text="As Klaviyo gave it.")
    organisation = models.CharField(max_length=255, help_text="What Klaviyo calls it.")
    encrypted_key = models.TextField(blank=True, editable=False)
    last_four = models.CharField(max_length=SHOWN_OF_KEY, blank=True, editable=False)
    scopes: "models.JSONField[list[str], list[str]]" = models.JSONField(default=list, editable=False)
    connected_at = models.DateTimeField(default=timezone.now, editable=False)
    connected_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, editable=False
    )
    checked_at = models.DateTimeField(null=True, editable=False)
    refused_at = models.DateTimeField(null=True, editable=False, help_text="When Klaviyo last did not accept the key.")

    objects = KlaviyoAccountQuerySet.as_manager()

    class Meta:
        ordering = ("name", "id")

    def __str__(self) -> str:
        return self.name

    @property
    def is_connected(self) -> bool:
        """Whether there is a key."""
        return bool(self.encrypted_key)

    @property
    def missing_scopes(self) -> list[str]:
        """What the key may not read, although a sync needs it."""
        return [scope for scope in SCOPES.values() if scope not in self.scopes]

    def key(self) -> Secret:
        """Return the private key. Raises integrations.secrets.Unreadable."""
        return decrypt(self.encrypted_key)

    def keep_key(self, key: Secret) -> None:
        """Take `key` for this account; the caller saves."""
        self.encrypted_key = encrypt(key)
        self.last_four = key.reveal()[-SHOWN_OF_KEY:]

    def forget_key(self) -> None:
        """Disconnect: nothing of the key stays. The segments do."""
        self.encrypted_key = self.last_four = ""
        self.save(update_fields=["encrypted_key", "last_four"])

    @property
    def in_words(self) -> str:
        """What Klaviyo calls it, with its ID."""
        return account_in_words(self.organisation or self.name, self.account_id)


class ChannelSync(models.Model):
    """What a channel takes from Klaviyo, and how often by itself."""

    class Bring(models.TextChoices):
        BOTH = "both", "Segments and lists"
        SEGMENTS = "segments", "Segments only"
        LISTS = "lists", "Lists only"

    channel = models.OneToOneField(Channel, on_delete=models.CASCADE, related_name="klaviyo")
    account = models.ForeignKey(KlaviyoAccount, null=True, blank=True, on_delete=models.SET_NULL)
    bring = models.CharField(max_length=8, choices=Bring, default=Bring.BOTH, help_text="Of those not here yet.")
    every_hours = models.PositiveSmallIntegerField(default=0, help_text="0: only when somebody asks for it.")
    started_at = models.DateTimeField(null=True, editable=False, help_text="When the schedule last started a sync.")
    rules: "models.JSONField[Any, Any]" = models.JSONField(default=list, help_text="[{operator, text}]")

    def __str__(self) -> str:
        return f"Klaviyo in {self.channel}"

    @property
    def arrival_rules(self) -> list[ArrivalRule]:
        """Which new segments arrive Inactive."""
        return rules_of(self.rules)


OPEN = (Status.WAITING, Status.CHECKING, Status.RUNNING)


class SyncJobQuerySet(models.QuerySet["SyncJob"]):
    """Syncs, with what the pages show of them."""

    def for_list(self) -> "SyncJobQuerySet":
        """Each with its channel, account, user, and the undo of what it did, if that stands."""
        undos = models.Prefetch(
            "change_set__undone_by", ChangeSet.objects.exclude(is_undone()).order_by("-pk"), to_attr="undos"
        )
        return self.select_related("channel", "account", "user", "change_set").prefetch_related(undos)

    def syncs(self) -> "SyncJobQuerySet":
        """Only real ones: those that write, once they are through."""
        return self.filter(goal=Job.Goal.RUN)

    def open(self) -> "SyncJobQuerySet":
        """Those that wait or run."""
        return self.filter(status__in=OPEN)


class SyncJob(Job):
    """One sync of a channel from Klaviyo; with the goal `check`, a preview of one."""

    COUNTS: ClassVar = ("created", "updated", "unchanged", "protected", "errors", "returned", "missing")

    pipeline: ClassVar = "integrations.sync"
    due: ClassVar = "integrations.schedule.start_due"

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="syncs")
    account = models.ForeignKey(KlaviyoAccount, on_delete=models.PROTECT, related_name="syncs")
    via = models.CharField(max_length=10, choices=ChangeSet.Via, default=ChangeSet.Via.WEB)

    fetched = models.PositiveIntegerField(default=0)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    protected = models.PositiveIntegerField(default=0)
    errors = models.PositiveIntegerField(default=0)
    returned = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(default=0)
    known = models.PositiveIntegerField(default=0, help_text="Of this account in the channel, before.")
    adopted = models.PositiveIntegerField(default=0, db_default=0, help_text="Of the updated: Klaviyo's from now on.")
    answered_as = models.CharField(max_length=255, blank=True, help_text="What the account called itself.")

    accept_account = models.BooleanField(default=False, help_text="Somebody said that another account is right.")
    accept_missing = models.BooleanField(default=False, help_text="Somebody said that so many gone is right.")
    retry_at = models.DateTimeField(null=True, blank=True, help_text="When Klaviyo answers again, if it said so.")
    change_set = models.ForeignKey(ChangeSet, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    objects = SyncJobQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            # However often somebody clicks, and wherever: one sync and one preview of a channel at a time.
            models.UniqueConstraint(
                fields=("channel", "goal"), condition=models.Q(status__in=OPEN), name="integrations_one_open_sync"
            ),
        )
        indexes = (models.Index(fields=("channel", "-created_at"), name="integrations_syncs_newest"),)  # its last sync

    def __str__(self) -> str:
        return f"{self.account} into {self.channel}"

    @property
    def page(self) -> Page:
        """Its page: what it did by name, or how it stands."""
        return Page("integrations:sync", [self.channel.slug, str(self.pk)])

    def lanes(self) -> list[str]:
        """The channel that it writes: no other job writes it meanwhile."""
        return [f"channel:{self.channel_id}"]

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.status in OPEN

    @property
    def by(self) -> str:
        """Who asked for it."""
        return str(self.user or self.get_via_display())

    @property
    def can_be_undone(self) -> bool:
        """Whether it changed what an undo brings back: marks of what is gone come and go by themselves."""
        return self.change_set_id is not None and self.created + self.updated > 0 and self.undo is None

    @property
    def renamed(self) -> int:
        """How many follow another name, or link, of Klaviyo's."""
        return self.updated - self.adopted

    @property
    def undo(self) -> ChangeSet | None:
        """What took it back, unless that was undone itself. Needs `for_list()`."""
        undos: list[ChangeSet] = getattr(self.change_set, "undos", [])
        return undos[0] if undos else None

    @property
    def waits_until(self) -> datetime | None:
        """When Klaviyo answers again, while that lies ahead."""
        return self.retry_at if self.retry_at and self.retry_at > timezone.now() else None

    @property
    def result(self) -> str:
        """What came of it, in a few words."""
        if self.status != Status.DONE:
            return str(self.get_status_display())
        errors = "error" if self.errors == 1 else "errors"
        numbers = {"new": self.created, "renamed": self.renamed, "linked": self.adopted, "gone": self.missing}
        numbers[errors] = self.errors
        return ", ".join(f"{number:,} {word}" for word, number in numbers.items() if number) or "no changes"

    def changes_on_failure(self, error: JobError) -> dict[str, Any]:
        """When Klaviyo answers again, beside what every job tells."""
        return {**super().changes_on_failure(error), "retry_at": getattr(error, "retry_at", None)}

    def said(self) -> Said:
        """The channel, and what came of the sync: 12 new, 3 renamed, 1 gone."""
        what = "Preview of the Klaviyo sync of " if self.goal == self.Goal.CHECK else "Klaviyo sync of "
        icon, tone, after = {
            Status.DONE: ("refresh", "g", f": {self.result}"),
            Status.READY: ("refresh", "", " is ready"),
            Status.NEEDS_ANSWER: ("alert-circle", "a", f" stopped and asks: {self.message}"),
        }.get(Status(self.status), ("cloud-off", "r", f" failed: {self.message}"))
        return Said(icon, tone, what, self.channel.name, after)


class SyncError(JobError):
    """A sync that could not be done; `retry_at` is when Klaviyo will answer again, if it said so."""

    def __init__(self, code: str, message: str, retry_at: datetime | None = None) -> None:
        super().__init__(code, message)
        self.retry_at = retry_at


class SyncLine(models.Model):
    """What a sync or a preview did with one list or segment: all but those that it left unchanged."""

    job = models.ForeignKey(SyncJob, on_delete=models.CASCADE, related_name="lines")
    outcome = models.CharField(max_length=10)
    reason = models.CharField(max_length=40, blank=True)
    kind = models.CharField(max_length=10)
    segment = models.BigIntegerField(null=True, help_text="Of one that was here before.")
    name = models.CharField(max_length=255, blank=True)
    segment_id = models.CharField(max_length=255, blank=True)
    was = models.CharField(max_length=255, blank=True, help_text="Its name before.")
    says = models.CharField(max_length=400, blank=True, help_text="What Klaviyo says, or why it is an error.")
    inactive = models.BooleanField(default=False, help_text="It arrives inactive.")

    class Meta:
        ordering = ("id",)
        indexes = (models.Index(fields=("job", "outcome", "id"), name="integrations_lines_of_sync"),)  # its page

    def __str__(self) -> str:
        return f"{self.outcome}: {self.name}"
