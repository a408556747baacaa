"""manage.py rotate_two_factor: encrypts the secrets of two-factor sign-in anew, under the first of ENCRYPTION_KEYS."""

from typing import Any

from cryptography.fernet import InvalidToken
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from people.mfa import rotate


class Command(BaseCommand):
    """Moves all secrets to the newest key, or none. `rotate_keys` does the same for the keys of integrations."""

    help = (
        "Encrypt the secrets of two-factor sign-in anew, under the first of ENCRYPTION_KEYS, as rotate_keys does keys."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate."""
        try:
            with transaction.atomic():
                count = rotate()
        except InvalidToken:
            raise CommandError(
                "A secret of two-factor sign-in cannot be read with any of ENCRYPTION_KEYS. Nothing was changed. "
                "Add the key it was encrypted with, or turn two-factor sign-in off for its person."
            ) from None
        self.stdout.write(f"{count} encrypted anew")
