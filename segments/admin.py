"""Segments and their history in Django admin: the same cleaning, the same one writer, no side door.

Goes in: what an Admin sends. Comes out: change sets, as from the Segments tab. What cannot be written (a name
taken, an import running) is a message, and nothing is changed.
"""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from accessaudience.admin import ReadOnly
from channels.models import Channel
from people.models import Person
from segments import changes, values
from segments.changes.lock import WEB_WAIT, locked
from segments.forms import ValueField
from segments.models import Change, ChangeSet, ChangeSetChannel, Segment
from segments.values import SegmentValues

REFUSED = (changes.IdentityTaken, changes.EditedMeanwhile, changes.ChannelBusy)


def by(request: HttpRequest) -> changes.By:
    """Who is doing this, in Django admin."""
    user = request.user if isinstance(request.user, Person) else None
    return changes.By(user=user, via=ChangeSet.Via.ADMIN)


class SegmentAdminForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A segment, cleaned as at every other door."""

    name = ValueField(values.clean_name, label="Segment name", widget=AdminTextInputWidget)
    segment_id = ValueField(values.clean_segment_id, label="Segment ID", widget=AdminTextInputWidget)
    link = ValueField(values.clean_link, label="Link", widget=AdminTextInputWidget)
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput, help_text="The last change when it was opened.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["seen"].initial = self.instance.last_change_id

    class Meta:
        model = Segment
        fields = ("channel", "name", "segment_id", "link", "active")

    def clean(self) -> dict[str, Any]:
        """Refuse an identity that another segment of the channel has, before anything is written."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        channel = self.instance.channel if self.instance.pk else data.get("channel")
        if isinstance(channel, Channel) and "name" in data and "segment_id" in data:
            label = self.instance.has_label and data["segment_id"] == self.instance.segment_id
            key = values.identity_key(data["name"], data["segment_id"], label=label)
            if channel.segments.filter(identity_key=key).exclude(pk=self.instance.pk or 0).exists():
                raise ValidationError("Another segment of this channel has that segment ID or name.", code="taken")
        return data

    def segment_values(self) -> SegmentValues:
        """What the segment shall be."""
        return SegmentValues(*(self.cleaned_data[field] for field in ("name", "segment_id", "link", "active")))


@admin.register(Segment)
class SegmentAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # as above
    """Segments, written by segments.changes."""

    form = SegmentAdminForm
    list_display = ("name", "segment_id", "channel", "active", "source", "updated_at")
    list_filter = ("channel", "active", "source")
    search_fields = ("name_key", "id_key")
    search_help_text = "Search by segment name or ID"
    ordering = ("channel", "name_key", "id")
    show_full_result_count = False
    list_select_related = ("channel",)

    def get_readonly_fields(self, request: HttpRequest, obj: Segment | None = None) -> tuple[str, ...]:
        """A segment stays in its channel."""
        return ("channel", "source", "created_in", "last_change", "updated_at") if obj else ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Segment], search_term: str
    ) -> tuple[QuerySet[Segment], bool]:
        """Search as the Segments tab does."""
        return queryset.search(search_term), False  # type: ignore[attr-defined]  # a SegmentQuerySet

    def save_model(self, request: HttpRequest, obj: Segment, form: Any, change: bool) -> None:
        """Write through segments.changes, as one change set."""
        if change:
            before = Segment.objects.select_related("channel").get(pk=obj.pk)
            changes.edit(before, form.segment_values(), by(request), expected_change=form.cleaned_data["seen"])
        else:
            obj.pk = changes.add(obj.channel, form.segment_values(), by(request)).pk

    def delete_model(self, request: HttpRequest, obj: Segment) -> None:
        """Delete through segments.changes."""
        changes.delete(obj, by(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Segment]) -> None:
        """Delete all of them through segments.changes, or none: a change set for each channel."""
        channels = list(Channel.objects.filter(pk__in=queryset.order_by().values("channel")))
        with locked(channels, WEB_WAIT):
            for channel in channels:
                changes.delete_all(queryset.filter(channel=channel), channel, by(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Only the segments themselves: their history stays."""
        return [str(each) for each in objs], {"segments": len(objs)}, set(), []

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Say it, where a change was refused."""
        return said(request, lambda: super(SegmentAdmin, self).changeform_view(request, *args, **kwargs))

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Say it, where a change was refused."""
        return said(request, lambda: super(SegmentAdmin, self).delete_view(request, *args, **kwargs))

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Say it, where a change was refused."""
        return said(request, lambda: super(SegmentAdmin, self).changelist_view(request, *args, **kwargs))


def said(request: HttpRequest, view: Callable[[], HttpResponse]) -> HttpResponse:
    """The response of `view`, or the same page again with a message, if segments.changes refused."""
    try:
        return view()
    except REFUSED as refused:
        words = {
            changes.IdentityTaken: "Another segment of this channel has that segment ID or name.",
            changes.EditedMeanwhile: "Somebody changed this segment meanwhile.",
        }
        messages.error(request, f"{words.get(type(refused), str(refused))} Nothing was changed.")
        return HttpResponseRedirect(request.get_full_path())


class CountsInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]  # as above
    """What a change set did in each channel."""

    model = ChangeSetChannel
    extra = 0
    fields = ("channel", "created", "updated", "deleted", "unchanged", "skipped", "errors", "kept")


@admin.register(ChangeSet)
class ChangeSetAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # as above
    """Who changed what, when, and in what numbers."""

    list_display = ("id", "kind", "label", "user_name", "via", "at")
    list_filter = ("kind", "via")
    inlines = (CountsInline,)
    show_full_result_count = False


@admin.register(Change)
class ChangeAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # as above
    """Every segment changed or deleted: before and after."""

    list_display = ("id", "change_set_id", "kind", "segment", "before_name", "after_name")
    fields = (
        "change_set", "channel", "segment", "kind",
        "before_name", "before_segment_id", "before_link", "before_active",
        "after_name", "after_segment_id", "after_link", "after_active",
    )  # fmt: skip
    ordering = ("-id",)
    show_full_result_count = False
