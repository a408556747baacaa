"""What people ask of Activity: the search and filters above the list, and which names of a change set.

Goes in: GET data. Comes out: change sets, or where a page begins. What is not understood is left out, never an error.
Must not know: requests.
"""

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import QuerySet
from django.utils import timezone

from segments.activity.names import CHANGED, CREATED
from segments.models import ChangeSet
from segments.values import fold

KEY_MAX = 2**63 - 1  # the largest primary key
NOBODY = "nobody"  # a schedule or the command line
DATES = "dates"
# Days that begin and end within the calendar, whatever the time zone.
A_DAY = (MinValueValidator(date.min + timedelta(days=1)), MaxValueValidator(date.max - timedelta(days=2)))
DAYS = {"today": 0, "week": 7, "month": 30}
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "imports": ("Imports", (ChangeSet.Kind.IMPORT,)),
    "syncs": ("Klaviyo syncs", (ChangeSet.Kind.SYNC,)),
    "additions": ("Additions", (ChangeSet.Kind.ADD,)),
    "edits": ("Edits", (ChangeSet.Kind.EDIT, ChangeSet.Kind.STATUS)),
    "bulk": ("Many at once", (ChangeSet.Kind.BULK,)),
    "deletes": ("Deletes", (ChangeSet.Kind.DELETE,)),
    "undo": ("Undo", (ChangeSet.Kind.UNDO,)),
}


class Asked(forms.Form):
    """A form of a GET request, in which nothing is required and nothing is wrong."""

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.is_valid()

    def get(self, field: str) -> Any:
        """The cleaned value of `field`; nothing if it was not given, or not understood."""
        return self.cleaned_data.get(field)


class NamesForm(Asked):
    """Which of a change set's segments to show, and the segment after which the page begins."""

    show = forms.ChoiceField(required=False, choices=[(CREATED, CREATED), (CHANGED, CHANGED)])
    after = forms.IntegerField(required=False, min_value=1, max_value=KEY_MAX)


class ActivityForm(Asked):
    """Part of a segment's or file's name, who, which kind, which channel, when; and where a page begins."""

    q = forms.CharField(required=False, max_length=255)
    who = forms.RegexField(rf"^([0-9]{{1,18}}|{NOBODY})$", required=False)
    kind = forms.ChoiceField(
        required=False, choices=[("", "All kinds"), *((name, label) for name, (label, _) in KINDS.items())]
    )
    channel = forms.SlugField(required=False)
    when = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Any time"),
            ("today", "Today"),
            ("week", "Last 7 days"),
            ("month", "Last 30 days"),
            (DATES, "Choose dates…"),
        ],
    )
    since = forms.DateField(required=False, validators=A_DAY)
    until = forms.DateField(required=False, validators=A_DAY)
    older = forms.IntegerField(required=False, min_value=1, max_value=KEY_MAX)
    newer = forms.IntegerField(required=False, min_value=1, max_value=KEY_MAX)

    @property
    def narrows(self) -> bool:
        """Whether anything is filtered by."""
        return any(self.get(field) for field in ("q", "who", "kind", "channel", "when"))

    @property
    def by_dates(self) -> bool:
        """Whether the dates themselves are asked for."""
        return bool(self.get("when") == DATES)

    def matching(self) -> QuerySet[ChangeSet]:
        """The change sets that match, in no order."""
        sets = ChangeSet.objects.all()
        if self.get("q"):
            sets = sets.filter(label_key__contains=fold(self.get("q")))
        if self.get("who"):
            sets = sets.filter(user_name="") if self.get("who") == NOBODY else sets.filter(user=self.get("who"))
        if self.get("kind"):
            sets = sets.filter(kind__in=KINDS[self.get("kind")][1])
        if self.get("channel"):
            sets = sets.filter(channels__channel__slug=self.get("channel"))
        return self._in_time(sets)

    def _in_time(self, sets: QuerySet[ChangeSet]) -> QuerySet[ChangeSet]:
        """Those of a range of days, as days are where the reader is."""
        when = self.get("when")
        today = timezone.localdate()
        since = today - timedelta(days=DAYS[when]) if when in DAYS else self.get("since") if self.by_dates else None
        until = self.get("until") if self.by_dates else None
        if since:
            sets = sets.filter(at__gte=timezone.make_aware(datetime.combine(since, time.min)))
        if until:
            sets = sets.filter(at__lt=timezone.make_aware(datetime.combine(until + timedelta(days=1), time.min)))
        return sets
