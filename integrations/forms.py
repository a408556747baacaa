"""What people send to the pages of integrations, turned into what the code wants.

Goes in: POST data. Comes out: names, Secrets, settings of a channel. Must not know: requests, HTTP to
Klaviyo. A key is never shown again: its field is drawn empty, whatever was sent.
"""

import re
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone

from integrations.arrival import MAX_RULES, OPERATORS, ArrivalRule
from integrations.models import ChannelSync, KlaviyoAccount
from integrations.secrets import Secret
from people.models import Person
from segments.values import NAME_MAX

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


HOURS = (1, 2, 3, 6, 12, 24)


class ChannelSyncForm(forms.Form):
    """Takes what a channel brings in from Klaviyo, and when. Rules come as pairs of `operator` and `text`."""

    account = forms.ModelChoiceField(
        KlaviyoAccount.objects.connected(),
        required=False,
        empty_label="The only one that is connected",
        label="Klaviyo account",
        widget=forms.Select(attrs={"class": "form-select"}),
        help_text="Changing the account stops the next sync and asks first.",
    )
    bring = forms.ChoiceField(
        choices=ChannelSync.Bring.choices,
        required=False,
        label="What to bring",
        widget=forms.Select(attrs={"class": "form-select"}),
        help_text="What is here already follows Klaviyo in any case.",
    )
    automatic = forms.BooleanField(required=False)
    every_hours = forms.TypedChoiceField(
        choices=[(hours, f"{hours} hour{'' if hours == 1 else 's'}") for hours in HOURS],
        coerce=int,
        initial=6,
        label="Hours between syncs",
        widget=forms.Select(attrs={"class": "form-select w-auto"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if len(KlaviyoAccount.objects.connected()[:2]) != 1:
            cast("forms.ModelChoiceField[KlaviyoAccount]", self.fields["account"]).empty_label = "Choose an account"

    def clean(self) -> dict[str, Any]:
        """Read the rules; rows without text are left out."""
        cleaned: dict[str, Any] = super().clean() or {}
        cleaned["rules"] = self.rules()
        if len(cleaned["rules"]) > MAX_RULES:
            raise ValidationError(f"Use at most {MAX_RULES} rules.", code="too_many_rules")
        if cleaned.get("automatic") and not cleaned.get("account") and "account" not in self.errors:
            accounts = KlaviyoAccount.objects.connected()[:2]
            if len(accounts) == 1:
                cleaned["account"] = accounts[0]
            else:
                self.add_error("account", "Choose the account that the schedule uses.")
        return cleaned

    def rules(self) -> list[ArrivalRule]:
        """Return the rules as they were sent, good or not."""
        data = cast(QueryDict, self.data)
        pairs = zip(data.getlist("operator"), data.getlist("text"), strict=False)
        return [
            ArrivalRule(operator, text.strip()[:NAME_MAX])
            for operator, text in pairs
            if operator in OPERATORS and text.strip() and "\0" not in text
        ]

    @property
    def further(self) -> int | None:
        """The number of an empty row to write a further rule into; None while there is one, or no more may be."""
        texts = cast(QueryDict, self.data).getlist("text")
        return len(texts) + 1 if all(map(str.strip, texts)) and len(texts) < MAX_RULES else None

    def save(self, setting: ChannelSync) -> None:
        """Keep what was sent."""
        data = self.cleaned_data
        every_hours = data["every_hours"] if data["automatic"] else 0
        if every_hours and not setting.every_hours:
            setting.started_at = timezone.now()  # the first comes after one interval, not at once
        setting.account, setting.every_hours = data["account"], every_hours
        setting.bring = data["bring"] or ChannelSync.Bring.BOTH
        setting.rules = [rule._asdict() for rule in data["rules"]]
        setting.save()
