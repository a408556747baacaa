"""Secrets that must outlive a restart: from the environment, or made once beside the embedded database.

Goes in: the name of a setting, and the file it may be kept in. Comes out: its value.
Must not know: what a secret is for.
"""

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def kept_secret(name: str, path: Path | None) -> str:
    """Return the environment's `name`, or what `path` keeps, made there (mode 0600) the first time.

    Raises ImproperlyConfigured where there is neither: a server that shares its database must
    share its secrets too, so none is invented for it.
    """
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if path is None:
        raise ImproperlyConfigured(f"{name} is not set. On PostgreSQL set it in the environment: see .env.example.")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text("ascii").strip()
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(50))
    return path.read_text("ascii").strip()
