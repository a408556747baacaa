"""Secrets that must outlive a restart, made once beside the embedded database.

Goes in: the file that keeps a secret, and how to make one. Comes out: the secret, the same to every process.
Must not know: what a secret is for.
"""

import base64
import os
import re
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

KEY_BYTES = 32  # of a key for cryptography's Fernet
DISTINCT = 10  # bytes of a key that differ; of random ones 26 to 32 do
SHORTEST = 50  # characters of SECRET_KEY, as Django's own check has it


def new_secret_key() -> str:
    """Return a new value for SECRET_KEY."""
    return secrets.token_urlsafe(50)


def new_encryption_key() -> str:
    """Return a new key for ENCRYPTION_KEYS."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


def is_encryption_key(text: str) -> bool:
    """Return whether `text` is a key as Fernet wants it, 32 bytes in url-safe base64, and may be random."""
    try:
        key = base64.urlsafe_b64decode(text.encode("ascii"))
    except ValueError:
        return False
    return len(key) == KEY_BYTES and len(set(key)) >= DISTINCT


def are_encryption_keys(text: str) -> bool:
    """Return whether `text` is one or more such keys, with commas between them."""
    return all(is_encryption_key(key.strip()) for key in text.split(","))


def is_hard_to_guess(text: str) -> bool:
    """Return whether `text` may be a random SECRET_KEY: long, not one letter again and again, not an example."""
    return len(text) >= SHORTEST and len(set(text)) >= DISTINCT and not text.startswith("django-insecure-")


def is_token(text: str) -> bool:
    """Return whether `text` may be a random token that a header can carry."""
    return bool(re.fullmatch(r"[\w-]{20,200}", text, re.ASCII)) and len(set(text)) >= DISTINCT


def kept_secret(path: Path, make: Callable[[], str]) -> str:
    """Return what `path` keeps; the first time, keep what `make` returns there (mode 0600).

    Processes that start together agree: a whole file is linked to its name, which only the first can do.
    """
    with suppress(FileNotFoundError):
        return path.read_text("ascii").strip()
    with tempfile.NamedTemporaryFile("w", encoding="ascii", dir=path.parent, prefix=f".{path.name}-") as file:
        file.write(make())  # NamedTemporaryFile gives it mode 0600
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)
    return path.read_text("ascii").strip()
