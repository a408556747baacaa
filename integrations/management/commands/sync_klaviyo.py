"""manage.py sync_klaviyo --channel email | --all [--account NAME] [--accept-missing] [--accept-account] …"""

import json
import sys
import time
from argparse import ArgumentParser
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from channels.models import Channel
from integrations.models import KlaviyoAccount, SyncJob
from integrations.starting import NoAccount, start
from jobs.models import Job, Status
from jobs.runner import run_here
from segments.models import ChangeSet

COULD_NOT, WRONG_USAGE, ROW_ERRORS = 1, 2, 3  # exit statuses: DESIGN section 4
LOOK = 0.5  # seconds between two looks at a sync that somebody else does
WORDS = {
    "created": "new",
    "updated": "updated",
    "unchanged": "unchanged",
    "protected": "left alone",
    "errors": "errors",
    "missing": "gone from Klaviyo",
}
ANSWERS = {"many_missing": "--accept-missing", "another_account": "--accept-account"}  # by the code of the question

Result = dict[str, Any]


class Command(BaseCommand):
    """Syncs channels in the foreground, through the same job rows and locks as the web page does."""

    requires_system_checks = []  # accessaudience.prepare checks; they load every page, for 0.4 s
    help = (
        "Bring all segments and lists of a Klaviyo account into a channel. Exit status: 0 done; 1 could not run or "
        "needs an answer, nothing changed; 2 wrong usage; 3 done, with objects that could not be taken over."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take channels, an account, and answers to what a sync may ask."""
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--channel", action="append", metavar="SLUG", help="sync this channel; repeatable")
        which.add_argument("--all", action="store_true", help="sync every channel")
        parser.add_argument("--account", metavar="NAME", help="the connected account to use")
        parser.add_argument(
            "--accept-missing", action="store_true", help="go on though more than half of the known would be gone"
        )
        parser.add_argument("--accept-account", action="store_true", help="go on though another account answers")
        parser.add_argument("--dry-run", action="store_true", help="say what a sync would do; change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Sync one channel after the other; one that cannot be synced does not keep the others from it."""
        channels = chosen_channels(options)
        account = chosen_account(options["account"])
        results = [self._sync(channel, account, options) for channel in channels]
        if options["json"]:
            self.stdout.write(json.dumps(results[0] if len(results) == 1 else {"syncs": results}))
        else:
            for result in results:
                self._tell(result, options)
        if any(result["error"] for result in results):
            raise CommandError("Not everything could be synced.", returncode=COULD_NOT)
        if any(result["errors"] for result in results):
            sys.exit(ROW_ERRORS)

    def _sync(self, channel: Channel, account: KlaviyoAccount | None, options: dict[str, Any]) -> Result:
        """Sync one channel here and now, after whoever is at it already; return what came of it."""
        goal = Job.Goal.CHECK if options["dry_run"] else Job.Goal.RUN
        by_command = partial(start, channel, None, goal=goal, via=ChangeSet.Via.COMMAND, account=account)
        try:
            job, is_new = by_command(**answers(options))
            while not is_new:
                self._say_waiting()
                self._wait_for(job)
                job, is_new = by_command(**answers(options))
        except NoAccount as reason:
            return result_of(channel, error={"code": reason.code, "message": reason.message})
        self._perform(job, goal)
        return result_of(channel, job)

    def _perform(self, job: SyncJob, goal: Job.Goal) -> None:
        """Do `job` here, or see it done by a worker that was faster."""
        with tqdm(disable=not sys.stderr.isatty(), unit=" read", file=sys.stderr, desc=job.channel.name) as bar:
            job.on_beat = partial(show, bar)
            try:
                run_here(job, goal, of=(Status.WAITING,), once=True, on_wait=self._say_waiting)
            except KeyboardInterrupt:
                raise CommandError("Stopped. Nothing was changed.", returncode=COULD_NOT) from None
        self._wait_for(job)

    def _wait_for(self, job: SyncJob) -> None:
        job.refresh_from_db()
        while job.is_open:
            time.sleep(LOOK)
            job.refresh_from_db()

    def _say_waiting(self) -> None:
        self.stderr.write("Something else is being written into the channel; waiting for it to end.")

    def _tell(self, result: Result, options: dict[str, Any]) -> None:
        """Write one result in words."""
        if result["error"]:
            answer = ANSWERS.get(result["error"]["code"])
            how = f" To go on, run this again with {answer}." if answer else ""
            self.stderr.write(f"{result['channel']}: {result['error']['message']}{how}")
            return
        numbers = ", ".join(f"{result[name]:,} {word}" for name, word in WORDS.items())
        self.stdout.write(f"{result['channel']}: {numbers}{' (nothing was changed)' if options['dry_run'] else ''}")
        if result["change_set"]:
            self.stdout.write(f"To undo this sync: manage.py undo_change {result['change_set']}")


def answers(options: dict[str, Any]) -> dict[str, Any]:
    """Return what is answered before it is asked."""
    return {name: options[name] for name in ("accept_missing", "accept_account")}


def chosen_channels(options: dict[str, Any]) -> list[Channel]:
    """Return the channels to sync."""
    known = {channel.slug: channel for channel in Channel.objects.all()}
    if options["all"]:
        return list(known.values())
    for slug in options["channel"]:
        if slug not in known:
            raise CommandError(f"There is no channel {slug!r}. Use one of: {', '.join(known)}.", returncode=COULD_NOT)
    return [known[slug] for slug in dict.fromkeys(options["channel"])]


def chosen_account(name: str | None) -> KlaviyoAccount | None:
    """Return the account of that name, None if none is named."""
    if name is None:
        return None
    connected = list(KlaviyoAccount.objects.connected())
    found = [each for each in connected if name in (each.name, each.account_id)]
    if len(found) != 1:
        names = ", ".join(f"“{each.name}” ({each.account_id})" for each in connected)
        if found:
            message = f"Several connected accounts are called “{name}”. Use the ID of one instead: {names}."
        elif connected:
            message = f"No connected account is called “{name}”. Use one of: {names}."
        else:
            message = f"No account is connected, so none is called “{name}”. Connect one: manage.py connect_klaviyo."
        raise CommandError(message, returncode=COULD_NOT)
    return found[0]


def show(bar: "tqdm[Any]", progress: int, total: int, step: str) -> None:
    """Move the bar to what the job says."""
    bar.total = total or None
    bar.update(progress - bar.n)


def result_of(channel: Channel, job: SyncJob | None = None, error: dict[str, str] | None = None) -> Result:
    """Return a sync as the JSON of DESIGN section 4 tells it."""
    if job is None:
        job = SyncJob(channel=channel, status=Status.FAILED)
        identity = None
    else:
        identity = str(job.pk) if job.goal == Job.Goal.RUN else None
        if job.code or job.status not in (Status.DONE, Status.READY):
            error = {"code": job.code or job.status, "message": job.message or "The sync was stopped."}
    counts = {name: getattr(job, name) for name in ("fetched", *SyncJob.COUNTS)}
    asked = job.status == Status.READY and error
    return {
        "sync": identity,
        "channel": channel.slug,
        "change_set": job.change_set_id,
        "status": Status.NEEDS_ANSWER.value if asked else job.status,
        **counts,
        "error": error,
    }
