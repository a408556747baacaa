"""Starting a sync of a channel: one at a time, however often and from wherever it is asked for.

Goes in: a channel, who asks, and why. Comes out: the job that does it, perhaps somebody else's. Must not
know: requests, how a sync is done.
"""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import IntegrityError, transaction

from channels.models import Channel
from integrations.models import ChannelSync, KlaviyoAccount, SyncJob
from jobs.models import Job, Status
from segments.models import ChangeSet

if TYPE_CHECKING:
    from people.models import Person

TRIES = 5


class NoAccount(Exception):  # noqa: N818  # a state of affairs, not a fault
    """No account to take segments from: none is connected, or several, and the channel names none."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def account_for(channel: Channel, accounts: list[KlaviyoAccount] | None = None) -> KlaviyoAccount:
    """Return the connected account that `channel` takes its segments from: its own, or the only one. Raises NoAccount.

    `accounts` are the connected ones, where the caller has them.
    """
    if accounts is None:
        accounts = list(KlaviyoAccount.objects.connected())
    setting = ChannelSync.objects.filter(channel=channel).first()
    chosen = setting.account_id if setting else None
    for account in accounts:
        if account.pk == chosen or (chosen is None and len(accounts) == 1):
            return account
    if accounts:
        raise NoAccount(
            "account_not_chosen",
            f"Several Klaviyo accounts are connected. An admin says under Integrations which of them {channel} uses.",
        )
    raise NoAccount("no_account", "No Klaviyo account is connected. An admin connects one under Integrations.")


def start(
    channel: Channel,
    user: "Person | None",
    *,
    goal: Job.Goal = Job.Goal.RUN,
    via: ChangeSet.Via = ChangeSet.Via.WEB,
    account: KlaviyoAccount | None = None,
    token: UUID | None = None,
    **answers: Any,
) -> tuple[SyncJob, bool]:
    """Return the sync (or preview) of `channel` that waits or runs, and whether it is new: or one does already.

    `token`, of the form that asked, becomes its primary key: the form sent again leads to what it started,
    also if that has ended. A question that an earlier sync of the channel asked is withdrawn: the new one
    asks it again if it still stands. Raises NoAccount.
    """
    if token:
        answers["pk"] = token
    for _ in range(TRIES):
        started = SyncJob.objects.filter(pk=token).first() if token else None
        if started:
            return started, False
        account = account or account_for(channel)
        running = SyncJob.objects.open().filter(channel=channel, goal=goal).first()
        if running:
            return running, False
        try:
            with transaction.atomic():
                if goal == Job.Goal.RUN:
                    withdraw_questions(channel)
                made = SyncJob.objects.create(
                    channel=channel, account=account, user=user, via=via, goal=goal, **answers
                )
            return made, True
        except IntegrityError:  # somebody was first
            continue
    raise RuntimeError(f"The sync of {channel} was neither started nor found {TRIES} times in a row.")


def withdraw_questions(channel: Channel) -> None:
    """Close what asked and got no answer."""
    for job in SyncJob.objects.syncs().filter(channel=channel, status=Status.NEEDS_ANSWER):
        job.transition(Status.CANCELLED, of=(Status.NEEDS_ANSWER,))
