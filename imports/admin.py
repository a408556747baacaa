"""Imports in Django admin: to look at, never to change. What an import did is changed by undoing it."""

from django.contrib import admin

from accessaudience.admin import ReadOnly
from imports.models import ImportChannel, ImportJob


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
