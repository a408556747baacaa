"""The page of one import: waiting, running, done, failed, cancelled; and the rows it left out."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from channels.models import Channel
from imports.models import ImportJob, ImportRowError
from jobs.models import WRITING, Status, WorkerSeen
from people.models import Person
from segments import changes
from segments.models import Segment
from segments.values import SegmentValues

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
ROWS = b"Segment name,Segment ID,Link\nVIP,v-1,\n,x,\nLapsed,l-2,ftp://x\nAll,,\nVIP again,v-1,\n\n"


def url(job: ImportJob, name: str = "detail") -> str:
    return reverse(f"imports:{name}", args=[job.pk])


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


@pytest.fixture
def job(marketer: Person) -> Callable[..., ImportJob]:
    """Make an import in any state: `job(status=…, goal="run")`."""

    def make(**fields: Any) -> ImportJob:
        made = ImportJob.objects.create(**{"file_name": "segments.csv", "user": marketer, "goal": "run", **fields})
        made.channels.set([Channel.objects.get(slug="sms")])
        return made

    return make


@pytest.fixture
def imported(
    uploaded: Callable[..., ImportJob], as_marketer: Client, work: Callable[[], int]
) -> Callable[..., ImportJob]:
    """Upload a file and import it."""

    def run(content: bytes | str, **data: Any) -> ImportJob:
        made = uploaded(content, **data)
        as_marketer.post(url(made, "start"))
        work()
        made.refresh_from_db()
        return made

    return run


def test_import_that_waits_says_where_in_the_queue_and_asks_again(
    as_marketer: Client, job: Callable[..., ImportJob]
) -> None:
    WorkerSeen.objects.create(name="w", started_at=timezone.now(), seen_at=timezone.now())
    job(status=Status.WAITING, created_at=timezone.now() - timedelta(hours=1))
    waiting = as_marketer.get(url(job(status=Status.WAITING, rows=1_210)))
    text = text_of(waiting)
    assert "segments.csv is waiting" in text
    assert "2 of 2" in text
    assert "You can leave this page." in text
    assert 'hx-trigger="every 1s"' in waiting.content.decode()
    assert "No worker is running." not in text


def test_import_that_waits_without_a_worker_says_so_after_a_minute_with_the_command(
    as_marketer: Client, job: Callable[..., ImportJob]
) -> None:
    now = timezone.now()
    WorkerSeen.objects.create(name="w", started_at=now, seen_at=now - timedelta(minutes=15))
    made = job(status=Status.WAITING, started_at=now)
    assert "No worker is running." not in text_of(as_marketer.get(url(made)))
    made = job(status=Status.WAITING, started_at=now - timedelta(minutes=3))
    text = text_of(as_marketer.get(url(made)))
    assert "No worker is running." in text
    assert "manage.py worker" in text
    assert "waiting for 3 minutes" in text
    assert "Last worker seen" in text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": Status.WAITING, "attempt": 1}, "Nothing was changed, and it starts again by itself."),
        ({"status": Status.RUNNING, "attempt": 2}, "Nothing was changed, and it has started again by itself."),
    ],
)
def test_interrupted_import_says_that_it_goes_on_by_itself(
    as_marketer: Client, job: Callable[..., ImportJob], fields: dict[str, Any], said: str
) -> None:
    assert f"<b>It was interrupted.</b> {said}" in text_of(as_marketer.get(url(job(**fields))))
    assert "It was interrupted." not in text_of(as_marketer.get(url(job(status=Status.RUNNING, attempt=1))))


def test_running_import_shows_how_far_and_how_fast_it_is(as_marketer: Client, job: Callable[..., ImportJob]) -> None:
    made = job(
        status=Status.RUNNING,
        step="reading",
        progress=640,
        total=1_210,
        started_at=timezone.now() - timedelta(seconds=100),
    )
    answer = as_marketer.get(url(made))
    text = text_of(answer)
    assert "Importing segments.csv" in text
    assert "52%" in text
    assert 'max="1210" value="640"' in text
    assert "640 of 1,210" in text
    assert re.search(r"\b[1-6] rows/s", text)
    assert re.search(r"about \d minutes?", text)
    assert "Cancel import" in text
    assert "every 1s" in answer.content.decode()


def test_import_that_writes_can_only_be_undone(as_marketer: Client, job: Callable[..., ImportJob]) -> None:
    made = job(status=Status.RUNNING, step=WRITING, rows=200_000, started_at=timezone.now())
    made.targets.update(created=199_000, updated=1_000)
    text = text_of(as_marketer.get(url(made)))
    assert "Writing 200,000 segments." in text
    assert "You can undo this afterwards." in text
    assert "Cancel import" not in text
    as_marketer.post(url(made, "cancel"))
    made.refresh_from_db()
    assert made.status == Status.RUNNING


@pytest.mark.parametrize("status", [Status.WAITING, Status.RUNNING])
def test_import_can_be_cancelled_before_it_writes(
    as_marketer: Client, job: Callable[..., ImportJob], status: Status
) -> None:
    made = job(status=status, step="reading")
    assert as_marketer.post(url(made, "cancel"))["Location"] == url(made)
    answer = as_marketer.get(url(made))
    text = text_of(answer)
    assert "This import was cancelled" in text
    assert "None of your segments were changed." in text
    assert "every 1s" not in answer.content.decode()


def test_cancelling_what_is_done_is_too_late(as_marketer: Client, job: Callable[..., ImportJob]) -> None:
    made = job(status=Status.DONE)
    answer = as_marketer.post(url(made, "cancel"), follow=True)
    assert "It was too late to cancel this import." in text_of(answer)
    made.refresh_from_db()
    assert made.status == Status.DONE


def test_failed_import_says_what_happened_and_that_nothing_was_changed(
    as_marketer: Client, job: Callable[..., ImportJob]
) -> None:
    made = job(status=Status.FAILED, code="unclosed_quote", message="A quote is never closed.", error_line=7)
    text = text_of(as_marketer.get(url(made)))
    assert "This import failed at line 7" in text
    assert "A quote is never closed." in text
    assert "None of your segments were changed." in text
    assert "unclosed_quote" in text


def test_import_in_the_end_shows_numbers_that_add_up(as_marketer: Client, imported: Callable[..., ImportJob]) -> None:
    made = imported(ROWS, channel="sms")
    assert made.status == Status.DONE
    assert made.totals == {"created": 2, "updated": 0, "unchanged": 0, "skipped": 1, "errors": 2}
    assert made.planned + made.blank == made.rows == 6
    text = text_of(as_marketer.get(url(made)))
    assert "2 of 5 rows imported" in text
    assert "2 rows had errors and were left out." in text
    assert "The file also has 1 blank line, which was ignored." in text
    assert 'href="/channels/sms/segments/"' in text
    assert reverse("segments:undo", args=[made.change_set_id]) in text


def test_counts_are_shown_for_each_channel(as_marketer: Client, imported: Callable[..., ImportJob]) -> None:
    text = text_of(as_marketer.get(url(imported(ROWS, channel=["email", "sms"]))))
    assert "2 of 5 rows imported in each of 2 channels" in text
    assert "new segments in Email" in text
    assert "new segments in SMS" in text


def test_rows_with_errors_in_one_channel_alone_are_not_taken_for_the_same(
    as_marketer: Client, imported: Callable[..., ImportJob]
) -> None:
    for slug, name in (("email", "VIP"), ("sms", "Lapsed")):
        channel = Channel.objects.get(slug=slug)
        for number in "12":
            changes.add(channel, SegmentValues(name, number), changes.By())
    job = imported(b"Segment name\nVIP\nLapsed\nNew\n", channel=["email", "sms"])
    assert [target.errors for target in job.targets.all()] == [1, 1]
    text = text_of(as_marketer.get(url(job)))
    assert "2 of 3 rows imported in each of 2 channels" in text
    assert "2 rows had errors in 2 channels together and were left out." in text
    assert "<b>2 rows</b> of" in text_of(as_marketer.get("/"))
    assert "2 errors" in text_of(as_marketer.get("/data/imports/"))


def test_poll_gets_the_end_of_the_import_and_fresh_counts_beside_the_channels(
    as_marketer: Client, imported: Callable[..., ImportJob]
) -> None:
    html = as_marketer.get(url(imported(ROWS, channel="sms")), headers=HTMX).content.decode()
    assert html.lstrip().startswith('<div id="import-status">')
    assert 'id="nav-count-sms" hx-swap-oob="true"' in html


def test_error_row_has_line_field_column_value_and_what_to_do(
    as_marketer: Client, imported: Callable[..., ImportJob]
) -> None:
    text = text_of(as_marketer.get(url(imported(ROWS))))
    assert "Rows with errors" in text
    assert "column 3" in text
    assert "ftp://x" in text
    assert "Start the link with https:// so it can be opened." in text
    assert '<code class="code">empty</code>' in text


def test_error_rows_come_page_by_page(as_marketer: Client, job: Callable[..., ImportJob]) -> None:
    made = job(status=Status.DONE)
    ImportRowError.objects.bulk_create(
        ImportRowError(job=made, line=line, field="link", code="url_scheme", message="Wrong.") for line in range(2, 122)
    )
    answer = as_marketer.get(url(made), {"page": "3"})
    assert [error.line for error in answer.context["errors"]] == list(range(102, 122))
    assert "101–120 of 120 errors" in text_of(answer)


def test_error_rows_can_be_downloaded_mended_and_uploaded_again(
    as_viewer: Client, imported: Callable[..., ImportJob], uploaded: Callable[..., ImportJob]
) -> None:
    made = imported(ROWS, name="Kunden März.csv")
    answer = as_viewer.get(url(made, "errors"))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"].startswith("attachment; filename*=utf-8''Kunden%20M%C3%A4rz-errors.csv")
    content = b"".join(answer.streaming_content)
    assert content.decode("utf-8-sig").splitlines()[0] == "Line,Error,Segment name,Segment ID,Link"
    mended = (
        content.replace(b"ftp://x", b"https://example.com").replace(b",x,", b",Named,").replace(b",,Named", b",Named,")
    )
    again = uploaded(mended)
    assert again.mapping["name"] == {"column": 3}


def test_import_without_errors_has_no_file_of_them(as_marketer: Client, imported: Callable[..., ImportJob]) -> None:
    made = imported(b"Name\nVIP\n")
    assert as_marketer.get(url(made, "errors")).status_code == 404
    assert "Download error rows" not in text_of(as_marketer.get(url(made)))


def test_result_that_differs_from_the_check_is_said(
    as_marketer: Client, marketer: Person, uploaded: Callable[..., ImportJob], work: Callable[[], int]
) -> None:
    made = uploaded(b"Name\nVIP\n")
    as_marketer.post(url(made, "start"))
    changes.add(Channel.objects.get(slug="email"), SegmentValues("VIP"), changes.By(marketer))
    work()
    text = text_of(as_marketer.get(url(made)))
    assert "Segments were changed between the check and the import" in text
    assert "Nothing changed: the row is already there" in text


def test_same_file_again_changes_nothing(as_marketer: Client, imported: Callable[..., ImportJob]) -> None:
    imported(ROWS)
    again = imported(ROWS)
    assert again.totals == {"created": 0, "updated": 0, "unchanged": 2, "skipped": 1, "errors": 2}
    assert "Undo this import" not in text_of(as_marketer.get(url(again)))


def test_static_segment_id_makes_three_segments_with_that_label(
    as_marketer: Client, uploaded: Callable[..., ImportJob], work: Callable[[], int]
) -> None:
    made = uploaded(b"Name\nA\nB\nC\n")
    data = {"name_from": "column", "name_column": "1", "segment_id_from": "value", "segment_id_value": "spring"}
    as_marketer.post(url(made, "start"), data | {"link_from": "none", "active_from": "none"})
    work()
    assert list(Segment.objects.values_list("segment_id", "active")) == [("spring", True)] * 3


def test_viewer_sees_the_result_without_what_only_a_marketer_may_do(
    as_viewer: Client, imported: Callable[..., ImportJob]
) -> None:
    text = text_of(as_viewer.get(url(imported(ROWS))))
    assert "2 of 5 rows imported" in text
    assert "Undo this import…" not in text
    assert "Upload another file" not in text


def test_viewer_sees_that_an_import_is_still_being_matched(
    as_viewer: Client, as_marketer: Client, uploaded: Callable[..., ImportJob]
) -> None:
    made = uploaded(ROWS)
    assert "has uploaded this file and not imported it yet." in text_of(as_viewer.get(url(made)))
    assert as_marketer.get(url(made))["Location"] == url(made, "mapping")


def test_undone_import_says_so(as_marketer: Client, marketer: Person, imported: Callable[..., ImportJob]) -> None:
    made = imported(ROWS)
    assert made.change_set
    changes.undo(made.change_set, changes.By(marketer))
    text = text_of(as_marketer.get(url(made)))
    assert "2 of 5 rows imported, then undone" in text
    assert "Undo this import…" not in text


def test_stranger_and_viewer_cannot_cancel(client: Client, as_viewer: Client, job: Callable[..., ImportJob]) -> None:
    made = job(status=Status.WAITING)
    assert client.post(url(made, "cancel"))["Location"].startswith("/accounts/login/")
    assert as_viewer.post(url(made, "cancel")).status_code == 403
    assert as_viewer.get(url(made, "cancel")).status_code == 405


def test_unknown_import_is_not_found(as_marketer: Client) -> None:
    for name in ("detail", "errors"):
        assert as_marketer.get(reverse(f"imports:{name}", args=[uuid4()])).status_code == 404


def test_page_takes_the_same_queries_for_any_number_of_errors(
    as_marketer: Client, job: Callable[..., ImportJob], django_assert_max_num_queries: Any
) -> None:
    made = [job(status=Status.DONE) for _ in range(2)]
    ImportRowError.objects.bulk_create(
        ImportRowError(job=made[n > 0], line=n + 2, field="link", code="url_scheme", message="Wrong.")
        for n in range(31)
    )
    as_marketer.get(url(made[0]))
    for each in made:
        with django_assert_max_num_queries(8):
            as_marketer.get(url(each))
