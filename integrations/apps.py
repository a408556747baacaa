"""The app's place in Django."""

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    """Platforms that segments come from."""

    name = "integrations"
