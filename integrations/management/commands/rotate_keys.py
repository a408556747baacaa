"""manage.py rotate_keys: encrypts everything anew, under the first of ENCRYPTION_KEYS."""

from typing import Any

from cryptography.fernet import InvalidToken
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from integrations.models import KlaviyoAccount
from integrations.secrets import Unreadable, rotate
from people import mfa


class Command(BaseCommand):
    """Moves stored keys and secrets of two-factor sign-in to the newest of ENCRYPTION_KEYS, all of them or none."""

    help = (
        "Encrypt the stored keys and the secrets of two-factor sign-in anew, under the first of ENCRYPTION_KEYS. To "
        "rotate: put a new key in front of the old one, restart, run this, then take the old one away and restart."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate."""
        with transaction.atomic():
            accounts = list(KlaviyoAccount.objects.select_for_update().connected())
            for account in accounts:
                try:
                    (account.encrypted_key,) = rotate([account.encrypted_key])
                except Unreadable:
                    raise CommandError(
                        f"The key of “{account}” cannot be read with any of ENCRYPTION_KEYS. Nothing was changed. "
                        "Add the key it was encrypted with, or disconnect that account."
                    ) from None
                account.save(update_fields=["encrypted_key"])
            try:
                secrets = mfa.rotate()
            except InvalidToken:
                raise CommandError(
                    "A secret of two-factor sign-in cannot be read with any of ENCRYPTION_KEYS. Nothing was changed. "
                    "Add the key it was encrypted with, or turn two-factor sign-in off for its person."
                ) from None
        self.stdout.write(f"{len(accounts) + secrets} encrypted anew")
