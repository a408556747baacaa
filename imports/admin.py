"""Imports in Django admin: to look at, never to change. What an import did is changed by undoing it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from imports.models import ImportChannel, ImportJob


class ReadOnly:
    """Of an admin class: everything may be seen, nothing added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds one here: see Data, Upload."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes one: it says where segments came from."""
        return False


class ImportChannelInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]  # not subscriptable at run time
    """The counts of an import in each channel."""

    model = ImportChannel
    extra = 0


@admin.register(ImportJob)
class ImportJobAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # as above
    """Imports, newest first."""

    list_display = ("file_name", "status", "user", "created_at", "rows", "code")
    list_filter = ("status", "created_at")
    list_select_related = ("user",)
    search_fields = ("file_name", "id")
    inlines = (ImportChannelInline,)
    exclude = ("lease_token",)
