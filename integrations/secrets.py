"""Keys of other platforms, encrypted at rest under the setting ENCRYPTION_KEYS.

Goes in: a key. Comes out: a token that the database may keep, and back from it a Secret, which shows
itself to nobody who does not ask for it by name. Must not know: whose key it is.

The first of ENCRYPTION_KEYS encrypts, all of them decrypt: to rotate, put a new one in front, run
`manage.py rotate_keys`, then take the old one away.
"""

from collections.abc import Iterable

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Unreadable(Exception):  # noqa: N818  # a state of the token, not a fault
    """None of ENCRYPTION_KEYS opens the token: they were changed, or the database came from elsewhere."""


class Secret:
    """Text that appears in no repr, log line or traceback; `reveal()` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself: only where it is needed."""
        return self._text

    def __repr__(self) -> str:
        return "<Secret>"

    def __reduce__(self) -> str:
        raise TypeError("A secret is not pickled.")


def encrypt(secret: Secret) -> str:
    """Return the token to keep."""
    return _box().encrypt(secret.reveal().encode()).decode("ascii")


def decrypt(token: str) -> Secret:
    """Return what `token` keeps. Raises Unreadable."""
    try:
        return Secret(_box().decrypt(token.encode()).decode())
    except InvalidToken:
        pass
    raise Unreadable


def rotate(tokens: Iterable[str]) -> list[str]:
    """Return the same secrets under the first of ENCRYPTION_KEYS. Raises Unreadable."""
    return [encrypt(decrypt(token)) for token in tokens]


def _box() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.ENCRYPTION_KEYS])
