"""What people send to the Segments tab, turned into what the code wants.

Goes in: GET or POST data. Comes out: SegmentValues, filters, tokens. Values are cleaned by segments.values, as at
every other door. Must not know: requests, responses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django import forms
from django.core.exceptions import ValidationError

from channels.models import Channel
from segments import values
from segments.filters import DETAILS, NARROWING, SOURCES, STATUSES, Filters
from segments.models import Segment
from segments.pages import SIZES, SORTS
from segments.queries import SegmentQuerySet
from segments.values import SegmentValues

ANY = ""


class ValueField(forms.Field):
    """A text cleaned by a function of segments.values; what that refuses is an error with its code."""

    widget = forms.TextInput

    def __init__(self, clean_value: Callable[[str], Any], **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.clean_value = clean_value

    def clean(self, value: Any) -> Any:
        """Return the cleaned text."""
        try:
            return self.clean_value(value or "")
        except values.Refused as refused:
            raise ValidationError(refused.message, code=refused.code) from None


def _text(**attrs: str | bool) -> forms.TextInput:
    return forms.TextInput(attrs={"class": "form-control", "autocomplete": "off", **attrs})


class SegmentForm(forms.Form):
    """Adds a segment to a channel, or edits one.

    `form_token` makes sending the form twice one change; `seen` is the last change of the segment that its editor
    saw; `anyway` is the segment of the same name beside which this one shall stand all the same.
    """

    name = ValueField(values.clean_name, label="Segment name", widget=_text(required=True))
    segment_id = ValueField(
        values.clean_segment_id,
        label="Segment ID",
        help_text="The ID this segment has in your other systems.",
        widget=_text(spellcheck="false"),
    )
    link = ValueField(
        values.clean_link,
        label="Link",
        help_text="Where to find the segment in your email or data platform.",
        widget=_text(inputmode="url", spellcheck="false"),
    )
    active = forms.BooleanField(label="Active status", required=False, initial=True)
    form_token = forms.UUIDField(widget=forms.HiddenInput)
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)
    anyway = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, channel: Channel, segment: Segment | None = None) -> None:
        self.channel = channel
        self.segment = segment
        self.namesake: Segment | None = None
        self.taken: Segment | None = None
        initial: dict[str, Any] = {"form_token": uuid4()}
        if segment:
            initial |= {field: getattr(segment, field) for field in ("name", "segment_id", "link", "active")}
            initial["seen"] = segment.last_change_id
        super().__init__(data, initial=initial)
        if data is None:  # else what is wrong comes first
            self.fields["name"].widget.attrs["autofocus"] = True

    def segment_values(self) -> SegmentValues:
        """What the segment shall be, cleaned."""
        return SegmentValues(*(self.cleaned_data[field] for field in ("name", "segment_id", "link", "active")))

    def meets_namesake(self) -> bool:
        """Whether another segment of the channel has the new name, and the sender has not said to go on all the same.

        Then `namesake` is that segment. To be asked of a valid form.
        """
        name = self.cleaned_data["name"]
        if self.segment and values.fold(self.segment.name) == values.fold(name):
            return False
        same: SegmentQuerySet = self.channel.segments.of_name(name)
        if self.segment:
            same = same.exclude(pk=self.segment.pk)
        found = same.order_by("id").first()
        if not found or found.pk == self.cleaned_data["anyway"] or self._is_the_same(found):
            return False
        self.namesake = found
        return True

    def _is_the_same(self, other: Segment) -> bool:
        """Whether `other` stands in the way as a whole; changes.add and changes.edit refuse that themselves."""
        return not self.cleaned_data["segment_id"] and (other.has_label or not other.segment_id)

    @property
    def wrong_fields(self) -> list[forms.BoundField]:
        """The fields with an error, in their order on the page."""
        return [field for field in self if field.errors]

    def refuse_taken(self, existing: Segment) -> None:
        """Say that `existing` has the segment ID, or the name and no segment ID either."""
        name, channel = existing.name, self.channel.name
        if existing.has_label or not existing.segment_id:
            message = f"“{name}” is already in {channel}. Use another name, or give this one a segment ID."
            self.add_error("name", ValidationError(message, code="name_taken"))
        else:
            message = f"“{name}” in {channel} already uses this ID. Use another ID."
            self.add_error("segment_id", ValidationError(message, code="id_taken"))
        self.taken = existing


class RenameForm(SegmentForm):
    """Changes nothing of a segment but its name."""

    segment: Segment
    OTHERS = ("segment_id", "link", "active")

    def __init__(self, data: Any = None, *, segment: Segment) -> None:
        super().__init__(data, channel=segment.channel, segment=segment)
        self.auto_id = f"rename-{segment.pk}-%s"  # several may be open
        for field in self.OTHERS:
            del self.fields[field]
        self.fields["name"].widget.attrs["autofocus"] = True  # after an error, too: nothing else is wrong

    def clean(self) -> dict[str, Any]:
        """Add what stays as it is."""
        return self.cleaned_data | {field: getattr(self.segment, field) for field in self.OTHERS}


COLUMNS = {
    "name": "Segment name",
    "segment_id": "Segment ID",
    "status": "Active status",
    "source": "Source",
    "updated": "Updated",
}
FIRST = {"updated": "-updated"}  # a click on a column sorts by it from A to Z, but by change the newest first


@dataclass(frozen=True)
class Heading:
    """The head of a column: its label, the sort that a click on it chooses, and how it is sorted by now."""

    label: str
    sort: str
    now: str  # as aria-sort says it; "" if the list is not sorted by this column

    @classmethod
    def of(cls, column: str, sorting: str, label: str = "") -> "Heading":
        """The head of `column` (of COLUMNS, or called `label`) in a list that is sorted by `sorting`."""
        up, down = column, f"-{column}"
        first = FIRST.get(column, up)
        second = up if first == down else down
        now = {up: "ascending", down: "descending"}.get(sorting, "")
        return cls(label or COLUMNS[column], second if sorting == first else first, now)


class FilterForm(forms.Form):
    """The search and filters above the list; what is not understood is left out, never an error."""

    q = forms.CharField(required=False, max_length=values.NAME_MAX)
    status = forms.ChoiceField(required=False, choices=[(ANY, "All statuses"), *STATUSES.items()])
    source = forms.ChoiceField(required=False, choices=[(ANY, "All sources"), *SOURCES.items()])
    only = forms.ChoiceField(required=False, choices=[(ANY, "All details"), *DETAILS.items()])
    sort = forms.ChoiceField(required=False, choices=[(name, name) for name in SORTS])
    rows = forms.TypedChoiceField(required=False, coerce=int, choices=[(size, str(size)) for size in SIZES])
    cursor = forms.CharField(required=False)

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.is_valid()

    def get(self, field: str) -> Any:
        """The cleaned value of `field`, or what it is when not given."""
        return self.cleaned_data.get(field, "")

    @property
    def sorting(self) -> str:
        """The name of the sort, one of SORTS."""
        return self.get("sort") or "name"

    @property
    def narrows(self) -> bool:
        """Whether anything but the order is asked for."""
        return any(self.get(field) for field in NARROWING)

    @property
    def limits(self) -> str:
        """The filters in words, for "You are only looking at ..."; "" if none is set."""
        words = [self.get("status"), self._label("source").removesuffix("s"), "segments", self._label("only").lower()]
        return " ".join(filter(None, words)) if any(self.get(field) for field in NARROWING[1:]) else ""

    def _label(self, field: str) -> str:
        """What the choice of `field` is called; "" if nothing is chosen."""
        choices: Any = self.fields[field]
        return str(dict(choices.choices)[self.get(field)]) if self.get(field) else ""

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What another number of rows per page keeps: the search, the filters and the order."""
        return [(field, self.get(field)) for field in (*NARROWING, "sort") if self.get(field)]

    @property
    def sort_label(self) -> str:
        """The order in words."""
        return SORTS[self.sorting].label

    @property
    def sort_choices(self) -> list[tuple[str, str]]:
        """The orders there are, and what they are called."""
        return [(name, sort.label) for name, sort in SORTS.items()]

    @property
    def headings(self) -> dict[str, "Heading"]:
        """The heads of the columns that can be sorted by."""
        return {column: Heading.of(column, self.sorting) for column in COLUMNS}

    @property
    def chosen(self) -> Filters:
        """What the segments are narrowed by."""
        return Filters(**{field: self.get(field) for field in NARROWING})


class OnceForm(forms.Form):
    """A form of nothing but its one-time token: sent twice, it acts once."""

    form_token = forms.UUIDField(required=False, widget=forms.HiddenInput, initial=uuid4)


class UndoForm(OnceForm):
    """Confirms an undo. `next` is the page to go back to; the view checks that it is one of ours."""

    next = forms.CharField(required=False, widget=forms.HiddenInput)


class HistoryForm(forms.Form):
    """Where a page of a segment's history begins; what is not understood is the beginning."""

    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)

    @property
    def before_change(self) -> int:
        """The change before which the page begins; 0: it begins with the newest."""
        return self.cleaned_data["before"] or 0 if self.is_valid() else 0


class RestoreForm(OnceForm):
    """Gives one field of a segment back what it had before a change; `seen` as in SegmentForm."""

    change = forms.IntegerField(min_value=1, max_value=2**63 - 1)
    field = forms.ChoiceField(choices=[(field, field) for field in SegmentValues._fields])
    seen = forms.IntegerField()
