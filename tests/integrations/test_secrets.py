"""Keys at rest: encrypted, rotated, and shown to nobody who does not ask by name."""

import copy
import pickle
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from integrations.models import KlaviyoAccount
from integrations.secrets import Secret, Unreadable, decrypt, encrypt


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret("pk_canary")
    assert "canary" not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.copy(secret)


def test_what_was_encrypted_comes_back_and_is_not_there_to_be_read() -> None:
    token = encrypt(Secret("pk_canary"))
    assert "canary" not in token
    assert token != encrypt(Secret("pk_canary"))
    assert decrypt(token).reveal() == "pk_canary"


def test_another_key_opens_nothing(settings: Any) -> None:
    token = encrypt(Secret("pk_canary"))
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(Unreadable):
        decrypt(token)


def test_keys_are_rotated_by_adding_one_in_front_and_then_taking_the_old_one_away(
    settings: Any, account: KlaviyoAccount
) -> None:
    new = Fernet.generate_key().decode()
    was = account.key().reveal()
    settings.ENCRYPTION_KEYS = [new, *settings.ENCRYPTION_KEYS]
    call_command("rotate_keys")
    settings.ENCRYPTION_KEYS = [new]
    account.refresh_from_db()
    assert account.key().reveal() == was


def test_rotating_without_the_old_key_changes_nothing_and_says_so(settings: Any, account: KlaviyoAccount) -> None:
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="Fernhill"):
        call_command("rotate_keys")
    token = account.encrypted_key
    account.refresh_from_db()
    assert account.encrypted_key == token
