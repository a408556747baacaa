"""manage.py connect_klaviyo [--name NAME] [--json], the private key on standard input."""

import getpass
import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from integrations import accounts
from integrations.forms import key_of
from integrations.klaviyo.client import KlaviyoError
from integrations.models import KlaviyoAccount
from integrations.secrets import Secret
from people.audit import Kind, record


class Command(BaseCommand):
    """Connects an account, or replaces the key of one that is connected."""

    help = (
        "Connect a Klaviyo account by its private key, read from standard input: never an argument, which others on "
        "the machine could see. A key of an account that is connected replaces its key. "
        "Exit status: 0 connected; 1 refused, nothing changed; 2 wrong usage."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take a name."""
        parser.add_argument("--name", default="", help="what the account is called here (default: as in Klaviyo)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Connect, and say what was."""
        if len(options["name"]) > 100:
            raise CommandError("The name is too long: 100 characters are allowed.", returncode=2)
        error: dict[str, str] | None = None
        account = None
        try:
            account = accounts.connect(read_key(), options["name"].strip(), None)
            record(Kind.KEY, None, f"Connected Klaviyo account {account.account_id} by key ••••{account.last_four}")
        except ValidationError as refused:
            error = {"code": "key_invalid", "message": refused.messages[0]}
        except KlaviyoError as refused:
            error = {"code": refused.code, "message": refused.message}
        if options["json"]:
            self.stdout.write(json.dumps(as_json(account) | {"error": error}))
        elif account:
            self.stdout.write(f"“{account}” is connected by the key ••••{account.last_four}.")
        if error:
            raise CommandError("" if options["json"] else error["message"], returncode=1)


def read_key() -> Secret:
    """Return the key from standard input, which a terminal does not show. Raises ValidationError."""
    return key_of(getpass.getpass("Private API key: ") if sys.stdin.isatty() else sys.stdin.readline(1000))


def as_json(account: KlaviyoAccount | None) -> dict[str, Any]:
    """Return what is told of an account: never its key."""
    if account is None:
        return {"account": None}
    return {
        "account": {
            "id": account.account_id,
            "name": account.name,
            "organisation": account.organisation,
            "key": f"••••{account.last_four}",
            "scopes": account.scopes,
        }
    }
