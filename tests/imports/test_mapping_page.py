"""Matching columns: the suggestion, the preview that is the plan, and starting the import."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse

from channels.models import Channel
from imports import matching
from imports.models import ImportJob
from jobs import lease
from jobs.models import Status
from jobs.runner import run_here
from people.models import Person
from segments import changes
from segments.models import Segment
from segments.values import SegmentValues

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
COLUMNS = b"Segment name,Segment ID,Link,Active\nVIP,v-1,https://example.com/1,yes\nLapsed,l-2,ftp://x,no\nAll,,,\n"


def url(job: ImportJob, name: str = "mapping") -> str:
    return reverse(f"imports:{name}", args=[job.pk])


def sent(job: ImportJob, **other: str) -> dict[str, str]:
    """What the browser sends for the form as the job stands, but for `other`."""
    data = {"on_duplicate": job.on_duplicate, "encoding": job.encoding, "delimiter": job.delimiter}
    for name in ("name", "segment_id", "link", "active"):
        source = job.mapping.get(name) or {}
        data[f"{name}_from"] = next(iter(source), "none")
        data[f"{name}_column"] = str(source.get("column", ""))
        data[f"{name}_value"] = source.get("value", "")
    return data | other


def text_of(answer: Any) -> str:
    """The words of a page, without markup between them."""
    return " ".join(answer.content.decode().split())


def rows_of(answer: Any) -> list[tuple[int, str]]:
    """Line and outcome of each row of the preview."""
    return [(row.plan.line, row.plan.outcome) for row in answer.context["preview"].page]


def test_page_shows_the_suggestion_with_its_reason_and_examples(
    as_marketer: Client, uploaded: Callable[..., ImportJob]
) -> None:
    job = uploaded(b"Name,Status,url\nVIP,active,https://example.com/1\nLapsed,inactive,\n")
    rows = {row.field.name: row for row in as_marketer.get(url(job)).context["form"].rows}
    assert {name: row.reason for name, row in rows.items()} == {
        "name": "header",
        "segment_id": "",
        "link": "header",
        "active": "values",
    }
    assert [example.text for example in rows["name"].examples] == ["VIP", "Lapsed"]
    text = text_of(as_marketer.get(url(job)))
    assert "Matched automatically" in text
    assert "Our best guess, please check" in text
    assert "We matched 3 of 4 fields" in text


def test_preview_is_the_plan_of_the_whole_file(
    as_marketer: Client, marketer: Person, uploaded: Callable[..., ImportJob]
) -> None:
    email = Channel.objects.get(slug="email")
    changes.add(email, SegmentValues("VIP old", "v-1"), changes.By(marketer))
    answer = as_marketer.get(url(uploaded(COLUMNS)))
    assert rows_of(answer) == [(2, "updated"), (3, "error"), (4, "created")]
    text = text_of(answer)
    assert "2 ready" in text
    assert "1 with errors" in text
    assert "Left out: Start the link with https:// so it can be opened." in text
    assert "1 row</b> matches segments in Email" in text
    assert Segment.objects.count() == 1


def test_preview_shows_ready_rows_or_those_with_errors_page_by_page(
    as_marketer: Client, uploaded: Callable[..., ImportJob]
) -> None:
    lines = [f"Segment {n},{'javascript:x' if n % 2 else ''}" for n in range(60)]
    job = uploaded("\n".join(["Segment name,Link", *lines]).encode())
    errors = as_marketer.get(url(job), {"show": "errors"})
    assert rows_of(errors) == [(line, "error") for line in range(3, 53, 2)]
    last = as_marketer.get(url(job), {"show": "errors", "page": "2"})
    assert rows_of(last) == [(line, "error") for line in range(53, 63, 2)]
    assert "26–30 of 30 rows" in text_of(last)
    assert rows_of(as_marketer.get(url(job), {"show": "ready"}))[0] == (2, "created")
    for odd in ({"show": "x"}, {"page": "x"}, {"to": "fax"}, {"page": "99"}):
        assert as_marketer.get(url(job), odd).status_code == 200


def test_import_that_another_request_checks_just_now_starts_once_that_has(
    as_marketer: Client, uploaded: Callable[..., ImportJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Typing a value and pressing the button sends both at once: whoever comes second finds the check under way."""
    job = uploaded(b"Segment name\nVIP\n")
    asked = []

    def other_is_first(job: ImportJob, *args: object, **how: object) -> bool:
        asked.append(job.pk)
        ImportJob.objects.filter(pk=job.pk).update(status=Status.CHECKING)
        return False

    def until_it_is_done(seconds: float) -> None:
        monkeypatch.undo()
        ImportJob.objects.filter(pk=job.pk).update(status=Status.WAITING)
        assert run_here(ImportJob.objects.get(pk=job.pk), ImportJob.Goal.CHECK)

    monkeypatch.setattr(matching, "run_here", other_is_first)
    monkeypatch.setattr(matching.time, "sleep", until_it_is_done)
    answer = as_marketer.post(
        f"/data/imports/{job.pk}/start/", sent(job, link_from="value", link_value="https://a.example")
    )
    assert asked == [job.pk]
    assert answer["Location"] == f"/data/imports/{job.pk}/"
    job.refresh_from_db()
    assert (job.status, job.goal) == (Status.WAITING, ImportJob.Goal.RUN)


def test_each_channel_has_a_plan_of_its_own(
    as_marketer: Client, marketer: Person, uploaded: Callable[..., ImportJob]
) -> None:
    sms = Channel.objects.get(slug="sms")
    changes.add(sms, SegmentValues("All"), changes.By(marketer))
    job = uploaded(COLUMNS, channel=["email", "sms"])
    assert rows_of(as_marketer.get(url(job), {"to": "email"}))[2] == (4, "created")
    answer = as_marketer.get(url(job), {"to": "sms"})
    assert rows_of(answer)[2] == (4, "unchanged")
    assert "2 ready in each of 2 channels" in text_of(answer)


def test_change_checks_anew_and_swaps_in_parts_alone(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded(COLUMNS)
    answer = as_marketer.post(url(job), sent(job, link_from="none"), headers=HTMX)
    assert rows_of(answer) == [(2, "created"), (3, "created"), (4, "created")]
    html = answer.content.decode()
    for part in ("check", "notes", "preview", "stick", "file-facts", "about-link", "examples-link"):
        assert f'id="{part}"' in html
    assert "<select" not in html
    assert "<html" not in html
    job.refresh_from_db()
    assert job.mapping["link"] == {}


def test_change_works_without_script(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded(COLUMNS)
    answer = as_marketer.post(url(job), sent(job, name_column="2"))
    assert "<html" in answer.content.decode()
    assert rows_of(answer) == [(2, "created"), (3, "error"), (4, "error")]


def test_worker_leaves_a_small_file_to_the_request_that_checks_it(
    as_marketer: Client, uploaded: Callable[..., ImportJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, claimed = uploaded(COLUMNS), []

    def slow(*args: Any, **more: Any) -> bool:
        claimed.append(lease.claim("worker of the test"))
        return run_here(*args, **more)

    monkeypatch.setattr(matching, "run_here", slow)
    answer = as_marketer.post(url(job), sent(job))
    assert claimed == [None]
    assert "1 with errors" in text_of(answer)


def test_skipping_what_exists_changes_the_plan(
    as_marketer: Client, marketer: Person, uploaded: Callable[..., ImportJob]
) -> None:
    changes.add(Channel.objects.get(slug="email"), SegmentValues("VIP old", "v-1"), changes.By(marketer))
    job = uploaded(COLUMNS)
    answer = as_marketer.post(url(job), sent(job, on_duplicate="skip"))
    assert rows_of(answer)[0] == (2, "skipped")
    assert "Skipped: it is there already" in text_of(answer)


def test_missing_name_is_said_and_nothing_can_be_started(
    as_marketer: Client, uploaded: Callable[..., ImportJob]
) -> None:
    job = uploaded("Zielgruppe;Kennung\nStammkunden Köln;ZG-118\n".encode())
    assert job.status == Status.UPLOADED
    answer = as_marketer.get(url(job))
    text = text_of(answer)
    assert "Say which column holds the segment name" in text
    assert '<button class="btn btn-primary" type="button" aria-disabled="true" id="go">' in text
    assert as_marketer.post(url(job, "start"))["Location"] == url(job)
    job.refresh_from_db()
    assert job.status == Status.UPLOADED
    assert rows_of(as_marketer.post(url(job), sent(job, name_from="column", name_column="1"))) == [(2, "created")]


@pytest.mark.parametrize(
    ("data", "field", "message"),
    [
        ({"segment_id_from": "column"}, "segment_id", "Choose a column, or leave this unmapped."),
        ({"segment_id_from": "value"}, "segment_id", "Give the value for all rows, or leave this unmapped."),
        ({"link_from": "value", "link_value": "ftp://x"}, "link", "Start the link with https:// so it can be opened."),
        ({"name_from": "value", "name_value": " "}, "name", "Say which column holds the segment name"),
        ({"name_column": "77"}, "name", "The file has no column 77."),
        ({"name_column": "x"}, "name", "Say which column holds the segment name"),
    ],
)
def test_wrong_choice_is_said_at_its_field(
    as_marketer: Client, uploaded: Callable[..., ImportJob], data: dict[str, str], field: str, message: str
) -> None:
    job = uploaded(b"Segment name\nVIP\n")
    answer = as_marketer.post(url(job), sent(job, **data))
    row = next(row for row in answer.context["form"].rows if row.field.name == field)
    assert message in row.errors[0]
    assert answer.context["preview"] is None


def test_static_segment_id_is_said_to_be_a_label(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded(b"Segment name\nVIP\nLapsed\nAll\n")
    answer = as_marketer.post(url(job), sent(job, segment_id_from="value", segment_id_value="spring"))
    assert "The same ID for every row is a label" in text_of(answer)
    assert rows_of(answer) == [(2, "created"), (3, "created"), (4, "created")]


def test_unknown_words_of_active_status_are_named(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded(b"Segment name,Active\nA,yes\nB,paused\nC,paused\nD,archived\n")
    text = text_of(as_marketer.get(url(job)))
    assert "2 words in the first rows of “Active” are unknown to us." in text
    assert '<code class="code">paused</code><span class="small muted num">2 rows</span>' in text


def test_two_equal_headers_and_an_empty_one_are_columns_of_their_own(
    as_marketer: Client, uploaded: Callable[..., ImportJob]
) -> None:
    job = uploaded(b"Name,Name,\nA,B,C\n")
    row = as_marketer.get(url(job)).context["form"].rows[0]
    assert [choice.label for choice in row.columns] == ["Name (column 1)", "Name (column 2)", "Column 3"]
    answer = as_marketer.post(url(job), sent(job, name_column="2"))
    assert answer.context["preview"].page[0].plan.after.name == "B"


def test_encoding_can_be_chosen_and_the_columns_are_read_anew(
    as_marketer: Client, uploaded: Callable[..., ImportJob]
) -> None:
    job = uploaded("Name;Größe\nKöln;3\n".encode("cp1252"))
    text = text_of(as_marketer.get(url(job)))
    assert "We guessed the encoding." in text
    assert "Windows-1252 (our guess)" in text
    answer = as_marketer.post(url(job), sent(job, encoding="mac_roman"), headers=HTMX)
    assert (answer["HX-Retarget"], answer["HX-Reswap"]) == ("#matching", "outerHTML")
    assert answer.context["preview"].page[0].plan.after.name == "K\u02c6ln"
    job.refresh_from_db()
    assert job.chosen_encoding == "mac_roman"


def test_delimiter_can_be_chosen_and_the_matching_is_suggested_anew(
    as_marketer: Client, uploaded: Callable[..., ImportJob]
) -> None:
    job = uploaded(b"Name|x,Link,ID\nVIP|1,,v-1\n")
    answer = as_marketer.post(url(job), sent(job, delimiter="|"))
    assert [row.number for row in answer.context["form"].rows] == [1, 0, 0, 0]
    assert answer.context["preview"].page[0].plan.after.name == "VIP"
    assert text_of(answer).count('value="|" checked') == 1


def test_column_names_below_a_title_are_pointed_at(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded(b"Report of segments\n\nSegment name,Segment ID\nA,1\n")
    says = "The column names seem to be in line 3. Delete the lines above it and try again."
    assert says in text_of(as_marketer.get(url(job)))
    chosen = sent(job, name_from="column", name_column="1")
    assert says in text_of(as_marketer.post(url(job), chosen))
    assert '<dt>Rows</dt> <dd class="num">2</dd>' in text_of(as_marketer.get(url(job)))
    assert '<dt>Blank lines</dt> <dd class="num">1</dd>' in text_of(as_marketer.get(url(job)))
    assert says not in text_of(as_marketer.get(url(uploaded(b"Segment name,Segment ID\nA,1\n"))))


def test_broken_text_can_be_mended_by_another_encoding(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded("Name\nKöln\n".encode() + b"M\xfcnchen\n")
    text = text_of(as_marketer.get(url(job)))
    assert "The file cannot be read like this" in text
    assert "Line 3 holds a character that cannot be read as UTF-8." in text
    assert "None of your segments were changed." in text
    answer = as_marketer.post(url(job), {"encoding": "cp1252"})
    assert rows_of(answer) == [(2, "created"), (3, "created")]


def test_fault_deep_in_the_file_is_said_with_its_line(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    rows = b"".join(b"Segment %d\n" % n for n in range(2_000))
    job = uploaded(b"Name\n" + rows + b'"never closed\n')
    text = text_of(as_marketer.get(url(job)))
    assert "The check stopped at line 2,002" in text
    assert "None of your segments were changed." in text
    assert "The file could not be checked" in text


@pytest.fixture
def large(settings: Any) -> None:
    """Let every file count as one that a worker has to check."""
    settings.IMPORT_CHECK_IN_REQUEST_BYTES = 0


@pytest.mark.usefixtures("large")
def test_large_file_is_checked_by_a_worker_while_the_page_asks_again(
    as_marketer: Client, uploaded: Callable[..., ImportJob], work: Callable[[], int]
) -> None:
    job = uploaded(COLUMNS)
    assert (job.status, job.goal) == (Status.WAITING, "check")
    waiting = as_marketer.get(url(job))
    assert 'hx-trigger="every 1s"' in waiting.content.decode()
    assert "The check of this file is waiting" in text_of(waiting)
    ImportJob.objects.update(status=Status.CHECKING, progress=64, total=100)
    text = text_of(as_marketer.get(url(job), headers=HTMX))
    assert "Checking, 64 %" in text
    assert 'max="100" value="64"' in text
    ImportJob.objects.update(status=Status.WAITING)
    assert work() == 1
    done = as_marketer.get(url(job), headers=HTMX)
    assert "every 1s" not in done.content.decode()
    assert len(rows_of(done)) == 3
    assert "2 ready" in text_of(done)


@pytest.mark.usefixtures("large")
def test_check_can_be_stopped_and_started_again(
    as_marketer: Client, uploaded: Callable[..., ImportJob], work: Callable[[], int]
) -> None:
    job = uploaded(COLUMNS)
    assert as_marketer.post(url(job, "stop"))["Location"] == url(job)
    assert work() == 0
    assert "Not checked yet" in text_of(as_marketer.get(url(job)))
    as_marketer.post(url(job), sent(job))
    assert work() == 1


@pytest.mark.usefixtures("large")
def test_change_while_it_is_checked_starts_the_check_again(
    as_marketer: Client, uploaded: Callable[..., ImportJob], work: Callable[[], int]
) -> None:
    job = uploaded(COLUMNS)
    token = uuid4()
    ImportJob.objects.update(status=Status.CHECKING, lease_token=token)
    as_marketer.post(url(job), sent(job, link_from="none"))
    job.refresh_from_db()
    assert (job.status, job.lease_token) == (Status.WAITING, None)
    work()
    assert rows_of(as_marketer.get(url(job)))[1] == (3, "created")


@pytest.mark.usefixtures("large")
def test_nothing_starts_before_the_check_has_ended(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded(COLUMNS)
    assert as_marketer.post(url(job, "start"), sent(job))["Location"] == url(job)
    job.refresh_from_db()
    assert job.goal == "check"


def test_import_is_of_whoever_started_it_not_of_whoever_uploaded_it(
    as_admin: Client, admin_person: Person, uploaded: Callable[..., ImportJob], work: Callable[[], int]
) -> None:
    job = uploaded(b"Segment name\nVIP\n")
    as_admin.post(url(job, "start"))
    work()
    job.refresh_from_db()
    assert (job.user, job.change_set.user) == (admin_person, admin_person)


def test_import_whose_uploader_is_gone_can_be_gone_on_with(
    as_admin: Client, marketer: Person, uploaded: Callable[..., ImportJob], work: Callable[[], int]
) -> None:
    job = uploaded(COLUMNS)
    marketer.delete()
    job.refresh_from_db()
    as_admin.post(url(job), sent(job, link_from="none"))
    job.refresh_from_db()
    assert job.status == Status.READY


def test_upload_and_import_puts_the_job_into_the_queue(
    as_marketer: Client, uploaded: Callable[..., ImportJob], work: Callable[[], int]
) -> None:
    job = uploaded(COLUMNS)
    assert as_marketer.post(url(job, "start"), sent(job))["Location"] == url(job, "detail")
    job.refresh_from_db()
    assert (job.status, job.goal) == (Status.WAITING, "run")
    work()
    assert list(Segment.objects.order_by("name").values_list("name", flat=True)) == ["All", "VIP"]


def test_start_sent_again_is_one_import(
    as_marketer: Client, uploaded: Callable[..., ImportJob], work: Callable[[], int]
) -> None:
    job = uploaded(COLUMNS)
    for _ in range(3):
        assert as_marketer.post(url(job, "start"), sent(job))["Location"] == url(job, "detail")
    assert work() == 1
    assert as_marketer.post(url(job, "start"), sent(job))["Location"] == url(job, "detail")
    assert work() == 0


def test_what_was_changed_since_the_check_is_imported_as_changed_when_every_row_is_ready(
    as_marketer: Client, uploaded: Callable[..., ImportJob], work: Callable[[], int]
) -> None:
    job = uploaded(b"Name,Other\nA,B\n")
    assert as_marketer.post(url(job, "start"), sent(job, name_column="2"))["Location"] == url(job, "detail")
    work()
    assert Segment.objects.get().name == "B"


def test_what_was_changed_since_the_check_is_shown_first_when_rows_would_be_left_out(
    as_marketer: Client, uploaded: Callable[..., ImportJob], work: Callable[[], int]
) -> None:
    job = uploaded(b"Name,Other\nA,B\nC,\n")
    answer = as_marketer.post(url(job, "start"), sent(job, name_column="2"), follow=True)
    assert answer.redirect_chain == [(url(job), 302)]
    assert "This had not been checked yet." in text_of(answer)
    assert rows_of(answer) == [(2, "created"), (3, "error")]
    assert work() == 0


def test_started_import_cannot_be_matched_any_more(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded(COLUMNS)
    as_marketer.post(url(job, "start"), sent(job))
    assert as_marketer.post(url(job), sent(job, name_column="2"))["Location"] == url(job, "detail")
    assert as_marketer.post(url(job), sent(job), headers=HTMX)["HX-Redirect"] == url(job, "detail")
    as_marketer.post(url(job, "stop"))
    job.refresh_from_db()
    assert (job.status, job.goal, job.mapping["name"]) == (Status.WAITING, "run", {"column": 1})


def test_file_with_nothing_but_errors_cannot_be_started(
    as_marketer: Client, uploaded: Callable[..., ImportJob]
) -> None:
    job = uploaded(b"Name,Link\nA,nonsense\n")
    assert 'aria-disabled="true" id="go"' in as_marketer.get(url(job)).content.decode()


def test_viewer_and_stranger_do_not_match(
    as_viewer: Client, client: Client, uploaded: Callable[..., ImportJob]
) -> None:
    job = uploaded(COLUMNS)
    for name in ("mapping", "start", "stop"):
        assert as_viewer.post(url(job, name)).status_code == 403
        assert client.post(url(job, name))["Location"].startswith("/accounts/login/")


def test_unknown_import_is_not_found(as_marketer: Client) -> None:
    for name in ("mapping", "start", "stop"):
        assert as_marketer.post(reverse(f"imports:{name}", args=[uuid4()])).status_code == 404


def test_start_and_stop_are_posts(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded(COLUMNS)
    assert [as_marketer.get(url(job, name)).status_code for name in ("start", "stop")] == [405, 405]


def test_markup_in_a_file_is_text(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    html = as_marketer.get(url(uploaded("26_html_names.csv"))).content.decode()
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html


def test_page_takes_the_same_queries_for_any_number_of_rows(
    as_marketer: Client, uploaded: Callable[..., ImportJob], django_assert_max_num_queries: Any
) -> None:
    jobs = [uploaded(b"Name\n" + b"".join(b"Segment %d\n" % n for n in range(rows))) for rows in (1, 30)]
    as_marketer.get(url(jobs[0]))
    for job in jobs:
        with django_assert_max_num_queries(8):
            as_marketer.get(url(job))


def test_removed_file_leads_to_the_page_of_the_import(as_marketer: Client, uploaded: Callable[..., ImportJob]) -> None:
    job = uploaded(COLUMNS)
    default_storage.delete(job.file)
    ImportJob.objects.update(file="", status=Status.CANCELLED)
    assert as_marketer.get(url(job))["Location"] == url(job, "detail")
