"""Channels in Django admin: add, rename, order. Not deleted while they hold anything."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from channels.models import Channel


@admin.register(Channel)
class ChannelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """The slug is fixed once made; a channel with segments or a history stays (PROTECT names what holds it)."""

    list_display = ("name", "slug", "icon", "position", "segment_count")
    list_editable = ("position",)
    fields = ("name", "slug", "icon", "position", "segment_count")

    def get_readonly_fields(self, request: HttpRequest, obj: Channel | None = None) -> tuple[str, ...]:
        """Fix the slug of a channel that exists."""
        return ("segment_count", "slug") if obj else ("segment_count",)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Channel | None = None) -> dict[str, Sequence[str]]:
        """Suggest the slug of a new one."""
        return {} if obj else {"slug": ("name",)}

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        """Write what was changed and nothing else: `segment_count` moves on while the page is open."""
        obj.save(update_fields=form.changed_data if change else None)

    def has_delete_permission(self, request: HttpRequest, obj: Channel | None = None) -> bool:
        """Refuse while it holds segments; what else protects it, Django's page names."""
        return super().has_delete_permission(request, obj) and not (obj and obj.segment_count)
