"""The marks that syncs leave on segments in the list."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.models import SyncJob
from segments import changes
from segments.models import Segment
from segments.values import SegmentValues
from tests.klaviyo.fake import FakeKlaviyo

pytestmark = pytest.mark.django_db(transaction=True)

TAB = "/channels/email/segments/"
Sync = Callable[..., SyncJob]


def page(client: Client, path: str) -> str:
    return " ".join(client.get(path).content.decode().split())


def row(client: Client, segment: Segment) -> str:
    html = page(client, TAB)
    return html[html.index(f'id="segment-{segment.pk}"') :].split("</tr>")[0]


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
