from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin.apps import AdminConfig
from django.core import checks

from accessaudience import reports
from accessaudience.checks import sqlite_is_new_enough


class AccessAudienceConfig(AppConfig):
    """Holds the template tags that every page uses, and the checks at start."""

    name = "accessaudience"

    def ready(self) -> None:
        """Register the checks, and report errors where that is wanted."""
        reports.start(settings.SENTRY_DSN, settings.VERSION)
        checks.register(sqlite_is_new_enough, checks.Tags.compatibility)


class RoleAdminConfig(AdminConfig):
    """Django admin, open to the role Admin."""

    default_site = "accessaudience.admin.RoleAdminSite"
