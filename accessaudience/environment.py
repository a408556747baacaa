"""Settings read from the environment, strictly: a value that cannot be meant stops the start with a sentence.

Goes in: the name of a setting. Comes out: its value in the type the code wants, or ImproperlyConfigured.
Must not know: what a setting is for. django-environ itself takes any unknown word for False.
"""

import re
from collections.abc import Iterable
from email.utils import getaddresses
from typing import Any
from urllib.parse import SplitResult, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

YES = ("true", "1", "yes", "on")
SCHEMES = ("sqlite:///", "postgres://", "postgresql://")
NO = ("false", "0", "no", "off")
DIGITS = 20  # more than any limit has
HOST = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\]")
MAIL_SCHEMES = ("smtp", "smtps", "smtp+tls", "smtp+ssl", "consolemail", "filemail", "memorymail")


class Environment(environ.Env):  # type: ignore[misc]  # it has no types
    """django-environ's reader, refusing what it would guess at."""

    def text(self, name: str, default: str = "") -> str:
        """Return the text, without spaces around it; a blank one counts as not set."""
        return str(self.str(name, default="")).strip() or default

    def choice(self, name: str, choices: Iterable[str], default: str) -> str:
        """Return one of `choices`, in whatever case it was written."""
        value = self.text(name, default)
        for choice in choices:
            if value.casefold() == choice.casefold():
                return choice
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}, not '{value}'.")

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a yes or a no."""
        value = self.text(name, (YES if default else NO)[0]).casefold()
        if value in YES or value in NO:
            return value in YES
        raise ImproperlyConfigured(f"{name} must be true or false, not '{value}'.")

    def number(self, name: str, default: int, least: int = 1, *, most: int) -> int:
        """Return a whole number from `least` to `most`."""
        value = self.text(name, str(default)).replace("_", "")
        whole = value.isascii() and value.isdigit() and len(value) <= DIGITS
        if not (whole and least <= int(value) <= most):
            raise ImproperlyConfigured(f"{name} must be a whole number from {least} to {most}, not '{value}'.")
        return int(value)

    def words(self, name: str, default: Iterable[str] = ()) -> list[str]:
        """Return the parts between commas, without spaces around them."""
        return [word.strip() for word in self.text(name, ",".join(default)).split(",") if word.strip()]

    def hosts(self, name: str, default: Iterable[str]) -> list[str]:
        """Return names of hosts as Django compares them with those of requests: without scheme and port."""
        found = self.words(name, default)
        for word in found:
            if not HOST.fullmatch(word):
                raise ImproperlyConfigured(
                    f"{name} must be names of hosts like audience.example.com, with commas between them, without "
                    f"https:// and port, not '{word}'."
                )
        return found

    def origins(self, name: str) -> list[str]:
        """Return where sites are, each as `origin` does."""
        return [_origin(name, word) for word in self.words(name)]

    def database(self, name: str, default: str) -> dict[str, Any]:
        """Return Django's settings of a database, from an address of SQLite or PostgreSQL."""
        address = self.text(name, default)
        try:
            if address.startswith(SCHEMES):
                return dict(self.db_url_config(address))
        except (ValueError, ImproperlyConfigured):
            pass  # said below
        raise ImproperlyConfigured(
            f"{name} must be like sqlite:////folder/file.sqlite3 or postgres://user:password@host:5432/name: "
            "no other database is supported."
        )

    def redis(self, name: str) -> str:
        """Return the address of a Redis, or nothing; it may hold a password, so it is not repeated."""
        address = self.text(name)
        try:
            parts = urlsplit(address)
            database = parts.path.removeprefix("/")
            whole = parts.hostname and parts.port != 0 and (not database or database.isdigit())
            if not address or (parts.scheme in ("redis", "rediss") and whole) or (parts.scheme == "unix" and database):
                return address
        except ValueError:
            pass  # said below
        raise ImproperlyConfigured(f"{name} must be like redis://host:6379/0.")

    def header(self, name: str) -> str:
        """Return the name of an HTTP header, or nothing."""
        value = self.text(name)
        if value and not (value.isascii() and value.replace("-", "").isalnum()):
            raise ImproperlyConfigured(f"{name} must be the name of a header, like X-Request-ID, not '{value}'.")
        return value

    def dsn(self, name: str) -> str:
        """Return the address of a project of Sentry, or nothing; it holds a key, so it is not repeated."""
        value = self.text(name)
        parts = _parts_of(value)
        if value and not (
            parts and parts.username and re.fullmatch(r"(/[^/]+)*/[0-9]{1,20}", parts.path)  # the project is a number
        ):
            raise ImproperlyConfigured(f"{name} must be like https://key@sentry.example.com/1.")
        return value

    def origin(self, name: str, default: str) -> str:
        """Return where a site is: scheme, host and perhaps port, without a slash at its end."""
        return _origin(name, self.text(name, default))

    def web(self, name: str, default: str) -> str:
        """Return an address that others are put behind, without a slash at its end."""
        value = self.text(name, default).rstrip("/")
        parts = _parts_of(value)
        if not parts or parts.query or parts.fragment or re.search(r"\s", value):
            raise ImproperlyConfigured(f"{name} must be like {default}, not '{value}'.")
        return value

    def sender(self, name: str, default: str) -> str:
        """Return who mails come from: an address, perhaps with a name before it."""
        value = self.text(name, default)
        found = getaddresses([value])
        if len(found) != 1 or not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", found[0][1]) or not value.isprintable():
            raise ImproperlyConfigured(f"{name} must be like {default}, not '{value}'.")
        return value

    def mail(self, name: str, default: str) -> dict[str, Any]:
        """Return Django's settings of mail, from an address; it may hold a password, so it is not repeated."""
        address = self.text(name, default)
        try:
            parts = urlsplit(address)
            whole = not parts.scheme.startswith("smtp") or (parts.hostname and parts.port)
            if parts.scheme in MAIL_SCHEMES and whole:
                return dict(self.email_url_config(address))
        except ValueError:
            pass  # said below
        raise ImproperlyConfigured(f"{name} must be like smtp+tls://user:password@host:587, or consolemail://.")


def _parts_of(address: str) -> SplitResult | None:
    """Return the parts of an address of the web, None if it is none."""
    try:
        parts = urlsplit(address)
        return parts if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 else None
    except ValueError:  # of a port, or of brackets
        return None


def _origin(name: str, text: str) -> str:
    value = text.rstrip("/")
    parts = _parts_of(value)
    if not parts or value != f"{parts.scheme}://{parts.netloc}" or re.search(r"\s", value):
        raise ImproperlyConfigured(f"{name} must be like https://audience.example.com, not '{text}'.")
    return value
