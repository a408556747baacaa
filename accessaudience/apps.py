from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class AccessAudienceConfig(AppConfig):
    """Holds the template tags that every page uses."""

    name = "accessaudience"


class RoleAdminConfig(AdminConfig):
    """Django admin, open to the role Admin."""

    default_site = "accessaudience.admin.RoleAdminSite"
