"""The pages of a sync: the button, how it stands, what changed by name, the question, the preview, the settings."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels.models import Channel
from integrations.models import ChannelSync, KlaviyoAccount, SyncJob
from jobs.models import Status
from people.models import Person
from segments import changes
from segments.models import ChangeSet, Segment
from segments.values import SegmentValues
from tests.klaviyo import fake as faults
from tests.klaviyo.fake import FakeKlaviyo

pytestmark = pytest.mark.django_db(transaction=True)

TAB = "/channels/email/segments/"
BEGIN = f"{TAB}sync/"
HTMX = {"HX-Request": "true"}
Sync = Callable[..., SyncJob]


def text_of(response: Any) -> str:
    return " ".join(response.content.decode().split())


# The button


def test_without_an_account_an_admin_connects_one_and_others_are_told_whom_to_ask(
    as_admin: Client, as_marketer: Client, as_viewer: Client
) -> None:
    shown = text_of(as_admin.get(TAB))
    assert 'href="/integrations/klaviyo/"' in shown
    assert "Connect Klaviyo" in shown
    for_marketer = text_of(as_marketer.get(TAB))
    assert "Ask an admin to connect Klaviyo." in for_marketer
    assert BEGIN not in for_marketer
    assert "Connect Klaviyo" not in for_marketer + text_of(as_viewer.get(TAB))
    assert "An admin connects one under Integrations." in text_of(as_marketer.post(BEGIN, follow=True))


def test_one_click_syncs_and_the_result_stands_above_the_table(
    as_marketer: Client, klaviyo: FakeKlaviyo, account: KlaviyoAccount, work: Callable[[], int]
) -> None:
    klaviyo.add_many(3, 2)
    assert "Sync from Klaviyo" in text_of(as_marketer.get(TAB))
    shown = text_of(as_marketer.post(BEGIN, follow=True))
    assert "The sync from Klaviyo is waiting" in shown
    assert 'hx-trigger="every 1s"' in shown
    assert "Syncing…" in shown
    assert work() == 1
    shown = text_of(as_marketer.get(TAB))
    assert "Email is up to date with Klaviyo" in shown
    assert "5 segments and lists read" in shown
    assert "Klaviyo list" in shown
    assert 'hx-trigger="every 1s"' not in shown
    change_set = ChangeSet.objects.get()
    assert change_set.user_name == "Marketer Person"


def test_a_second_click_shows_the_running_sync(as_marketer: Client, as_admin: Client, account: KlaviyoAccount) -> None:
    for client in (as_marketer, as_admin, as_marketer):
        assert "Fernhill" in text_of(client.post(BEGIN, headers=HTMX))
    assert SyncJob.objects.count() == 1


def test_polling_ends_by_itself(as_viewer: Client, account: KlaviyoAccount, email: Channel) -> None:
    job = SyncJob.objects.create(channel=email, account=account, status=Status.RUNNING, progress=164, step="reading")
    answer = as_viewer.get(f"{BEGIN}status/", headers=HTMX)
    assert "164</b> segments and lists read" in text_of(answer)
    assert "HX-Refresh" not in answer.headers
    SyncJob.objects.filter(pk=job.pk).update(status=Status.DONE, finished_at=timezone.now())
    answer = as_viewer.get(f"{BEGIN}status/", headers=HTMX)
    assert answer.headers["HX-Refresh"] == "true"
    assert "every 1s" not in text_of(answer)


def test_a_sync_can_be_stopped_until_it_writes(as_marketer: Client, account: KlaviyoAccount, email: Channel) -> None:
    as_marketer.post(BEGIN)
    job = SyncJob.objects.get()
    shown = text_of(as_marketer.post(f"{BEGIN}{job.pk}/stop/", follow=True))
    assert "None of your segments were changed." in shown
    job.refresh_from_db()
    assert job.status == Status.CANCELLED


def test_a_refused_key_says_what_to_do_and_that_nothing_was_changed(
    as_marketer: Client, as_admin: Client, klaviyo: FakeKlaviyo, sync: Sync
) -> None:
    klaviyo.allow()
    sync()
    for client in (as_marketer, as_admin):
        shown = text_of(client.get(TAB))
        assert "None of your segments were changed." in shown
        assert "Try again with the same key" in shown
        assert ("Replace key</a>" in shown) == (client is as_admin)


def test_a_key_that_a_sync_found_refused_is_shown_so_until_a_sync_works(
    as_admin: Client, klaviyo: FakeKlaviyo, sync: Sync
) -> None:
    klaviyo.allow()
    sync()
    assert "Key refused" in text_of(as_admin.get("/integrations/"))
    klaviyo.allow("accounts:read", "lists:read", "segments:read")
    sync()
    assert "Key refused" not in text_of(as_admin.get("/integrations/"))


def test_a_limit_says_when_klaviyo_answers_again_until_it_does(
    as_viewer: Client, klaviyo: FakeKlaviyo, sync: Sync
) -> None:
    klaviyo.misbehave(faults.limited("600"))
    job = sync()
    assert "Klaviyo answers again:" in text_of(as_viewer.get(TAB))
    SyncJob.objects.filter(pk=job.pk).update(retry_at=timezone.now() - timedelta(seconds=1))
    assert "Klaviyo answers again:" not in text_of(as_viewer.get(TAB))


def test_a_sync_that_changed_nothing_offers_no_undo(as_marketer: Client, klaviyo: FakeKlaviyo, sync: Sync) -> None:
    klaviyo.add_many(3, 0)
    assert "Undo…" in text_of(as_marketer.get(sync().get_absolute_url()))
    assert "Undo…" in text_of(as_marketer.get(TAB))
    klaviyo.remove("S00000")
    assert "Undo…" not in text_of(as_marketer.get(sync().get_absolute_url()))
    assert "Undo…" not in text_of(as_marketer.get(TAB))


def test_errors_are_said_beside_what_went_well(as_viewer: Client, klaviyo: FakeKlaviyo, sync: Sync) -> None:
    klaviyo.add_many(1, 0)
    klaviyo.add_segment("Bad", "x" * 300)
    sync()
    assert "1 could not be taken over,</b> all the others were." in text_of(as_viewer.get(TAB))


def test_an_older_result_becomes_a_line(as_viewer: Client, klaviyo: FakeKlaviyo, sync: Sync) -> None:
    klaviyo.add_many(1, 0)
    job = sync()
    SyncJob.objects.filter(pk=job.pk).update(finished_at=timezone.now() - timedelta(hours=2))
    shown = text_of(as_viewer.get(TAB))
    assert "is up to date" not in shown
    assert "last synced" in shown
    assert "2 h ago" in shown


def test_a_worker_that_is_missing_is_said(as_viewer: Client, account: KlaviyoAccount, email: Channel) -> None:
    SyncJob.objects.create(channel=email, account=account, created_at=timezone.now() - timedelta(minutes=5))
    assert "No worker is running." in text_of(as_viewer.get(TAB))


# By name


def test_what_changed_is_shown_by_name_and_can_be_narrowed(as_viewer: Client, klaviyo: FakeKlaviyo, sync: Sync) -> None:
    klaviyo.add_segment("A", "Lapsed")
    klaviyo.add_segment("B", "<script>alert(1)</script>")
    sync()
    klaviyo.add_segment("A", "Lapsed 90 days")
    klaviyo.add_segment("C", "Brand new")
    job = sync()
    shown = text_of(as_viewer.get(job.get_absolute_url()))
    for words in ("Klaviyo sync of Email", "Lapsed 90 days", "Brand new", "Arrives Active", "New 1", "Renamed 1"):
        assert words in shown
    assert "<script>alert" not in shown
    only = text_of(as_viewer.get(f"{job.get_absolute_url()}?show=updated"))
    assert "Lapsed 90 days" in only
    assert "Brand new" not in only


def test_the_page_asks_as_often_of_the_database_for_many_as_for_few(
    as_viewer: Client, klaviyo: FakeKlaviyo, sync: Sync
) -> None:
    klaviyo.add_many(1, 0)
    found = []
    for _ in range(2):
        job = sync()
        with CaptureQueriesContext(connection) as queries:
            as_viewer.get(job.get_absolute_url())
        found.append(len(queries))
        for number in range(40):
            klaviyo.add_segment(f"N{number}", f"N {number}")
    assert found[0] == found[1]


def test_the_history_tells_of_every_sync(as_viewer: Client, klaviyo: FakeKlaviyo, sync: Sync) -> None:
    klaviyo.add_many(2, 0)
    sync()
    klaviyo.allow()
    sync()
    shown = text_of(as_viewer.get(f"{BEGIN}history/"))
    assert "2 new" in shown
    assert "Failed" in shown


# The question


@pytest.fixture
def asking(klaviyo: FakeKlaviyo, sync: Sync) -> SyncJob:
    """A sync that asks whether two of three may be gone."""
    klaviyo.add_many(3, 0)
    sync()
    klaviyo.remove("S00000")
    klaviyo.remove("S00001")
    job = sync()
    assert job.status == Status.NEEDS_ANSWER
    return job


def test_the_question_is_in_plain_words_with_two_buttons(as_marketer: Client, asking: SyncJob) -> None:
    assert "The sync stopped and asks" in text_of(as_marketer.get(TAB))
    shown = text_of(as_marketer.get(asking.get_absolute_url()))
    assert "more than half of the known segments would vanish" in shown
    assert "2 of the 3" in shown
    assert "Leave everything as it is" in shown
    assert "Sync and mark 2 as gone" in shown


def test_going_on_needs_the_tick(
    as_marketer: Client, asking: SyncJob, work: Callable[[], int], marketer: Person
) -> None:
    path = f"{BEGIN}{asking.pk}/answer/"
    as_marketer.post(path)
    asking.refresh_from_db()
    assert asking.status == Status.NEEDS_ANSWER
    as_marketer.post(path, {"sure": "on"})
    assert work() == 1
    asking.refresh_from_db()
    assert (asking.status, asking.missing, asking.user) == (Status.DONE, 2, marketer)
    assert Segment.objects.filter(missing_since__isnull=False).count() == 2
    as_marketer.post(path, {"sure": "on"})
    assert work() == 0


def test_leaving_everything_changes_nothing(as_marketer: Client, asking: SyncJob) -> None:
    as_marketer.post(f"{BEGIN}{asking.pk}/stop/")
    asking.refresh_from_db()
    assert asking.status == Status.CANCELLED
    assert not Segment.objects.filter(missing_since__isnull=False).exists()
    assert "The sync stopped and asks" not in text_of(as_marketer.get(TAB))


# The preview


def test_a_preview_shows_by_name_and_links_a_namesake(
    as_marketer: Client, klaviyo: FakeKlaviyo, account: KlaviyoAccount, email: Channel, work: Callable[[], int]
) -> None:
    ours = changes.add(email, SegmentValues("vip customers"), changes.By())
    klaviyo.add_segment("Vip123", "VIP customers")
    klaviyo.add_segment("New123", "New in Klaviyo")
    assert "Preview changes" in text_of(as_marketer.get(f"{BEGIN}preview/"))
    answer = as_marketer.post(f"{BEGIN}preview/")
    waiting = text_of(as_marketer.get(answer["Location"]))
    assert "The preview is waiting" in waiting
    assert "Stop sync" not in waiting
    assert work() == 1
    shown = text_of(as_marketer.get(answer["Location"]))
    assert "nothing has been changed yet" in shown
    assert "New in Klaviyo" in shown
    assert shown.count("Link to this") == 1
    job = SyncJob.objects.get()
    line = job.lines.get(segment_id="Vip123")
    as_marketer.post(f"{BEGIN}{job.pk}/link/{line.pk}/")
    ours.refresh_from_db()
    assert (ours.segment_id, ours.klaviyo_id) == ("Vip123", None)
    as_marketer.post(BEGIN)
    assert work() == 1
    ours.refresh_from_db()
    assert (ours.klaviyo_id, ours.name) == ("Vip123", "vip customers")
    assert Segment.objects.count() == 2


# One segment


def test_use_klaviyos_value_ends_a_manual_override(
    as_marketer: Client, as_viewer: Client, klaviyo: FakeKlaviyo, sync: Sync
) -> None:
    klaviyo.add_segment("A", "VIP", is_starred=True)
    sync()
    segment = Segment.objects.get()
    changes.edit(segment, SegmentValues("Our VIP", "A", "https://example.com/ours", True), changes.By())
    shown = text_of(as_marketer.get(segment.get_absolute_url()))
    assert "Manual override" in shown
    assert "Starred there" in shown
    assert "Klaviyo says “<bdi>VIP</bdi>”" in shown
    assert "Use Klaviyo" not in text_of(as_viewer.get(segment.get_absolute_url()))
    for field in ("name", "link"):
        as_marketer.post(f"{TAB}{segment.pk}/klaviyo/", {"field": field})
    segment.refresh_from_db()
    assert (segment.name, segment.link) == ("VIP", segment.synced_link)
    assert "Manual override" not in text_of(as_marketer.get(segment.get_absolute_url()))


def test_a_segment_that_is_gone_says_so(as_viewer: Client, klaviyo: FakeKlaviyo, sync: Sync) -> None:
    klaviyo.add_many(3, 0)
    sync()
    klaviyo.remove("S00000")
    sync()
    segment = Segment.objects.get(segment_id="S00000")
    assert "Gone from Klaviyo" in text_of(as_viewer.get(segment.get_absolute_url()))
    assert "“<bdi>Segment 0</bdi>” no longer exists in Klaviyo." in text_of(as_viewer.get(TAB))
    gone = text_of(as_viewer.get(f"{TAB}?status=gone"))
    assert 'value="gone" selected' in gone
    assert "S00000" in gone
    assert "S00001" not in gone


def test_the_overview_tells_of_syncs_that_need_somebody(
    as_viewer: Client, klaviyo: FakeKlaviyo, sync: Sync, asking: SyncJob
) -> None:
    assert "more than half" in text_of(as_viewer.get("/")) or "2 of the 3" in text_of(as_viewer.get("/"))
    klaviyo.allow()
    sync()
    shown = text_of(as_viewer.get("/"))
    assert "did not accept the private key" in shown
    klaviyo.allow(*("accounts:read", "lists:read", "segments:read"))
    sync(accept_missing=True)
    assert "did not accept the private key" not in text_of(as_viewer.get("/"))


# Settings of a channel

SETTINGS = "/integrations/klaviyo/channels/email/"


def test_rules_and_schedule_are_kept(as_admin: Client, account: KlaviyoAccount) -> None:
    sent = {
        "account": account.pk,
        "bring": "segments",
        "automatic": "on",
        "every_hours": "6",
        "operator": ["contains", "lacks", "contains", "evil"],
        "text": [" SMS ", "Email", "", "x"],
    }
    assert as_admin.post(SETTINGS, sent).status_code == 302
    setting = ChannelSync.objects.get()
    assert (setting.account, setting.bring, setting.every_hours) == (account, "segments", 6)
    assert setting.rules == [{"operator": "contains", "text": "SMS"}, {"operator": "lacks", "text": "Email"}]
    shown = text_of(as_admin.get(SETTINGS))
    assert 'value="SMS"' in shown
    assert '<option value="segments" selected>' in shown
    shown = text_of(as_admin.get("/integrations/"))
    assert "Every 6 hours" in shown
    assert "Segments only" in shown
    as_admin.post(SETTINGS, {"account": account.pk, "every_hours": "6"})
    setting.refresh_from_db()
    assert (setting.bring, setting.every_hours, setting.rules) == ("both", 0, [])


def test_settings_say_what_the_last_sync_did(as_admin: Client, klaviyo: FakeKlaviyo, sync: Sync) -> None:
    klaviyo.add_many(2, 0)
    sync()
    for path in (SETTINGS, "/integrations/"):
        assert "just now</time>, 2 new</a>" in text_of(as_admin.get(path))
    sync()
    assert "just now</time>, no changes</a>" in text_of(as_admin.get(SETTINGS))


def test_a_schedule_uses_the_only_account(as_admin: Client, account: KlaviyoAccount) -> None:
    assert as_admin.post(SETTINGS, {"automatic": "on", "every_hours": "6"}).status_code == 302
    assert ChannelSync.objects.get().account == account


def test_a_schedule_needs_one_of_several_accounts(as_admin: Client, account: KlaviyoAccount) -> None:
    other = KlaviyoAccount(account_id="Other1", name="Wholesale", organisation="Wholesale")
    other.keep_key(account.key())
    other.save()
    assert "Choose an account</option>" in text_of(as_admin.get(SETTINGS))
    answer = as_admin.post(SETTINGS, {"automatic": "on", "every_hours": "6"})
    assert answer.status_code == 422
    assert "Choose the account that the schedule uses." in text_of(answer)


@pytest.mark.parametrize(
    ("texts", "number"), [(["a", ""], None), (["a", " "], None), (["a", "b"], 3), (["a"] * 49, 50), (["a"] * 50, None)]
)
def test_the_rule_editor_has_room_for_a_further_rule(as_admin: Client, texts: list[str], number: int | None) -> None:
    sent = {"operator": ["contains"] * len(texts), "text": texts}
    shown = as_admin.post(f"{SETTINGS}matches/", sent, headers=HTMX).content.decode()
    assert re.findall(r'<input [^>]*id="text-(\d+)"', shown) == ([str(number)] if number else [])


def test_the_rule_editor_shows_what_it_would_match(as_admin: Client, klaviyo: FakeKlaviyo, sync: Sync) -> None:
    klaviyo.add_segment("A", "SMS – back in stock")
    klaviyo.add_segment("B", "VIP")
    sync()
    klaviyo.add_segment("C", "SMS – new")
    sync(goal="check")
    answer = as_admin.post(f"{SETTINGS}matches/", {"operator": "contains", "text": "sms"}, headers=HTMX)
    shown = text_of(answer)
    assert "The rules match 2 of 3 names" in shown
    assert shown.index("</mark> – new") < shown.index("</mark> – back in stock")
    assert "Matches most names" in shown
    assert "already here" in shown
    assert "arrives inactive" in shown
