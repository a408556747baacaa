"""People who sign in. An email address is what a person signs in with, and is unique without case."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.db.models import F
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac

from accessaudience.roles import ADMIN


class PersonManager(UserManager["Person"]):
    """Makes people by email; `username` is the email, so that Django's own commands work."""

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> "Person":  # type: ignore[override]
        """Return a new, saved person who signs in with `email`."""
        return super().create_user(email.lower(), email.lower(), password, **extra)

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> "Person":  # type: ignore[override]
        """Return a new, saved person who may do everything."""
        return super().create_superuser(email.lower(), email.lower(), password, **extra)

    def admins(self) -> models.QuerySet["Person"]:
        """Return whoever may do everything and can sign in."""
        return self.filter(models.Q(groups__name=ADMIN) | models.Q(is_superuser=True), is_active=True).distinct()


class Person(AbstractUser):
    """A user: signs in by email, has a name to show and one role (a group of accessaudience.roles)."""

    username = models.CharField(max_length=254, unique=True, editable=False)
    email = models.EmailField("email address", unique=True)
    sign_outs = models.PositiveIntegerField(default=0, editable=False, help_text="How often all sessions were ended.")
    invited_at = models.DateTimeField(null=True, blank=True, editable=False)
    invited_by = models.ForeignKey("self", null=True, blank=True, editable=False, on_delete=models.SET_NULL)

    objects: ClassVar[PersonManager] = PersonManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name_plural = "people"
        constraints = (models.UniqueConstraint(Lower("email"), name="people_email_unique_without_case"),)

    def __str__(self) -> str:
        return self.get_full_name() or self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep email and username the same, in lower case."""
        self.email = self.email.lower()
        self.username = self.email
        super().save(*args, **kwargs)

    @property
    def initials(self) -> str:
        """One or two letters for the round badge."""
        words = [w for w in (self.first_name, self.last_name) if w] or [self.email]
        return "".join(w[0] for w in words).upper()

    def end_sessions(self) -> None:
        """Sign this person out everywhere, at once: every session carries a hash of what is changed here."""
        type(self).objects.filter(pk=self.pk).update(sign_outs=F("sign_outs") + 1)
        self.refresh_from_db(fields=["sign_outs"])

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Django's own hash, of the password, and of how often all sessions were ended."""
        salt = "people.models.Person.get_session_auth_hash"
        return salted_hmac(salt, f"{self.password}:{self.sign_outs}", secret=secret, algorithm="sha256").hexdigest()
