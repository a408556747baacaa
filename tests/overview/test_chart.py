"""The overview's chart: which numbers it shows, and where its columns stand."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from channels.models import Channel
from integrations.models import KlaviyoAccount, SyncJob
from jobs.models import Status
from overview import board
from overview.chart import Day, chart, step_for
from overview.trend import DAYS, OF_EVERYBODY, OF_SYNCS, Trend, trend
from segments import changes
from segments.models import ChangeSet
from segments.values import SegmentValues


@pytest.fixture
def email() -> Channel:
    return Channel.objects.get(slug="email")


def now() -> Trend:
    return trend(board.channels())


@pytest.mark.once
@pytest.mark.parametrize(
    ("highest", "step"), [(0, 1), (1, 1), (5, 1), (6, 2), (10, 2), (18, 5), (25, 5), (26, 10), (1_000_000, 200_000)]
)
def test_five_steps_of_a_round_number_reach_the_highest_column(highest: int, step: int) -> None:
    assert step_for(highest) == step


@pytest.mark.once
def test_a_column_stands_on_the_lowest_line_and_ends_at_its_number() -> None:
    drawn = chart([Day(date(2026, 11, 22), (0, 0)), Day(date(2026, 11, 23), (4, 0))], width=640, height=208, thick=26)
    assert [line.label for line in drawn.lines] == ["0", "1", "2", "3", "4"]
    assert (drawn.lines[0].y, drawn.lines[-1].y) == ("180.0", "10.0")
    empty, full = drawn.columns
    assert empty.parts == []
    assert [(part.key, part.y, part.height) for part in full.parts] == [(1, "10.0", "170.0")]
    assert (empty.label, full.label) == ("22 Nov", "23 Nov")


@pytest.mark.once
def test_one_among_thousands_is_seen() -> None:
    drawn = chart([Day(date(2026, 11, 23), (20_000, 1))], width=320, height=200, thick=14)
    assert float(drawn.columns[0].parts[1].height) > 1


@pytest.mark.once
def test_long_numbers_have_room_left_of_the_lines() -> None:
    drawn = chart([Day(date(2026, 11, 23), (1_000_000,))], width=320, height=200, thick=14)
    assert drawn.lines[-1].label == "1,000,000"
    assert drawn.left > 7 * len("1,000,000")


@pytest.mark.django_db
def test_without_syncs_it_is_what_everybody_changed(email: Channel) -> None:
    segment = changes.add(email, SegmentValues("VIP"), changes.By())
    changes.set_active(segment, False, changes.By())
    changes.delete(segment, changes.By())
    changes.add(email, SegmentValues("Long ago"), changes.By())
    ChangeSet.objects.filter(label="Long ago").update(at=timezone.now() - timedelta(days=DAYS + 1))
    found = now()
    assert (found.title, len(found.days)) == (OF_EVERYBODY, DAYS)
    assert found.days[-1] == Day(timezone.localdate(), (1, 1, 1))
    assert not any(sum(day.numbers) for day in found.days[:-1])
    assert found.words.endswith("Most changes today: 1 created, 1 changed, 1 deleted.")


@pytest.mark.django_db
def test_where_syncs_ran_it_is_what_they_changed(email: Channel) -> None:
    account = KlaviyoAccount.objects.create(account_id="XyZ123", name="Fernhill", encrypted_key="not read here")
    changes.add(email, SegmentValues("By hand"), changes.By())
    done = {"channel": email, "account": account, "status": Status.DONE}
    for days, created, updated, missing in ((0, 2, 1, 0), (1, 5, 0, 3), (DAYS + 2, 100, 0, 0)):
        at = timezone.now() - timedelta(days=days)
        counts = {"created": created, "updated": updated, "missing": missing}
        SyncJob.objects.create(**done, **counts, created_at=at, finished_at=at)
    found = now()
    assert found.title == OF_SYNCS
    assert [day.numbers for day in found.days[-2:]] == [(5, 0, 3), (2, 1, 0)]
    assert sum(sum(day.numbers) for day in found.days) == 11


@pytest.mark.django_db
def test_a_day_begins_at_midnight_where_the_reader_is(email: Channel) -> None:
    changes.add(email, SegmentValues("VIP"), changes.By())
    yesterday = timezone.now().astimezone(UTC).date() - timedelta(days=3)
    late = datetime(yesterday.year, yesterday.month, yesterday.day, 23, 30, tzinfo=UTC)
    ChangeSet.objects.update(at=late)
    for zone, day in (("UTC", yesterday), ("Europe/Berlin", yesterday + timedelta(days=1))):
        with timezone.override(ZoneInfo(zone)):
            assert [each.date for each in now().days if any(each.numbers)] == [day]


@pytest.mark.django_db
def test_the_first_day_is_whole_where_the_clock_was_put_back_in_it(
    email: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes.add(email, SegmentValues("VIP"), changes.By())
    ChangeSet.objects.update(at=datetime(2026, 10, 24, 22, 15, tzinfo=UTC))  # 00:15 in Berlin, on the next day
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 11, 7, 22, 30, tzinfo=UTC))
    with timezone.override(ZoneInfo("Europe/Berlin")):
        assert now().days[0] == Day(date(2026, 10, 25), (1, 0, 0))


@pytest.mark.django_db
def test_a_channel_that_is_empty_again_is_in_it(email: Channel) -> None:
    before = now().days[-1].numbers
    changes.delete(changes.add(email, SegmentValues("VIP"), changes.By()), changes.By())
    assert now().days[-1].numbers == tuple(map(sum, zip(before, (1, 0, 1), strict=True)))


@pytest.mark.django_db
def test_the_page_has_the_numbers_of_the_picture_as_a_table(as_viewer: Client, email: Channel) -> None:
    changes.add(email, SegmentValues("VIP"), changes.By())
    page = " ".join(as_viewer.get("/").content.decode().split())
    assert len(re.findall(r'<svg class="chart [a-z-]+" width="\d+" height="\d+"', page)) == 2
    assert page.count("<title id=") >= 2
    rows = re.findall(r'<th scope="row" class="nowrap">([^<]+)</th> <td class="r num">(\d+)</td>', page)
    today = timezone.localdate()
    assert len(rows) == DAYS
    assert rows[-1] == (f"{today.day} {today:%b}", "1")


@pytest.mark.django_db
def test_two_weeks_without_changes_have_no_picture(as_viewer: Client, email: Channel) -> None:
    changes.add(email, SegmentValues("VIP"), changes.By())
    ChangeSet.objects.update(at=timezone.now() - timedelta(days=DAYS + 1))
    page = as_viewer.get("/").content.decode()
    assert "Nothing has changed in these days." in page
    assert '<svg class="chart' not in page
