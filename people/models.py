"""People who sign in, the tokens of their programs, and the record of who got in and what they may do.

An email address is what a person signs in with, and is unique without case.
"""

import hashlib
import secrets
from datetime import timedelta
from typing import Any, ClassVar, NoReturn

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import AbstractUser, Group, UserManager
from django.db import models, transaction
from django.db.models import Case, Count, Exists, F, OuterRef, Subquery, Value, When
from django.db.models.functions import Coalesce, Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accessaudience.roles import ADMIN, ROLES
from accessaudience.writelock import if_free
from jobs.models import Notice


class LastAdmin(Exception):  # noqa: N818  # a state of the workspace, not a fault
    """Without this person nobody could see to people any more."""


class PersonManager(UserManager["Person"]):
    """Makes people by email; `username` is the email, so that Django's own commands work."""

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> "Person":  # type: ignore[override]
        """Return a new, saved person who signs in with `email`."""
        return super().create_user(email.lower(), email.lower(), password, **extra)

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> "Person":  # type: ignore[override]
        """Return a new, saved person who may do everything."""
        return super().create_superuser(email.lower(), email.lower(), password, **extra)

    def admins(self) -> models.QuerySet["Person"]:
        """Return whoever may do everything and can sign in: not who is only invited, and has no password yet."""
        found = self.filter(models.Q(groups__name=ADMIN) | models.Q(is_superuser=True), is_active=True).distinct()
        return found.exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX)

    def for_request(self) -> models.QuerySet["Person"]:
        """Each with the `known_role` that role_of() asks for, and how many notices are `unread`: all in one query."""
        groups = Group.objects.filter(user=OuterRef("pk"))
        roles = [When(Exists(groups.filter(name=role)), then=Value(role)) for role in reversed(ROLES)]
        unread = Notice.objects.unread().filter(user=OuterRef("pk")).order_by().values("user")
        return self.annotate(
            known_role=Case(When(is_superuser=True, then=Value(ADMIN)), *roles, default=Value("")),
            unread=Coalesce(Subquery(unread.annotate(n=Count("pk")).values("n")), 0),
        )

    def keep_an_admin(self, without: "Person") -> None:
        """Raise LastAdmin if `without` is the only admin; until this transaction ends, nobody else asks this.

        Two admins who take each other's role at the same time are told one after the other.
        """
        Group.objects.select_for_update(no_key=True).get(name=ADMIN)
        if not self.admins().exclude(pk=without.pk).exists():
            raise LastAdmin


class Person(AbstractUser):
    """A user: signs in by email, has a name to show and one role (a group of accessaudience.roles)."""

    username = models.CharField(max_length=254, unique=True, editable=False)
    email = models.EmailField("email address", unique=True)
    sign_outs = models.PositiveIntegerField(default=0, editable=False, help_text="How often all sessions were ended.")
    time_zone = models.CharField(max_length=64, blank=True, default="", help_text="Blank: that of the settings.")
    rows_per_page = models.PositiveSmallIntegerField(null=True, blank=True, editable=False, help_text="As last chosen.")
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

    @property
    def role(self) -> str | None:
        """The highest role, of somebody deactivated too (whom roles.role_of gives none)."""
        if self.is_superuser:
            return ROLES[-1]
        names = {group.name for group in self.groups.all()}
        return next((role for role in reversed(ROLES) if role in names), None)

    @property
    def is_invited(self) -> bool:
        """Whether an invitation waits for an answer; a password that an admin sets answers it, too."""
        return self.is_active and self.invited_at is not None and not self.has_usable_password()

    @transaction.atomic
    def give_role(self, role: str) -> None:
        """Let this person do what `role` may, from the next request and job on. Raises LastAdmin."""
        if role != ADMIN:
            type(self).objects.keep_an_admin(without=self)
            self.is_superuser = False
            self.save(update_fields=["is_superuser"])
        self.groups.set([Group.objects.get(name=role)])

    @transaction.atomic
    def deactivate(self) -> None:
        """Sign this person out everywhere, end their tokens, and let them in no more. Raises LastAdmin."""
        type(self).objects.keep_an_admin(without=self)
        self.is_active = False
        self.save(update_fields=["is_active"])
        self.end_all_access()

    def activate(self) -> None:
        """Let this person in again."""
        self.is_active = True
        self.save(update_fields=["is_active"])

    def end_all_access(self) -> None:
        """End every session and every token: whoever made one in this person's name has it no more."""
        self.end_sessions()
        self.api_tokens.all().delete()

    def end_sessions(self) -> None:
        """Sign this person out everywhere, at once: every session carries a hash of what is changed here."""
        type(self).objects.filter(pk=self.pk).update(sign_outs=F("sign_outs") + 1)
        self.refresh_from_db(fields=["sign_outs"])

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Django's own hash, of the password, and of how often all sessions were ended."""
        salt = "people.models.Person.get_session_auth_hash"
        return salted_hmac(salt, f"{self.password}:{self.sign_outs}", secret=secret, algorithm="sha256").hexdigest()


class AccessEventQuerySet(models.QuerySet["AccessEvent"]):
    """Events can be added and read."""

    def update(self, **kwargs: Any) -> NoReturn:
        """Refuse: what happened has happened."""
        raise TypeError("An access event is not changed.")

    def delete(self) -> NoReturn:
        """Refuse: it is kept until ACCESS_LOG_DAYS are over."""
        raise TypeError("An access event is not deleted.")


class AccessEvent(models.Model):
    """Somebody got in or did not, or what somebody may do or took along was changed. Only ever added."""

    class Kind(models.TextChoices):
        SIGN_IN = "sign_in", "Signed in"
        SIGN_OUT = "sign_out", "Signed out"
        FAILED = "failed", "Failed to sign in"
        REFUSED = "refused", "Refused after too many tries"
        PASSWORD = "password", "Changed the password"
        TWO_FACTOR = "two_factor", "Changed two-factor sign-in"
        SESSIONS = "sessions", "Ended sessions"
        INVITED = "invited", "Invited"
        JOINED = "joined", "Accepted an invitation"
        ROLE = "role", "Changed a role"
        ACTIVATED = "activated", "Activated"
        DEACTIVATED = "deactivated", "Deactivated"
        DELETED = "deleted", "Deleted a person"
        KEY = "key", "Changed a key"
        EXPORT = "export", "Exported"

    at = models.DateTimeField(default=timezone.now, db_index=True)
    kind = models.CharField(max_length=12, choices=Kind)
    person = models.ForeignKey(Person, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    person_name = models.CharField(max_length=320, blank=True, help_text="As the person was called then.")
    about = models.CharField(max_length=400, blank=True, help_text="Whom or what it is about.")
    address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)

    objects = AccessEventQuerySet.as_manager()

    class Meta:
        indexes = (models.Index(fields=["kind", "-id"], name="people_access_of_kind"),)  # Activity, Access, one kind

    def __str__(self) -> str:
        return " ".join(filter(None, (self.person_name, self.get_kind_display(), self.about)))

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add this event; refuse to change one."""
        if not self._state.adding:
            raise TypeError("An access event is not changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise TypeError("An access event is not deleted.")


class ApiTokenManager(models.Manager["ApiToken"]):
    """Makes tokens, and knows them again."""

    def make(self, person: Person, name: str) -> tuple["ApiToken", str]:
        """Return a new token of `person` and its text, which is kept nowhere."""
        text = f"{ApiToken.BEGINNING}{secrets.token_urlsafe(32)}"
        shown = text[: len(ApiToken.BEGINNING) + 4]
        return self.create(person=person, name=name, shown=shown, fingerprint=fingerprint(text)), text

    def known(self, text: str) -> "ApiToken | None":
        """Return the token whose text this is, if its person may still sign in; and note that it is used.

        That is left out while SQLite is being written: reading waits for nobody.
        """
        token = self.select_related("person").filter(fingerprint=fingerprint(text), person__is_active=True).first()
        now = timezone.now()
        if token and (token.used_at is None or now - token.used_at > ApiToken.NOTE_EVERY):
            with if_free():
                self.filter(pk=token.pk).update(used_at=now)
        return token


class ApiToken(models.Model):
    """What a program shows to read as a person may: made and revoked by that person, who sees its text once.

    The text is random enough that its digest, which is all that is kept, tells nothing of it.
    """

    BEGINNING: ClassVar = "aa_read_"
    NOTE_EVERY: ClassVar = timedelta(minutes=5)

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60)
    shown = models.CharField(max_length=20, help_text="How it begins.")
    fingerprint = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, help_text="To a few minutes.")

    objects: ClassVar[ApiTokenManager] = ApiTokenManager()

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("person", "name"), name="people_token_name_once_a_person"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.shown}…)"


def fingerprint(text: str) -> str:
    """What is kept of a token: its SHA-256."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
