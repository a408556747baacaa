"""Checks at start that Django does not make itself.

Goes in: what Django runs on. Comes out: an error that says what is too old. Must not know: any app.
"""

import sqlite3
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

OLDEST_SQLITE = (3, 33)  # UPDATE ... FROM, which segments.changes is written with


def sqlite_is_new_enough(**options: Any) -> list[CheckMessage]:
    """Refuse an SQLite that lacks the SQL of the writer."""
    if not settings.EMBEDDED or sqlite3.sqlite_version_info >= OLDEST_SQLITE:
        return []
    return [
        Error(
            f"SQLite {sqlite3.sqlite_version} is too old: 3.33 or newer is needed.",
            hint="Use a newer Python, or PostgreSQL (DATABASE_URL).",
            id="accessaudience.E001",
        )
    ]
