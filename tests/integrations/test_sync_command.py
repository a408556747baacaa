"""manage.py sync_klaviyo: in the foreground, its JSON and its exit statuses (DESIGN section 4)."""

import io
import json
import re
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from channels.models import Channel
from integrations.models import ChannelSync, KlaviyoAccount, SyncJob
from jobs.models import Status
from segments import changes
from segments.models import ChangeSet, Segment
from tests.klaviyo import fake as faults
from tests.klaviyo.fake import FakeKlaviyo

pytestmark = pytest.mark.django_db(transaction=True)

KEYS = {
    *("sync", "channel", "change_set", "status", "fetched", "created", "updated", "unchanged", "protected"),
    *("errors", "returned", "missing", "error"),
}


def run(*options: str, ends: int = 0) -> dict[str, Any]:
    """Run the command with --json, expect its exit status, return what it printed."""
    out = io.StringIO()
    if ends == 0:
        call_command("sync_klaviyo", *options, "--json", stdout=out)
    else:
        with pytest.raises((CommandError, SystemExit)) as ended:
            call_command("sync_klaviyo", *options, "--json", stdout=out)
        status = ended.value.returncode if isinstance(ended.value, CommandError) else ended.value.code
        assert status == ends
    told: dict[str, Any] = json.loads(out.getvalue())
    return told


def test_it_syncs_without_a_worker_and_tells_the_counts(klaviyo: FakeKlaviyo, account: KlaviyoAccount) -> None:
    klaviyo.add_many(12, 3)
    told = run("--channel", "email")
    assert set(told) == KEYS
    assert (told["status"], told["fetched"], told["created"], told["error"]) == ("done", 15, 15, None)
    assert told["sync"] == str(SyncJob.objects.get().pk)
    change_set = ChangeSet.objects.get(pk=told["change_set"])
    assert change_set.via == ChangeSet.Via.COMMAND
    again = run("--channel", "email")
    assert (again["unchanged"], again["created"]) == (15, 0)


def test_without_an_account_it_ends_in_words_for_people_too() -> None:
    with pytest.raises(CommandError, match="^Not everything could be synced.$"):
        call_command("sync_klaviyo", "--all", "--json", stdout=io.StringIO())


def test_what_returns_is_counted_beside_what_is_created(klaviyo: FakeKlaviyo, account: KlaviyoAccount) -> None:
    klaviyo.add_many(2, 0)
    run("--channel", "email")
    changes.delete(Segment.objects.get(segment_id="S00000"), changes.By())
    told = run("--channel", "email")
    assert (told["created"], told["returned"], told["unchanged"]) == (1, 1, 1)


def test_a_dry_run_tells_the_same_and_changes_nothing(klaviyo: FakeKlaviyo, account: KlaviyoAccount) -> None:
    klaviyo.add_many(2, 0)
    told = run("--channel", "email", "--dry-run")
    assert (told["sync"], told["change_set"], told["status"], told["created"]) == (None, None, "ready", 2)
    assert not Segment.objects.exists()


def test_row_errors_end_with_status_3(klaviyo: FakeKlaviyo, account: KlaviyoAccount) -> None:
    klaviyo.add_many(1, 0)
    klaviyo.add_segment("Bad", "x" * 300)
    told = run("--channel", "email", ends=3)
    assert (told["status"], told["created"], told["errors"], told["error"]) == ("done", 1, 1, None)


def test_a_refused_key_ends_with_status_1(klaviyo: FakeKlaviyo, account: KlaviyoAccount) -> None:
    klaviyo.allow()
    told = run("--channel", "email", ends=1)
    assert (told["status"], told["error"]["code"], told["change_set"]) == ("failed", "key_refused", None)
    assert "Settings → API keys" in told["error"]["message"]


def test_a_question_ends_with_status_1_until_it_is_answered(klaviyo: FakeKlaviyo, account: KlaviyoAccount) -> None:
    klaviyo.add_many(2, 0)
    run("--channel", "email")
    klaviyo.remove("S00000")
    klaviyo.remove("S00001")
    for options in (("--dry-run",), ()):
        told = run("--channel", "email", *options, ends=1)
        assert (told["status"], told["error"]["code"], told["missing"]) == ("needs_answer", "many_missing", 2)
    told = run("--channel", "email", "--accept-missing")
    assert (told["status"], told["missing"]) == ("done", 2)
    assert run("--channel", "email")["missing"] == 0
    klaviyo.account_id = "Other1"
    assert run("--channel", "email", ends=1)["error"]["code"] == "another_account"
    assert run("--channel", "email", "--accept-account")["status"] == "done"


def test_no_account_and_several_are_told_apart(klaviyo: FakeKlaviyo, account: KlaviyoAccount, email: Channel) -> None:
    klaviyo.add_many(1, 0)
    other = KlaviyoAccount(account_id="Other1", name="Wholesale", organisation="Wholesale")
    other.keep_key(account.key())
    other.save()
    assert run("--channel", "email", ends=1)["error"]["code"] == "account_not_chosen"
    assert run("--channel", "email", "--account", "Fernhill")["created"] == 1
    ChannelSync.objects.create(channel=Channel.objects.get(slug="sms"), account=account)
    assert run("--channel", "sms")["created"] == 1
    for each in (account, other):
        each.forget_key()
    assert run("--channel", "email", ends=1)["error"]["code"] == "no_account"


def test_all_syncs_every_channel_and_one_that_fails_does_not_keep_the_others(
    klaviyo: FakeKlaviyo, account: KlaviyoAccount
) -> None:
    klaviyo.add_many(1, 1)
    klaviyo.misbehave(faults.status(401), kind="lists", times=1)
    told = run("--all", ends=1)
    assert [(each["channel"], each["status"]) for each in told["syncs"]] == [
        ("email", "failed"),
        ("sms", "done"),
        ("meta", "done"),
    ]


@pytest.mark.parametrize("options", [("--channel", "nowhere"), ("--channel", "email", "--account", "Nobody")])
def test_what_is_not_there_is_said(account: KlaviyoAccount, options: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"nowhere|Nobody"):
        call_command("sync_klaviyo", *options)


def test_in_words_it_says_how_to_undo(
    klaviyo: FakeKlaviyo, account: KlaviyoAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    klaviyo.add_many(1, 0)
    call_command("sync_klaviyo", "--channel", "email")
    out = capsys.readouterr().out
    assert "email: 1 new" in out
    assert f"manage.py undo_change {ChangeSet.objects.get().pk}" in out


def test_in_words_a_question_names_the_option_that_answers_it(
    klaviyo: FakeKlaviyo, account: KlaviyoAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    klaviyo.add_many(2, 0)
    run("--channel", "email")
    klaviyo.remove("S00000")
    klaviyo.remove("S00001")
    with pytest.raises(CommandError):
        call_command("sync_klaviyo", "--channel", "email")
    assert "run this again with --accept-missing." in capsys.readouterr().err
    klaviyo.account_id = "Other1"
    with pytest.raises(CommandError):
        call_command("sync_klaviyo", "--channel", "email")
    assert "run this again with --accept-account." in capsys.readouterr().err


def test_an_account_that_is_not_there_is_answered_with_those_that_are(account: KlaviyoAccount) -> None:
    known = f"“Fernhill” ({account.account_id})"
    with pytest.raises(CommandError, match=re.escape(f"called “Nope”. Use one of: {known}.")):
        call_command("sync_klaviyo", "--channel", "email", "--account", "Nope")
    other = KlaviyoAccount(account_id="Other1", name="Fernhill", organisation="Wholesale")
    other.keep_key(account.key())
    other.save()
    with pytest.raises(CommandError, match=re.escape("Several connected accounts are called “Fernhill”.")):
        call_command("sync_klaviyo", "--channel", "email", "--account", "Fernhill")
    for each in (account, other):
        each.forget_key()
    with pytest.raises(CommandError, match="No account is connected"):
        call_command("sync_klaviyo", "--channel", "email", "--account", "Fernhill")


def test_it_waits_for_the_sync_that_runs_and_then_makes_its_own(
    klaviyo: FakeKlaviyo, account: KlaviyoAccount, email: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    klaviyo.add_many(1, 0)
    running = SyncJob.objects.create(channel=email, account=account, status=Status.RUNNING)

    def end_it(seconds: float) -> None:
        SyncJob.objects.filter(pk=running.pk).update(status=Status.DONE)

    monkeypatch.setattr("integrations.management.commands.sync_klaviyo.time.sleep", end_it)
    told = run("--channel", "email")
    assert told["sync"] != str(running.pk)
    assert told["created"] == 1
