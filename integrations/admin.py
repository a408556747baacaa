"""Klaviyo accounts and syncs in Django admin: to look at. Keys are shown nowhere, and changed under Integrations."""

from django.contrib import admin

from accessaudience.admin import ReadOnly
from integrations.models import ChannelSync, KlaviyoAccount, SyncJob


@admin.register(KlaviyoAccount)
class KlaviyoAccountAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """Accounts, connected or not."""

    list_display = ("name", "account_id", "organisation", "last_four", "connected_at", "connected_by", "refused_at")
    list_select_related = ("connected_by",)
    search_fields = ("name", "account_id", "organisation")
    exclude = ("encrypted_key",)


@admin.register(ChannelSync)
class ChannelSyncAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # as above
    """What each channel takes from Klaviyo, and how often."""

    list_display = ("channel", "account", "bring", "every_hours", "started_at")
    list_select_related = ("channel", "account")


@admin.register(SyncJob)
class SyncJobAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # as above
    """Syncs and previews, newest first."""

    list_display = ("channel", "account", "goal", "status", "user", "via", "created_at", "code")
    list_filter = ("status", "goal", "channel")
    list_select_related = ("channel", "account", "user")
    ordering = ("-created_at",)
    exclude = ("lease_token",)
