"""What stays visible of syncs: the marks on segments in the list, an undo that took a sync back, the time it took."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.models import SyncJob
from jobs.models import Status
from segments import changes
from segments.models import ChangeSet, Segment
from segments.values import SegmentValues
from tests.klaviyo.fake import FakeKlaviyo

pytestmark = pytest.mark.django_db(transaction=True)

TAB = "/channels/email/segments/"
SYNCS = f"{TAB}sync/history/"
Sync = Callable[..., SyncJob]


def page(client: Client, path: str) -> str:
    return " ".join(client.get(path).content.decode().split())


def row(client: Client, segment: Segment) -> str:
    html = page(client, TAB)
    return html[html.index(f'id="segment-{segment.pk}"') :].split("</tr>")[0]


# Marks in the list


def test_a_row_says_what_is_gone_and_what_a_person_changed(as_viewer: Client, klaviyo: FakeKlaviyo, sync: Sync) -> None:
    klaviyo.add_many(3, 0)
    sync()
    klaviyo.remove("S00000")
    sync()
    gone, renamed, same = Segment.objects.order_by("segment_id")
    values = SegmentValues("Our own name", renamed.segment_id, renamed.link, renamed.active)
    changes.edit(renamed, values, changes.By())
    marks = ("Gone from Klaviyo", "Manual override")
    assert [[mark in row(as_viewer, each) for mark in marks] for each in (gone, renamed, same)] == [
        [True, False],
        [False, True],
        [False, False],
    ]


def test_marks_cost_no_query_for_each_row(as_viewer: Client, klaviyo: FakeKlaviyo, sync: Sync) -> None:
    klaviyo.add_many(20, 0)
    sync()
    Segment.objects.update(missing_since=timezone.now(), synced_name="other", synced_link="other")
    as_viewer.get(TAB)
    with CaptureQueriesContext(connection) as queries:
        assert page(as_viewer, TAB).count("Manual override</span>") == 20
    assert len([each for each in queries if "segments_segment" in each["sql"]]) == 1


# A sync that was undone


def undo(client: Client, job: SyncJob) -> None:
    client.post(f"/activity/{job.change_set_id}/undo/", {"form_token": uuid4()})


def test_a_sync_that_was_undone_says_so_and_offers_no_second_undo(
    as_marketer: Client, klaviyo: FakeKlaviyo, sync: Sync
) -> None:
    klaviyo.add_many(3, 0)
    job = sync()
    paths = (TAB, job.get_absolute_url(), SYNCS)
    assert not any("Undone</a>" in page(as_marketer, path) for path in paths)
    undo(as_marketer, job)
    assert not Segment.objects.exists()
    for path in paths:
        assert "Undone</a> by Marketer Person, <time" in page(as_marketer, path)
        assert f"/activity/{job.change_set_id}/undo/" not in page(as_marketer, path)
    assert "is up to date" not in page(as_marketer, TAB)


def test_an_undo_that_was_undone_itself_counts_no_more(as_marketer: Client, klaviyo: FakeKlaviyo, sync: Sync) -> None:
    klaviyo.add_many(3, 0)
    job = sync()
    call_command("undo_change", str(job.change_set_id))
    assert "Undone</a> on the command line, <time" in page(as_marketer, TAB)
    call_command("undo_change", str(ChangeSet.objects.latest("pk").pk))
    for path in (TAB, job.get_absolute_url(), SYNCS):
        assert "Undone</a>" not in page(as_marketer, path)
    assert f"/activity/{job.change_set_id}/undo/" in page(as_marketer, TAB)


def test_before_the_undo_it_is_said_what_the_next_sync_does_after_it(
    as_marketer: Client, klaviyo: FakeKlaviyo, sync: Sync
) -> None:
    klaviyo.add_segment("A", "Lapsed")
    sync()
    klaviyo.add_segment("A", "Lapsed 90 days")
    klaviyo.add_segment("B", "New")
    job = sync()
    asked = page(as_marketer, f"/activity/{job.change_set_id}/undo/")
    words = ("come back are marked “Manual override”", "removed come back with the next sync", "is not undone.")
    assert all(each in asked for each in words)
    undo(as_marketer, job)
    restored = Segment.objects.get()
    assert (restored.name, restored.overridden) == ("Lapsed", ["name"])
    sync()
    assert set(Segment.objects.values_list("name", flat=True)) == {"Lapsed", "New"}
    edited = changes.edit(restored, SegmentValues("Own", "A", restored.link, True), changes.By())
    assert edited is not None
    assert "next sync" not in page(as_marketer, f"/activity/{edited.pk}/undo/")


def test_the_history_asks_as_often_for_many_undone_syncs_as_for_few(
    as_marketer: Client, klaviyo: FakeKlaviyo, sync: Sync
) -> None:
    found = []
    for more in (1, 4):
        for _ in range(more):
            klaviyo.add_segment(f"N{SyncJob.objects.count()}", f"N {SyncJob.objects.count()}")
            undo(as_marketer, sync())
        page(as_marketer, SYNCS)
        with CaptureQueriesContext(connection) as queries:
            assert page(as_marketer, SYNCS).count("Undone</a>") == SyncJob.objects.count()
        found.append(len(queries))
    assert found[0] == found[1]


# How long it took


def test_the_time_that_a_question_waited_is_not_said_to_be_work(
    as_marketer: Client, klaviyo: FakeKlaviyo, sync: Sync, work: Callable[[], int]
) -> None:
    klaviyo.add_many(3, 0)
    sync()
    klaviyo.remove("S00000")
    klaviyo.remove("S00001")
    job = sync()
    assert job.status == Status.NEEDS_ANSWER
    SyncJob.objects.filter(pk=job.pk).update(started_at=timezone.now() - timedelta(hours=1))
    assert "took" not in page(as_marketer, job.get_absolute_url())
    as_marketer.post(f"{TAB}sync/{job.pk}/answer/", {"sure": "on"})
    assert work() == 1
    told: Any = page(as_marketer, job.get_absolute_url())
    assert "took" in told
    assert "minutes" not in told
