"""What people send to the pages of integrations, turned into what the code wants.

Goes in: POST data. Comes out: names, Secrets, settings of a channel. Must not know: requests, HTTP to
Klaviyo. A key is never shown again: its field is drawn empty, whatever was sent.
"""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from integrations.secrets import Secret
from people.models import Person

_KEY = re.compile(r"pk_[A-Za-z0-9_-]{4,200}")


def key_of(text: str) -> Secret:
    """Return the private key in `text`. Raises ValidationError, which does not repeat it."""
    text = text.strip()
    if not _KEY.fullmatch(text):
        raise ValidationError(
            "A private key starts with pk_, then come letters and digits. Copy it again from Klaviyo.",
            code="key_invalid",
        )
    return Secret(text)


class KeyForm(forms.Form):
    """Takes a private key."""

    key = forms.CharField(
        label="Private API key",
        max_length=300,
        error_messages={"required": "Paste the private API key.", "max_length": "This is too long for a key."},
        widget=forms.PasswordInput(
            attrs={"class": "form-control mono", "autocomplete": "off", "spellcheck": "false"}, render_value=False
        ),
        help_text="Starts with pk_. We store it encrypted and only show its last four characters.",
    )

    def clean_key(self) -> Secret:
        """Return the key, hidden from whoever looks by accident."""
        return key_of(self.cleaned_data["key"])


class ConnectForm(KeyForm):
    """Takes a new account in."""

    name = forms.CharField(
        label="Name for this account",
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
        help_text="Helps if you have more than one Klaviyo account. Otherwise we use the name from Klaviyo.",
    )
    field_order = ("name", "key")


class ReplaceKeyForm(KeyForm):
    """Takes another key for an account, from somebody who proves who they are."""

    password = forms.CharField(
        label="Your password",
        strip=False,
        error_messages={"required": "Give your password, so that nobody else replaces the key."},
        widget=forms.PasswordInput(attrs={"class": "form-control", "autocomplete": "current-password"}),
        help_text="Yours for Access Audience, not for Klaviyo.",
    )

    def __init__(self, *args: Any, user: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user

    def clean_password(self) -> bool:
        """Refuse a wrong password."""
        if not self._user.check_password(self.cleaned_data["password"]):
            raise ValidationError("That is not your password.", code="password_wrong")
        return True
