"""A sync as a whole: Klaviyo over HTTP, a worker, the database. Everything, or nothing and what to do."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from channels.models import Channel
from integrations.klaviyo import client
from integrations.models import ChannelSync, KlaviyoAccount, SyncJob
from integrations.starting import start
from jobs.models import Job, Status
from segments import changes
from segments.models import Change, ChangeSet, Segment
from segments.values import SegmentValues
from tests.klaviyo import fake as faults
from tests.klaviyo.fake import FakeKlaviyo

pytestmark = pytest.mark.django_db(transaction=True)

Sync = Callable[..., SyncJob]
Whole = Callable[[], list[Any]]


def counts(job: SyncJob) -> dict[str, int]:
    return {name: getattr(job, name) for name in ("fetched", *SyncJob.COUNTS) if getattr(job, name)}


def test_all_segments_and_lists_arrive(sync: Sync, klaviyo: FakeKlaviyo, email: Channel) -> None:
    klaviyo.add_many(23, 11)
    job = sync()
    assert (job.status, job.message) == (Status.DONE, "")
    assert counts(job) == {"fetched": 34, "created": 34}
    assert job.change_set is not None
    assert (job.change_set.kind, job.change_set.label) == (ChangeSet.Kind.SYNC, "Fernhill")
    segment = Segment.objects.get(channel=email, segment_id="L00003")
    assert (segment.name, segment.active, segment.klaviyo_kind) == ("List 3", True, "list")
    assert segment.link == "https://www.klaviyo.com/lists/L00003"
    email.refresh_from_db()
    assert email.segment_count == 34


def test_a_second_sync_with_nothing_changed_writes_no_segment_and_no_change(
    sync: Sync, klaviyo: FakeKlaviyo, whole_catalogue: Whole
) -> None:
    klaviyo.add_many(12, 3)
    sync()
    before = whole_catalogue()[0]
    assert counts(sync()) == {"fetched": 15, "unchanged": 15}
    assert whole_catalogue()[0] == before
    assert not Change.objects.exists()


def test_what_a_sync_did_is_kept_by_name(sync: Sync, klaviyo: FakeKlaviyo, email: Channel) -> None:
    klaviyo.add_segment("A", "Lapsed")
    klaviyo.add_segment("B", "VIP")
    klaviyo.add_segment("C", "Win-back")
    klaviyo.add_list("D", "News")
    sync()
    for identity, active, name in (("B", True, "Our VIP"), ("C", False, "Win-back")):
        segment = Segment.objects.get(segment_id=identity)
        changes.edit(segment, SegmentValues(name, identity, segment.link, active), changes.By())
    klaviyo.add_segment("A", "Lapsed 90 days")
    klaviyo.add_segment("C", "Winback 365d")
    klaviyo.add_segment("E", "New one")
    klaviyo.remove("D")
    job = sync()
    lines = [(line.outcome, line.reason, line.name, line.was, line.says) for line in job.lines.all()]
    assert lines == [
        ("missing", "", "News", "", ""),
        ("updated", "", "Lapsed 90 days", "Lapsed", ""),
        ("created", "", "New one", "", ""),
        ("protected", "override", "Our VIP", "", "VIP"),
        ("protected", "inactive", "Win-back", "", "Winback 365d"),
    ]
    assert counts(job) == {"fetched": 4, "created": 1, "updated": 1, "protected": 2, "missing": 1}


def test_one_bad_object_is_an_error_and_the_others_arrive(sync: Sync, klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_many(3, 0)
    klaviyo.add_segment("Bad", "x" * 300)
    klaviyo.add_segment("Odd", "a\0b\ud800")
    klaviyo.odd["lists"] = [None, {"type": "segment", "id": "Z", "attributes": {}}]
    job = sync()
    assert (job.status, counts(job)) == (Status.DONE, {"fetched": 7, "created": 3, "errors": 4})
    klaviyo.add_list("S00000", "The ID of a segment")
    assert "Its ID is that of" in sync().lines.get(name="The ID of a segment").says
    errors = [line.segment_id for line in job.lines.filter(outcome="error")]
    assert errors == ["Bad", "Odd", "", "Z"]
    assert all(line.says for line in job.lines.filter(outcome="error"))


def test_a_name_that_became_unusable_is_not_gone_from_klaviyo(sync: Sync, klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_segment("A", "VIP")
    klaviyo.add_segment("B", "News")
    sync()
    klaviyo.add_segment("A", "x" * 300)
    assert counts(sync()) == {"fetched": 2, "unchanged": 1, "errors": 1}
    assert not Segment.objects.filter(missing_since__isnull=False).exists()


def test_blank_and_null_names_say_which_segment_it_is(sync: Sync, klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_segment("A", None)
    klaviyo.add_list("B", "  ")
    assert sync().created == 2
    assert set(Segment.objects.values_list("name", flat=True)) == {"Unnamed segment (A)", "Unnamed segment (B)"}


def test_new_segments_whose_names_match_a_rule_arrive_inactive(
    sync: Sync, klaviyo: FakeKlaviyo, email: Channel
) -> None:
    rules = [{"operator": "contains", "text": "sms"}, {"operator": "contains", "text": "test"}]
    ChannelSync.objects.create(channel=email, rules=rules)
    klaviyo.add_segment("A", "SMS – back in stock")
    klaviyo.add_segment("B", "VIP")
    klaviyo.add_list("C", "zz Test")
    job = sync()
    assert dict(Segment.objects.values_list("segment_id", "active")) == {"A": False, "B": True, "C": False}
    assert [(line.inactive, line.says) for line in job.lines.order_by("segment_id")] == [
        (True, "name contains “sms”"),
        (False, ""),
        (True, "name contains “test”"),
    ]
    assert counts(sync()) == {"fetched": 3, "unchanged": 3}


def test_a_rule_changes_nothing_that_is_here_already(sync: Sync, klaviyo: FakeKlaviyo, email: Channel) -> None:
    klaviyo.add_segment("A", "SMS – back in stock")
    sync()
    ChannelSync.objects.create(channel=email, rules=[{"operator": "contains", "text": "SMS"}])
    assert counts(sync()) == {"fetched": 1, "unchanged": 1}
    assert Segment.objects.get().active


@pytest.mark.parametrize(("bring", "arrive"), [("both", {"A", "B"}), ("segments", {"A"}), ("lists", {"B"})])
def test_a_channel_may_do_without_new_lists_or_new_segments(
    sync: Sync, klaviyo: FakeKlaviyo, email: Channel, bring: str, arrive: set[str]
) -> None:
    ChannelSync.objects.create(channel=email, bring=bring)
    klaviyo.add_segment("A", "VIP")
    klaviyo.add_list("B", "News")
    klaviyo.odd["lists"] = klaviyo.odd["segments"] = [None]
    assert counts(sync()) == {"fetched": 2 * len(arrive), "created": len(arrive), "errors": len(arrive)}
    assert set(Segment.objects.values_list("segment_id", flat=True)) == arrive


def test_lists_that_are_here_follow_klaviyo_though_no_new_ones_are_brought(
    sync: Sync, klaviyo: FakeKlaviyo, email: Channel
) -> None:
    klaviyo.add_many(1, 4)
    sync()
    ChannelSync.objects.create(channel=email, bring=ChannelSync.Bring.SEGMENTS)
    klaviyo.add_list("L00000", "Renamed")
    klaviyo.add_list("L00001", "x" * 300)
    klaviyo.remove("L00003")
    klaviyo.add_list("New", "New")
    assert counts(sync()) == {"fetched": 4, "updated": 1, "unchanged": 2, "errors": 1, "missing": 1}
    assert [each.segment_id for each in Segment.objects.filter(missing_since__isnull=False)] == ["L00003"]


def test_what_was_here_is_linked_and_not_said_to_be_renamed(
    sync: Sync, klaviyo: FakeKlaviyo, email: Channel, as_viewer: Client
) -> None:
    klaviyo.add_many(2, 0)
    sync()
    klaviyo.add_segment("S00000", "Renamed")
    klaviyo.add_segment("Own", "Klaviyo's name for it")
    segment = changes.add(email, SegmentValues("Our name for it", "Own", "https://example.com/own", True), changes.By())
    job = sync()
    assert (job.updated, job.adopted, job.renamed, job.result) == (2, 1, 1, "1 renamed, 1 linked")
    page = as_viewer.get(f"/channels/email/segments/sync/{job.pk}/?show=linked").content.decode()
    assert "Our name for it" in page
    assert "Linked 1" in page
    assert "Linked by its Segment ID" in as_viewer.get(segment.get_absolute_url()).content.decode()


def test_undoing_a_sync_puts_everything_back(sync: Sync, klaviyo: FakeKlaviyo, whole_catalogue: Whole) -> None:
    klaviyo.add_many(5, 5)
    sync()
    klaviyo.add_segment("S00001", "Renamed")
    klaviyo.add_segment("New", "New")
    names = set(Segment.objects.values_list("segment_id", "name"))
    job = sync()
    assert job.change_set is not None
    assert changes.undo(job.change_set, changes.By()) is not None
    assert set(Segment.objects.values_list("segment_id", "name")) == names


ELSEWHERE = "http://127.0.0.1:9"

# Faults: the catalogue is byte for byte what it was, and the message says what to do

LEFT_ALONE: dict[str, tuple[faults.Fault, dict[str, Any], str, str]] = {
    "key revoked on page 3": (faults.status(401), {"page": 3}, "key_refused", "enter it here"),
    "lists:read missing": (faults.status(403), {"kind": "lists"}, "scope_missing", "lists:read"),
    "segments:read missing": (faults.status(403), {"kind": "segments"}, "scope_missing", "segments:read"),
    "accounts:read missing": (faults.status(403), {"kind": "accounts"}, "scope_missing", "accounts:read"),
    "429 for ever": (faults.limited(None), {"kind": "segments"}, "rate_limited", "Try again"),
    "429 on the last page": (faults.limited("600"), {"page": 4}, "rate_limited", "in 10 minutes"),
    "Retry-After of 600 s": (faults.limited("600"), {"kind": "segments"}, "rate_limited", "in 10 minutes"),
    "500 for ever": (faults.status(500), {"kind": "segments"}, "klaviyo_fault", "Try again later"),
    "hang": (faults.hang, {"kind": "segments"}, "unreachable", "Try again"),
    "drip": (faults.drip, {"page": 4}, "unreachable", "Try again"),
    "connection reset": (faults.reset, {"kind": "segments"}, "unreachable", "Try again"),
    "connection broken off": (faults.broken_off, {"page": 2}, "unreachable", "Try again"),
    "HTML instead of JSON": (faults.html, {"kind": "segments"}, "unexpected_answer", "Try again later"),
    "cut JSON": (faults.cut, {"page": 2}, "unexpected_answer", "Try again later"),
    "cursor loop": (faults.leading_to(2), {"kind": "segments"}, "unexpected_answer", "circle"),
    "pages that repeat": (faults.repeating, {"kind": "lists"}, "unexpected_answer", "circle"),
    "endless pages": (faults.endless, {"kind": "segments"}, "unexpected_answer", "Try again later"),
    "redirect": (faults.redirect(ELSEWHERE), {"kind": "lists"}, "unexpected_answer", "Try again later"),
    "cursor to another host": (faults.other_host(ELSEWHERE), {"page": 3}, "unexpected_answer", "another server"),
    "a cursor that always expires": (faults.status(400), {"page": 2}, "cursor_refused", "Try again"),
}
SLOW = {"429 for ever", "hang", "drip"}  # they end with the patience, which is short for them


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_a_sync_that_did_not_read_everything_writes_nothing(
    sync: Sync,
    klaviyo: FakeKlaviyo,
    whole_catalogue: Whole,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    fault, where, code, says = LEFT_ALONE[name]
    klaviyo.add_many(40, 5)
    assert sync().status == Status.DONE
    before = whole_catalogue()
    klaviyo.add_segment("S00000", "Renamed in the meantime")
    klaviyo.misbehave(fault, **where)
    settings.KLAVIYO_TIMEOUT, settings.KLAVIYO_PATIENCE = (1, 3) if name in SLOW else (60, 60)
    monkeypatch.setattr(client, "MAX_PAGES", 30)
    job = sync()
    assert (job.status, job.code) == (Status.FAILED, code)
    assert says in job.message
    assert (job.retry_at is not None) == (says == "in 10 minutes")
    assert whole_catalogue() == before
    klaviyo.behave()
    assert counts(sync()) == {"fetched": 45, "updated": 1, "unchanged": 44}


def test_faults_that_pass_end_with_everything_once(sync: Sync, klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_many(40, 20)
    klaviyo.misbehave(faults.status(503), times=3)
    klaviyo.misbehave(faults.limited("0"), kind="segments", page=3, times=2)
    klaviyo.misbehave(faults.status(400), kind="lists", page=2, times=1)
    assert counts(sync()) == {"fetched": 60, "created": 60}


def test_a_disconnected_account_is_not_asked(
    sync: Sync, account: KlaviyoAccount, email: Channel, klaviyo: FakeKlaviyo
) -> None:
    job, _ = start(email, None, via=ChangeSet.Via.COMMAND)
    account.forget_key()
    assert sync(account=account).code == "no_account"
    job.refresh_from_db()
    assert job.status == Status.FAILED
    assert klaviyo.requests == []


def test_a_key_that_cannot_be_read_says_so(sync: Sync, account: KlaviyoAccount) -> None:
    account.encrypted_key = "nonsense"
    account.save()
    assert sync().code == "key_unreadable"


# Guards: it stops and asks


def test_an_empty_account_where_segments_were_known_asks(
    sync: Sync, klaviyo: FakeKlaviyo, whole_catalogue: Whole
) -> None:
    klaviyo.add_many(3, 1)
    sync()
    before = whole_catalogue()
    for identity in ("S00000", "S00001", "S00002", "L00000"):
        klaviyo.remove(identity)
    job = sync()
    assert (job.status, job.code) == (Status.NEEDS_ANSWER, "many_missing")
    assert "4 of the 4" in job.message
    assert (job.missing, job.known) == (4, 4)
    assert {line.name for line in job.lines.filter(outcome="missing")} >= {"Segment 0", "List 0"}
    assert whole_catalogue() == before
    answered = sync(accept_missing=True)
    assert (answered.status, answered.missing) == (Status.DONE, 4)
    assert Segment.objects.filter(missing_since__isnull=False, active=True).count() == 4
    job.refresh_from_db()
    assert job.status == Status.CANCELLED


@pytest.mark.parametrize(("gone", "asks"), [(5, False), (6, True)])
def test_more_than_half_missing_asks(sync: Sync, klaviyo: FakeKlaviyo, gone: int, asks: bool) -> None:
    klaviyo.add_many(10, 0)
    sync()
    for number in range(gone):
        klaviyo.remove(f"S{number:05d}")
    assert sync().status == (Status.NEEDS_ANSWER if asks else Status.DONE)


def test_another_account_behind_the_key_asks(
    sync: Sync, klaviyo: FakeKlaviyo, account: KlaviyoAccount, whole_catalogue: Whole, as_viewer: Client
) -> None:
    klaviyo.add_many(2, 2)
    sync()
    before = whole_catalogue()
    klaviyo.account_id, klaviyo.account_name = "Other1", "Fernhill – Test"
    job = sync()
    assert (job.status, job.code) == (Status.NEEDS_ANSWER, "another_account")
    assert job.answered_as == "“Fernhill – Test” (Other1)"
    page = as_viewer.get(f"/channels/email/segments/sync/{job.pk}/").content.decode()
    assert "The key belongs to another account." in page
    assert "as “Fernhill – Test” (Other1)" in job.message
    assert f"from “Fernhill Coffee” ({account.account_id})" in job.message
    assert whole_catalogue() == before
    assert sync(accept_account=True).status == Status.DONE
    account.refresh_from_db()
    assert (account.account_id, account.organisation) == ("Other1", "Fernhill – Test")
    assert sync().status == Status.DONE


def test_a_channel_that_changes_its_account_asks(
    sync: Sync, klaviyo: FakeKlaviyo, email: Channel, whole_catalogue: Whole, as_viewer: Client
) -> None:
    klaviyo.add_many(2, 2)
    sync()
    before = whole_catalogue()
    other = KlaviyoAccount(account_id="Other1", name="Wholesale", organisation="Wholesale")
    other.keep_key(KlaviyoAccount.objects.get().key())
    other.save()
    klaviyo.account_id = "Other1"
    ChannelSync.objects.create(channel=email, account=other)
    job = sync()
    assert (job.status, job.code) == (Status.NEEDS_ANSWER, "another_account")
    assert "from “Fernhill Coffee” (XyZ123)" in job.message
    page = as_viewer.get(f"/channels/email/segments/sync/{job.pk}/").content.decode()
    assert "The channel was given another account." in page
    assert "The key belongs to another account." not in page
    assert whole_catalogue() == before


# Previews


def test_a_preview_is_the_plan_of_the_sync_and_writes_nothing(
    sync: Sync, klaviyo: FakeKlaviyo, whole_catalogue: Whole
) -> None:
    klaviyo.add_many(4, 2)
    sync()
    before = whole_catalogue()
    klaviyo.add_segment("S00001", "Renamed")
    klaviyo.add_segment("New", "New")
    klaviyo.remove("L00000")
    preview = sync(goal=Job.Goal.CHECK)
    assert preview.status == Status.READY
    assert whole_catalogue() == before
    job = sync()
    assert counts(job) == counts(preview) == {"fetched": 6, "created": 1, "updated": 1, "unchanged": 4, "missing": 1}
    names = ("outcome", "reason", "name", "was", "says")
    assert list(job.lines.values_list(*names)) == list(preview.lines.values_list(*names))


def test_a_preview_says_what_the_sync_would_ask(sync: Sync, klaviyo: FakeKlaviyo) -> None:
    klaviyo.add_many(2, 0)
    sync()
    klaviyo.remove("S00000")
    klaviyo.remove("S00001")
    preview = sync(goal=Job.Goal.CHECK)
    assert (preview.status, preview.code) == (Status.READY, "many_missing")


# One at a time


def test_a_sync_that_runs_is_not_started_again(email: Channel, account: KlaviyoAccount) -> None:
    job, is_new = start(email, None, via=ChangeSet.Via.COMMAND)
    assert is_new
    assert start(email, None, via=ChangeSet.Via.COMMAND) == (job, False)
    preview, is_new = start(email, None, via=ChangeSet.Via.COMMAND, goal=Job.Goal.CHECK)
    assert is_new
    assert start(email, None, via=ChangeSet.Via.COMMAND, goal=Job.Goal.CHECK) == (preview, False)
    assert SyncJob.objects.count() == 2
