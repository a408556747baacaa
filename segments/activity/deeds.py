"""One change set in words and numbers, for a line of the Activity page or the head of its own.

Goes in: a change set with its counts, and the change of a set that is about one segment. Comes out: a title, a
detail, an icon, and the page of what it is about. Reads nothing; must not know: requests, templates.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.urls import reverse
from django.utils import timezone

from channels.models import Channel
from segments.history import LABELS
from segments.models import Change, ChangeSet, ChangeSetChannel

NOUNS: dict[str, str] = {
    ChangeSet.Kind.ADD: "addition",
    ChangeSet.Kind.EDIT: "edit",
    ChangeSet.Kind.STATUS: "change of status",
    ChangeSet.Kind.DELETE: "deletion",
    ChangeSet.Kind.IMPORT: "import",
    ChangeSet.Kind.SYNC: "sync",
    ChangeSet.Kind.BULK: "bulk action",
    ChangeSet.Kind.UNDO: "undo",
}
ICONS: dict[str, str] = {
    ChangeSet.Kind.ADD: "plus",
    ChangeSet.Kind.EDIT: "pencil",
    ChangeSet.Kind.STATUS: "circle-minus",
    ChangeSet.Kind.DELETE: "trash",
    ChangeSet.Kind.IMPORT: "file-spreadsheet",
    ChangeSet.Kind.SYNC: "refresh",
    ChangeSet.Kind.BULK: "list-details",
    ChangeSet.Kind.UNDO: "arrow-back-up",
}
OF_MANY = (ChangeSet.Kind.IMPORT, ChangeSet.Kind.SYNC, ChangeSet.Kind.BULK)
DONE = ("created", "updated", "deleted", "kept")  # the counts that a line of Activity names
WORDS = {
    "created": "created",
    "updated": "changed",
    "deleted": "deleted",
    "unchanged": "unchanged",
    "skipped": "skipped",
    "errors": "errors",
}
WORDS_OF_UNDO = {"created": "brought back", "updated": "restored", "deleted": "removed", "kept": "kept"}
TITLES: dict[str, str] = {
    ChangeSet.Kind.ADD: "Added “{}”",
    ChangeSet.Kind.EDIT: "Edited “{}”",
    ChangeSet.Kind.STATUS: "Switched “{}”",
    ChangeSet.Kind.DELETE: "Deleted “{}”",
    ChangeSet.Kind.IMPORT: "Imported {}",
    ChangeSet.Kind.SYNC: "Klaviyo sync",
    ChangeSet.Kind.BULK: "{}",
    ChangeSet.Kind.UNDO: "Undid “{}”",
}


def named(change_set: ChangeSet) -> str:
    """Return what a change set is called within a sentence: the deletion of “VIP”, the import of shop.csv."""
    label = change_set.label
    if change_set.kind == ChangeSet.Kind.BULK:
        return f"“{label}”"
    return f"the {NOUNS[change_set.kind]} of {label if change_set.kind in OF_MANY else f'“{label}”'}"


def left_out(errors: int, skipped: int) -> str:
    """Return in words which rows of a file or a sync became no segment."""
    parts = [f"{errors:,} row{'s' if errors > 1 else ''} with errors left out"] if errors else []
    return ", ".join([*parts, f"{skipped:,} skipped"] if skipped else parts)


@dataclass(frozen=True)
class Deed:
    """One change set as the pages tell of it.

    `change_set` comes from activity.for_pages(); `change` is the only one of an edit, switch or delete.
    """

    change_set: Any
    channels: list[ChangeSetChannel]
    change: Change | None = None

    @property
    def icon(self) -> str:
        """Its sign."""
        switched_on = self.change and self.change_set.kind == ChangeSet.Kind.STATUS and self.change.after_active
        return "circle-check" if switched_on else ICONS[self.change_set.kind]

    @property
    def noun(self) -> str:
        """What it is: import, edit."""
        return NOUNS[self.change_set.kind]

    @property
    def title(self) -> str:
        """What it did: Imported segments.csv."""
        kind, label = self.change_set.kind, self.change_set.label
        if kind == ChangeSet.Kind.EDIT and self.change:
            verb = "Renamed" if self._edited == [LABELS["name"]] else "Edited"
            return f"{verb} “{self.change.after_name}”"
        if kind == ChangeSet.Kind.STATUS and self.change:
            return f"{'Activated' if self.change.after_active else 'Deactivated'} “{self.change.after_name}”"
        if kind == ChangeSet.Kind.UNDO and self.change_set.undoes:
            return f"Undid {named(self.change_set.undoes)}"
        return TITLES[kind].format(label)

    @property
    def detail(self) -> str:
        """A second line: which fields an edit changed, what an import left out."""
        if self.change_set.kind == ChangeSet.Kind.EDIT and self.change:
            fields = ", ".join(self._edited)
            return f"was “{self.change.before_name}”" if fields == LABELS["name"] else fields
        return self._left_out if self.change_set.kind in OF_MANY else ""

    @property
    def _edited(self) -> list[str]:
        """The fields that the one change of an edit changed."""
        both = [(name, *(getattr(self.change, f"{when}_{name}") for when in ("before", "after"))) for name in LABELS]
        return [LABELS[name] for name, before, after in both if before != after]

    @property
    def _left_out(self) -> str:
        """Of several channels each by its name: a row is counted once in each."""
        told = [(counts.channel.name, left_out(counts.errors, counts.skipped)) for counts in self.channels]
        if len(told) == 1:
            return told[0][1]
        return " · ".join(f"{name}: {words}" for name, words in told if words)

    @property
    def counts(self) -> Iterator[tuple[int, str]]:
        """What it did in numbers: 1,131 created, 58 changed."""
        return ((self.total(name), word) for name, word in self._words.items() if name in DONE and self.total(name))

    @property
    def _words(self) -> dict[str, str]:
        return WORDS_OF_UNDO if self.change_set.kind == ChangeSet.Kind.UNDO else WORDS

    @property
    def segments(self) -> int:
        """How many segments it created, changed or deleted."""
        return self.total("created") + self.total("updated") + self.total("deleted")

    @property
    def created(self) -> int:
        """How many of them are new; what an undo brings back is not."""
        return 0 if self.change_set.first_pk is None else self.total("created")

    def total(self, name: str) -> int:
        """One of the counts, over all channels."""
        return sum(getattr(counts, name) for counts in self.channels)

    @property
    def columns(self) -> list[str]:
        """The words of all counts of which there are any in some channel."""
        return [word for name, word in self._words.items() if self.total(name)]

    @property
    def by_channel(self) -> list[tuple[Channel, list[tuple[str, int]]]]:
        """Each channel with its numbers, in the order of `columns`."""
        shown = {name: word for name, word in self._words.items() if self.total(name)}
        return [
            (counts.channel, [(word, getattr(counts, name)) for name, word in shown.items()])
            for counts in self.channels
        ]

    @property
    def channel_names(self) -> str:
        """Where, in words: Email, SMS."""
        return ", ".join(counts.channel.name for counts in self.channels)

    @property
    def day(self) -> date:
        """The day on which it was, where the reader is."""
        return timezone.localtime(self.change_set.at).date()

    @property
    def own_url(self) -> str:
        """The page that tells what it did by name."""
        return reverse("segments:change", args=[self.change_set.pk])

    @property
    def url(self) -> str:
        """The page of what it is about: its import, its one segment; else its own."""
        if self.change_set.kind == ChangeSet.Kind.IMPORT:
            return reverse("imports:of_change_set", args=[self.change_set.pk])
        if self.change and self.change.there:  # type: ignore[attr-defined]  # annotated
            return self._segment_url(self.change.segment)
        if self.change_set.kind == ChangeSet.Kind.ADD and self.change_set.first_there:
            return self._segment_url(self.change_set.first_pk)
        return self.own_url

    def _segment_url(self, pk: int) -> str:
        return reverse("segments:detail", args=[self.channels[0].channel.slug, pk])
