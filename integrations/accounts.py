"""Connecting accounts: what a key opens, and keeping it.

Goes in: a key. Comes out: what Klaviyo says of it, and an account that has it. Must not know: requests,
pages, command lines.
"""

from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from integrations.klaviyo.client import Connection, Klaviyo, KlaviyoError
from integrations.models import KlaviyoAccount
from integrations.secrets import Secret

if TYPE_CHECKING:
    from people.models import Person

TEST_PATIENCE = 20.0  # seconds that a person waits for "Test connection"


class OtherAccount(Exception):  # noqa: N818  # a state of affairs, not a fault
    """The key is good, but opens another account than the one that it should replace the key of."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def open_account(key: Secret, patience: float | None = None) -> Klaviyo:
    """Return Klaviyo as seen through `key`, at the address that the settings name."""
    return Klaviyo(
        key.reveal(),
        settings.KLAVIYO_API_BASE_URL,
        timeout=settings.KLAVIYO_TIMEOUT,
        patience=settings.KLAVIYO_PATIENCE if patience is None else patience,
    )


def look(key: Secret) -> Connection:
    """Return what `key` opens. Raises KlaviyoError."""
    return open_account(key, patience=min(TEST_PATIENCE, settings.KLAVIYO_PATIENCE)).connection()


def connect(key: Secret, name: str, user: "Person | None", replacing: KlaviyoAccount | None = None) -> KlaviyoAccount:
    """Return the account that `key` opens, connected by it; an account that was here before keeps its row.

    Raises KlaviyoError if the key is refused or may not read all that a sync needs, OtherAccount if it
    does not open the account that is `replacing` its key.
    """
    connection = look(key)
    if connection.missing:
        raise lacking(connection)
    found = connection.account
    if found is None:
        raise lacking(connection)
    if replacing and replacing.account_id != found.id:
        raise OtherAccount(found.name)
    account = KlaviyoAccount.objects.filter(account_id=found.id).first() or KlaviyoAccount(account_id=found.id)
    account.organisation = found.name[:255]
    account.name = name or account.name or found.name[:100]
    account.scopes = sorted(connection.scopes)
    account.keep_key(key)
    account.connected_at = account.checked_at = timezone.now()
    account.refused_at = None
    account.connected_by = user
    account.save()
    return account


def check(account: KlaviyoAccount) -> Connection:
    """Ask Klaviyo what the account's key opens now, and note it. Raises KlaviyoError, secrets.Unreadable."""
    try:
        connection = look(account.key())
    except KlaviyoError as error:
        note_refusal(account, error)
        raise
    account.scopes = sorted(connection.scopes)
    account.checked_at, account.refused_at = timezone.now(), None
    account.save(update_fields=["scopes", "checked_at", "refused_at"])
    return connection


def note_refusal(account: KlaviyoAccount, error: KlaviyoError) -> None:
    """Note on the account that Klaviyo does not accept its key, if that is the error."""
    if error.code == "key_refused":
        KlaviyoAccount.objects.filter(pk=account.pk, encrypted_key=account.encrypted_key).update(
            refused_at=timezone.now()
        )


def lacking(connection: Connection) -> KlaviyoError:
    """Return the error that says which scopes a key has not."""
    scopes = ", ".join(connection.missing)
    return KlaviyoError(
        "scope_missing",
        f"The key works, but lacks {scopes}. In Klaviyo, create a private key with read access to "
        "Accounts, Lists and Segments, and paste that.",
        scope=connection.missing[0] if connection.missing else "",
    )
