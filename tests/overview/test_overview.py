"""The overview: channels at a glance, what happened lately, what needs somebody."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels.models import Channel
from imports.models import ImportChannel, ImportJob
from integrations.models import KlaviyoAccount, SyncJob
from jobs.models import Status, WorkerSeen
from overview import board, tally
from people.models import Person
from segments import changes
from segments.models import ChangeSet, Segment, Source
from segments.values import SegmentValues

pytestmark = pytest.mark.django_db


@pytest.fixture
def email() -> Channel:
    return Channel.objects.get(slug="email")


def text(client: Client) -> str:
    return " ".join(client.get("/").content.decode().split())


def card_of(channel: Channel) -> board.Card:
    return next(card for card in board.cards(board.channels()) if card.channel == channel)


def fill(channel: Channel, count: int, by: changes.By) -> ChangeSet:
    rows = ((line, SegmentValues(f"Segment {line}", active=line % 3 > 0)) for line in range(1, count + 1))
    with changes.stage(rows) as staged:
        return changes.apply(
            staged,
            [channel],
            changes.Rule.UPDATE,
            kind=ChangeSet.Kind.IMPORT,
            source=Source.CSV,
            by=by,
            label="shop.csv",
        ).change_set


def test_an_empty_workspace_is_shown_the_first_steps(as_marketer: Client) -> None:
    page = text(as_marketer)
    assert "Three steps" in page
    assert "/data/upload/" in page
    assert "/channels/email/segments/add/" in page


def test_the_first_step_of_an_admin_is_to_connect_klaviyo_and_then_to_sync(
    as_admin: Client, as_marketer: Client
) -> None:
    assert 'href="/integrations/klaviyo/"' in text(as_admin)
    assert "Connect Klaviyo" not in text(as_marketer)
    KlaviyoAccount.objects.create(account_id="XyZ123", name="Fernhill", encrypted_key="not read here")
    for client in (as_admin, as_marketer):
        assert "Sync from Klaviyo into Email…" in text(client)
        assert 'href="/integrations/klaviyo/"' not in text(client)


def test_a_viewer_is_not_shown_steps_that_they_may_not_take(as_viewer: Client) -> None:
    page = text(as_viewer)
    assert "/data/upload/" not in page
    assert "/admin/" not in page


def test_a_card_counts_active_inactive_and_sources(email: Channel, marketer: Person) -> None:
    fill(email, 6, changes.By(marketer))
    changes.add(email, SegmentValues("By hand"), changes.By(marketer))
    card = card_of(email)
    assert (card.channel.segment_count, card.tally.active, card.tally.inactive) == (7, 5, 2)
    assert [(share.label, share.segments) for share in card.shares] == [("CSV", 6), ("Manual", 1)]


def test_klaviyo_segments_and_lists_are_counted_apart(email: Channel) -> None:
    fill(email, 4, changes.By())
    for kind, names in (("segment", ["Segment 1", "Segment 2"]), ("list", ["Segment 3"])):
        email.segments.filter(name__in=names).update(source=Source.KLAVIYO, klaviyo_kind=kind)
    shares = [(share.css, share.label, share.segments) for share in card_of(email).shares]
    assert shares == [("klaviyo", "Klaviyo segments", 2), ("list", "Klaviyo lists", 1), ("csv", "CSV", 1)]


def test_what_did_not_change_is_not_counted_again(email: Channel) -> None:
    segment = changes.add(email, SegmentValues("VIP"), changes.By())
    card_of(email)
    channels = board.channels()
    with CaptureQueriesContext(connection) as captured:
        assert board.cards(channels)[0].tally.active == 1
    assert len(captured) == 0
    changes.set_active(segment, False, changes.By())
    assert card_of(email).tally == tally.Tally(active=0, inactive=1, origins={"manual": 1})


def test_a_huge_channel_that_changes_is_counted_once_a_minute(
    as_viewer: Client, email: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "SMALL", 4)
    monkeypatch.setattr(tally, "_kept", {})
    fill(email, 5, changes.By())
    assert card_of(email).tally.late is False
    changes.add(email, SegmentValues("New"), changes.By())
    late = card_of(email)
    assert (late.channel.segment_count, late.tally.active, late.tally.late) == (6, 4, True)
    assert "counted again within a minute" in text(as_viewer)
    monkeypatch.setattr(tally, "COUNT_AGAIN_AFTER", 0.0)
    assert card_of(email).tally.active == 5
    assert "counted again within a minute" not in text(as_viewer)


def test_what_happened_says_who_did_what_where(as_viewer: Client, email: Channel, marketer: Person) -> None:
    fill(email, 1200, changes.By(marketer))
    segment = changes.add(email, SegmentValues("VIP <b>"), changes.By(marketer))
    changes.set_active(segment, False, changes.By(None, ChangeSet.Via.COMMAND))
    page = text(as_viewer)
    assert 'Imported shop.csv</a> <span class="muted small">Email · 1,200 created · by Marketer Person</span>' in page
    assert "Added “VIP &lt;b&gt;”" in page
    assert "Email · 1 changed · by Command line" in page


def test_an_import_that_failed_this_week_needs_attention(as_viewer: Client) -> None:
    now = timezone.now()
    for name, at in (("new.csv", now), ("old.csv", now - timedelta(days=8))):
        ImportJob.objects.create(file_name=name, status=Status.FAILED, message="No header.", finished_at=at)
    page = text(as_viewer)
    assert "<b>new.csv</b> was not imported. No header." in page
    assert "old.csv" not in page


def test_rows_that_were_left_out_need_attention(as_viewer: Client, email: Channel) -> None:
    job = ImportJob.objects.create(file_name="shop.csv", status=Status.DONE, finished_at=timezone.now())
    ImportChannel.objects.create(job=job, channel=email, created=3, errors=1)
    assert "<b>1 row</b> of shop.csv had errors and was not imported." in text(as_viewer)


def test_an_import_that_waits_without_a_worker_needs_attention(as_viewer: Client) -> None:
    long_ago = timezone.now() - timedelta(minutes=5)
    ImportJob.objects.create(file_name="shop.csv", status=Status.WAITING, created_at=long_ago)
    assert "No worker is running" in text(as_viewer)
    WorkerSeen.objects.create(name="w", started_at=long_ago, seen_at=timezone.now())
    assert "No worker is running" not in text(as_viewer)


def test_nothing_needs_attention_when_all_is_well(as_viewer: Client, email: Channel) -> None:
    fill(email, 3, changes.By())
    assert "Needs your attention" not in text(as_viewer)


def test_the_overview_costs_the_same_at_one_row_and_at_many(as_viewer: Client, email: Channel) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            as_viewer.get("/")
        return len(captured)

    fill(email, 1, changes.By())
    one = queries()
    for each in range(30):
        changes.add(email, SegmentValues(f"By hand {each}"), changes.By())
        job = ImportJob.objects.create(file_name=f"{each}.csv", status=Status.DONE, finished_at=timezone.now())
        ImportChannel.objects.create(job=job, channel=email, errors=1)
    assert queries() == one <= 8
    assert queries() <= 6  # nothing has changed since, so nothing is counted


def test_the_overview_never_costs_more_than_eight_queries(
    as_admin: Client, email: Channel, admin_person: Person, left_out: ImportJob
) -> None:
    account = KlaviyoAccount.objects.create(account_id="XyZ123", name="Fernhill", encrypted_key="not read here")
    fill(email, 3, changes.By(admin_person))
    changes.set_active(email.segments.get(name="Segment 1"), False, changes.By(admin_person))
    gone = {"klaviyo_id": "gone", "segment_id": "gone", "missing_since": timezone.now()}
    email.segments.filter(name="Segment 2").update(**gone)
    now = timezone.now()
    SyncJob.objects.create(channel=email, account=account, status=Status.DONE, finished_at=now, created=1)
    SyncJob.objects.create(channel=email, account=account, status=Status.FAILED, message="Klaviyo was not reachable.")
    with CaptureQueriesContext(connection) as captured:
        page = text(as_admin)
    assert len(captured) <= 8
    assert "Klaviyo was not reachable." in page
    assert "“<bdi>Segment 2</bdi>”" in page
    assert "Deactivated “Segment 1”" in page


@pytest.fixture
def left_out(email: Channel) -> ImportJob:
    """An import that left out a row."""
    job = ImportJob.objects.create(file_name="shop.csv", status=Status.DONE, finished_at=timezone.now())
    ImportChannel.objects.create(job=job, channel=email, created=3, errors=1)
    return job


def test_an_import_that_is_undone_needs_no_attention(as_viewer: Client, email: Channel, left_out: ImportJob) -> None:
    left_out.change_set = fill(email, 3, changes.By())
    left_out.save()
    assert "Needs your attention" in text(as_viewer)
    changes.undo(left_out.change_set, changes.By())
    assert "Needs your attention" not in text(as_viewer)


@pytest.mark.parametrize("undone", [False, True])
def test_an_import_that_failed_is_not_hidden_by_newer_ones_with_errors(
    as_viewer: Client, email: Channel, undone: bool
) -> None:
    now = timezone.now()
    ImportJob.objects.create(file_name="bad.csv", status=Status.FAILED, message="No header.", finished_at=now)
    for each in range(25):
        job = ImportJob.objects.create(file_name=f"{each}.csv", status=Status.DONE, finished_at=now)
        ImportChannel.objects.create(job=job, channel=email, created=3, errors=1)
        if undone:
            job.change_set = fill(email, 3, changes.By())
            job.save()
            changes.undo(job.change_set, changes.By())
    page = text(as_viewer)
    assert "<b>bad.csv</b> was not imported. No header." in page
    assert page.count("had errors and was not imported.") == (0 if undone else 3)


def test_imports_with_errors_are_not_hidden_by_newer_ones_that_failed(as_viewer: Client, left_out: ImportJob) -> None:
    for each in range(25):
        ImportJob.objects.create(file_name=f"{each}.csv", status=Status.FAILED, finished_at=timezone.now())
    page = text(as_viewer)
    assert "<b>1 row</b> of shop.csv had errors and was not imported." in page
    assert page.count("</b> was not imported.") == 3


def test_what_was_seen_is_dismissed_for_everybody(as_viewer: Client, as_marketer: Client, left_out: ImportJob) -> None:
    path = f"/data/imports/{left_out.pk}/dismiss/"
    assert path not in text(as_viewer)
    assert f'<form method="post" action="{path}">' in text(as_marketer)
    for _ in range(2):
        assert as_marketer.post(path)["Location"] == "/"
    assert "Needs your attention" not in text(as_viewer)


def test_an_import_into_several_channels_is_one_line_that_says_so(as_viewer: Client, left_out: ImportJob) -> None:
    sms = ImportChannel.objects.create(job=left_out, channel=Channel.objects.get(slug="sms"), errors=1)
    page = text(as_viewer)
    assert page.count("shop.csv had errors") == 1
    assert "<b>1 row</b> of shop.csv had errors and was not imported. " in page
    sms.errors = 2
    sms.save()
    assert "<b>3 rows</b> of shop.csv had errors and were not imported (in 2 channels together)." in text(as_viewer)


def test_an_edit_is_told_in_the_words_of_activity(as_viewer: Client, email: Channel) -> None:
    segment = changes.add(email, SegmentValues("VIPs"), changes.By())
    changes.edit(segment, SegmentValues("VIP"), changes.By())
    changes.set_active(Segment.objects.get(pk=segment.pk), False, changes.By())
    for page in (text(as_viewer), " ".join(as_viewer.get("/activity/").content.decode().split())):
        assert "Renamed “VIP”" in page
        assert "Deactivated “VIP”" in page


def test_the_newest_change_set_of_a_channel_is_what_its_numbers_are_of(email: Channel) -> None:
    fill(email, 1, changes.By())
    newest = fill(email, 2, changes.By())
    fill(Channel.objects.get(slug="sms"), 1, changes.By())
    channel = next(each for each in board.channels() if each == email)
    assert channel.changed_at == newest.at
