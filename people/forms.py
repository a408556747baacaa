"""What people send about accounts, turned into what the code wants.

Goes in: POST data. Comes out: people, roles, passwords. Must not know: requests.
"""

from allauth.account.forms import ResetPasswordForm as AllauthResetPasswordForm
from django import forms
from django.conf import settings
from django.contrib.auth.forms import SetPasswordForm
from django.core.exceptions import ValidationError

from accessaudience.roles import MARKETER, ROLES
from people import zones
from people.models import Person


class ResetPasswordForm(AllauthResetPasswordForm):  # type: ignore[misc]  # allauth has no types for it
    """Sends a link to whoever has a password; an invitation has a link of its own, which ends."""

    users: list[Person]

    def clean_email(self) -> str:
        """Leave out who has no password yet."""
        email: str = super().clean_email()
        found: list[Person] = self.users
        self.users = [person for person in found if person.has_usable_password()]
        return email


def _zones() -> list[tuple[str, str | list[tuple[str, str]]]]:
    return [("", f"As for everybody: {settings.TIME_ZONE}"), *zones.choices()]


class TimeZoneForm(forms.Form):
    """Takes a time zone; blank for that of the settings."""

    time_zone = forms.ChoiceField(
        required=False,
        choices=_zones,
        widget=forms.Select(
            attrs={
                "class": "form-select",
                "autocomplete": "off",
                "aria-labelledby": "zone-title",
                "aria-describedby": "id_time_zone_helptext",
            }
        ),
    )


class RoleForm(forms.Form):
    """Takes a role."""

    role = forms.ChoiceField(choices=[(role, role) for role in ROLES], initial=MARKETER)


class InvitationForm(RoleForm):
    """Takes the address of somebody who has no account here yet, and the role to have."""

    email = forms.EmailField(
        max_length=254,
        error_messages=dict.fromkeys(
            ("required", "invalid"), "Enter their email address, for example maya@company.com."
        ),
    )

    def clean_email(self) -> str:
        """Refuse who is here already, and say what to do instead."""
        email: str = self.cleaned_data["email"].lower()
        known = Person.objects.filter(email=email).first()
        if known is None:
            return email
        if known.is_invited:
            raise ValidationError("They are invited already. Send the invitation again below.", code="invited")
        if known.is_active:
            raise ValidationError("They have an account already. Change their role below.", code="active")
        raise ValidationError("Their account is deactivated. Activate it below.", code="deactivated")


class JoinForm(SetPasswordForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Takes the name and the first password of somebody who was invited."""

    first_name = forms.CharField(max_length=150, required=False)
    last_name = forms.CharField(max_length=150, required=False)

    def save(self, commit: bool = True) -> Person:
        """Return the person, who can sign in from now on."""
        person: Person = super().save(commit=False)
        person.first_name, person.last_name = self.cleaned_data["first_name"], self.cleaned_data["last_name"]
        person.invited_at = None
        if commit:
            person.save()
        return person
