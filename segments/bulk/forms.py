"""What the bar above the list sends: which segments, and what to do with them all.

Goes in: POST data. Comes out: an action, what the segments were chosen by, and whether its sender has seen what it
will do. Must not know: requests, responses.
"""

from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from channels.models import Channel
from segments.bulk.acting import segments_of
from segments.filters import NARROWING
from segments.forms import FilterForm
from segments.models import BulkJob
from segments.pages import SIZES
from segments.queries import SegmentQuerySet


class KeysField(forms.Field):
    """The primary keys of the rows that were ticked, at most those of a page."""

    widget = forms.MultipleHiddenInput
    default_error_messages = {"invalid": "Select the segments in the list again.", "many": "Select one page at most."}

    def clean(self, value: Any) -> list[int]:
        """Return them as numbers."""
        keys = value or []
        if len(keys) > max(SIZES):
            raise ValidationError(self.error_messages["many"], code="many")
        if not all(key.isdecimal() and len(key) < 19 for key in keys):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return [int(key) for key in keys]


class ChosenForm(forms.Form):
    """The rows that were ticked, or `all` that match the search and filters."""

    ids = KeysField(required=False)
    all = forms.BooleanField(required=False)

    def __init__(self, data: QueryDict, *, channel: Channel) -> None:
        super().__init__(data)
        self.sent = data
        self.channel = channel
        self.filters = FilterForm(data)

    @property
    def chosen(self) -> dict[str, Any]:
        """What the segments were chosen by, as a job keeps it; where nothing was ticked, the search and filters."""
        keys = self.cleaned_data.get("ids")
        if keys and not self.cleaned_data.get("all"):
            return {"ids": keys}
        return self.filters.chosen.kept()

    @property
    def segments(self) -> SegmentQuerySet:
        """The segments that were chosen."""
        return segments_of(self.channel, self.chosen)


class ChannelsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # not subscriptable at run time
    """Takes channels; a number that no database knows is that of none."""

    def clean(self, value: Any) -> Any:
        """Return the channels, or refuse."""
        try:
            return super().clean(value)
        except OverflowError:  # SQLite's
            raise ValidationError(self.error_messages["invalid_choice"], code="invalid_choice") from None


class BulkForm(ChosenForm):
    """An action on the segments that were chosen.

    `sure` says that its sender has seen what it will do, to `told` segments; then `form_token` makes sending it twice
    one change.
    """

    do = forms.ChoiceField(choices=BulkJob.Action.choices, error_messages={"required": "Choose what to do with them."})
    channels = ChannelsField(
        Channel.objects.none(), required=False, error_messages={"invalid_choice": "Choose a channel of the list."}
    )
    sure = forms.BooleanField(required=False)
    told = forms.IntegerField(required=False, min_value=0, max_value=2**31 - 1)
    form_token = forms.UUIDField(required=False)
    next = forms.CharField(required=False)

    def __init__(self, data: QueryDict, *, channel: Channel) -> None:
        super().__init__(data, channel=channel)
        self.others = Channel.objects.exclude(pk=channel.pk)
        targets: Any = self.fields["channels"]
        targets.queryset = self.others

    def clean(self) -> dict[str, Any]:
        """Refuse an action on nothing, or on what a filter that is not understood would choose: all."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not cleaned.get("all") and not cleaned.get("ids") and "ids" not in self.errors:
            raise ValidationError("Select at least one segment first.", code="nothing")
        if cleaned.get("all") and any(field in self.filters.errors for field in NARROWING):
            raise ValidationError("Search again, then select them all.", code="filter")
        if cleaned.get("sure") and cleaned.get("do") == BulkJob.Action.ADD and not cleaned.get("channels"):
            self.add_error("channels", ValidationError("Choose at least one channel.", code="required"))
        return cleaned

    @property
    def action(self) -> str:
        """One of BulkJob.Action, of a form whose `do` is one."""
        return str(self.cleaned_data.get("do", ""))

    @property
    def token(self) -> UUID:
        """The one-time token that the question is sent back with."""
        return self.cleaned_data.get("form_token") or uuid4()

    @property
    def asks(self) -> bool:
        """Whether its sender must see first what it would do. Rows that were ticked are switched at once."""
        switches = self.action in (BulkJob.Action.ACTIVATE, BulkJob.Action.DEACTIVATE)
        return not self.cleaned_data["sure"] and (self.cleaned_data["all"] or not switches)

    @property
    def ticked_channels(self) -> list[str]:
        """The channels that were ticked so far, as they were sent."""
        return self.sent.getlist("channels")

    @property
    def error(self) -> str:
        """The first thing that is wrong, in words."""
        return next((str(message) for messages in self.errors.values() for message in messages), "")
