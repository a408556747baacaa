from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class PeopleConfig(AppConfig):
    """People who sign in. What Django and django-allauth tell of that is heard here."""

    name = "people"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to signing in, and to what else is kept in the record of access."""
        from people.audit import listen
        from people.sessions import begin

        listen()
        user_logged_in.connect(begin, dispatch_uid="people.sessions.begin")
