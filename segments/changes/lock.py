"""A transaction that has the channels it writes to itself.

Goes in: channels, and how long to wait for them. Comes out: a transaction in which no other change
of their segments can happen. PostgreSQL locks the channels' rows, in id order; SQLite has one write
lock for all, which Django takes at BEGIN IMMEDIATE (settings).
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from django.db import OperationalError, connection, transaction

from accessaudience.writelock import is_taken, patience
from channels.models import Channel

WEB_WAIT = 3  # seconds that a person waits for an import to finish writing


class ChannelBusy(Exception):  # noqa: N818  # a state of the channel, not a fault
    """Another change is being written to the channel, or on SQLite anywhere; nothing was changed."""

    def __str__(self) -> str:
        if connection.vendor == "sqlite":  # its one lock says nothing of who has it
            return "Something else is being written here; try again in a moment."
        return "An import is being written here; try again in a moment."


@contextmanager
def locked(channels: Iterable[Channel], wait: int | None = None) -> Iterator[None]:
    """Run the body in a transaction that alone writes segments of `channels`.

    `wait` is in seconds, None for as long as it takes (SQLite: 20 s, then OperationalError).
    Raises ChannelBusy after `wait`; whatever the body did is then rolled back.
    """
    keys = sorted(channel.pk for channel in channels)
    with patience(wait), ExitStack() as stack:
        try:
            stack.enter_context(transaction.atomic())
            if wait is not None and connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = %s", [f"{wait}s"])
            list(Channel.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk").values_list("pk"))
        except OperationalError as error:
            raise _busy(error, wait) from error
        yield


def _busy(error: OperationalError, wait: int | None) -> Exception:
    return ChannelBusy() if wait is not None and is_taken(error) else error
