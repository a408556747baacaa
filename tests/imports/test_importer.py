"""Check and import of a job: what is written down, what is compared, what is refused."""

import csv
import errno
import hashlib
import io
import random
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from hypothesis import HealthCheck, given, strategies

from channels.models import Channel
from imports import importer, planfile
from imports.mapping import Mapping
from imports.models import ImportChannel, ImportJob
from jobs.models import Status
from jobs.runner import run_here
from people.models import Person
from segments import changes
from segments.changes import By
from segments.models import ChangeSet, Segment, Source
from segments.values import SegmentValues, folded_key

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "Segment name,Segment ID,Link,Active\n"
STANDARD = Mapping({"name": 1, "segment_id": 2, "link": 3, "active": 4})
TWO = Mapping({"name": 1, "segment_id": 2})
CHECK, RUN = ImportJob.Goal.CHECK, ImportJob.Goal.RUN

Upload = Callable[..., ImportJob]


def upload(content: str | bytes, *slugs: str, mapping: Mapping = STANDARD, **fields: Any) -> ImportJob:
    """Return a job with a stored file, as the upload page leaves it."""
    data = content.encode() if isinstance(content, str) else content
    fields = {"via": "web" if "user" in fields else "command", **fields}
    job = ImportJob(file_name="segments.csv", status=Status.UPLOADED, goal=CHECK, mapping=mapping.to_json(), **fields)
    job.file = default_storage.save(f"imports/{job.pk}/upload", ContentFile(data))
    job.size, job.sha256 = len(data), hashlib.sha256(data).hexdigest()
    job.save()
    for channel in Channel.objects.filter(slug__in=slugs or ["email"]):
        ImportChannel.objects.create(job=job, channel=channel)
    return job


def checked(job: ImportJob) -> ImportJob:
    assert run_here(job, CHECK, once=True)
    return job


def done(job: ImportJob) -> ImportJob:
    assert run_here(job, RUN, once=True)
    return job


def channel(slug: str = "email") -> Channel:
    return Channel.objects.get(slug=slug)


def add(name: str, segment_id: str = "", slug: str = "email") -> Segment:
    return changes.add(channel(slug), SegmentValues(name, segment_id, "", True), By())


def counts(job: ImportJob, slug: str = "email") -> tuple[int, ...]:
    target = job.targets.get(channel__slug=slug)
    return tuple(getattr(target, name) for name in ImportChannel.COUNTS)


def stored(name: str) -> bytes:
    with default_storage.open(name) as file:
        content: bytes = file.read()
    return content


def error_file(job: ImportJob) -> list[list[str]]:
    name = f"imports/{job.pk}/{job.files}errors.csv"
    if not default_storage.exists(name):
        return []
    text = stored(name).decode("utf-8-sig")
    assert text.endswith("\r\n")
    return list(csv.reader(io.StringIO(text, newline="")))


MIXED = HEADER + "VIP,v-1,,yes\n,x-1,,\n\nVIP again,v-1,,\nShoes, bags,s-1,,true\n'=Sale,,ftp://x,maybe\n"


def test_a_check_writes_down_the_plan_and_no_segment() -> None:
    add("VIP", "v-1")
    before = ChangeSet.objects.count()
    job = checked(upload(MIXED))
    assert job.status == Status.READY
    assert (job.rows, job.blank) == (6, 1)
    assert counts(job) == (0, 0, 1, 1, 3)
    assert (job.encoding, job.delimiter, job.header) == ("utf-8", ",", ["Segment name", "Segment ID", "Link", "Active"])
    assert job.suggested_mapping == STANDARD.to_json()
    outcomes = [(line.line, line.outcome) for line in planfile.page(job, channel().pk)]
    assert outcomes == [(2, "unchanged"), (3, "error"), (5, "skipped"), (6, "error"), (7, "error")]
    assert Segment.objects.count() == 1
    assert ChangeSet.objects.count() == before


def test_errors_are_kept_with_column_header_value_and_what_to_do() -> None:
    job = checked(upload(MIXED))
    found = list(job.row_errors.values_list("line", "field", "column", "header", "name", "value", "code"))
    assert found == [
        (3, "name", 1, "Segment name", "", "", "name_required"),
        (6, "", None, "", "Shoes", "true", "too_many_cells"),
        (7, "link", 3, "Link", "=Sale", "ftp://x", "url_scheme"),
        (7, "active", 4, "Active", "=Sale", "maybe", "active_unknown"),
    ]
    assert all(error.message.endswith(".") for error in job.row_errors.all())


def test_the_error_file_has_the_cells_as_read_and_comes_back() -> None:
    job = checked(upload(MIXED))
    header, *rows = error_file(job)
    assert header == ["Line", "Error", "Segment name", "Segment ID", "Link", "Active"]
    assert [row[0] for row in rows] == ["3", "6", "7"]
    assert rows[0][1:] == ["Segment name: Fill in a segment name.", "", "x-1", "", ""]
    assert rows[1][2:] == ["Shoes", " bags", "s-1", "", "true"]
    assert rows[2][2:] == ["'=Sale", "", "ftp://x", "maybe"]

    name = f"imports/{job.pk}/{job.files}errors.csv"
    shifted = Mapping({"name": 3, "segment_id": 4, "link": 5, "active": 6})
    again = checked(upload(stored(name), mapping=shifted))
    assert again.suggested_mapping == shifted.to_json()
    assert counts(again) == (0, 0, 0, 0, 3)
    assert [row[2:] for row in error_file(again)] == [row[2:] for row in error_file(job)]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_error_file_is_separated_as_the_file_was_and_comes_back(delimiter: str) -> None:
    header = delimiter.join(("Segment name", '"Link (here, there, or, nowhere)"'))
    job = checked(upload(f"{header}\nVIP,=1{delimiter}ftp://x\n", mapping=Mapping({"name": 1, "link": 2})))
    assert job.delimiter == delimiter
    content = stored(f"imports/{job.pk}/{job.files}errors.csv")
    lines = content.decode("utf-8-sig").splitlines()
    assert lines[0] == delimiter.join(f'"{cell}"' for cell in ("Line", "Error", *job.header))
    assert lines[1].endswith(f'"VIP,=1"{delimiter}"ftp://x"')
    again = checked(upload(content, mapping=Mapping({"name": 3, "link": 4})))
    assert (again.delimiter, again.header[2:]) == (delimiter, job.header)
    assert again.row_errors.get().name == "VIP,=1"


def test_a_file_without_errors_has_no_error_file() -> None:
    job = checked(upload(MIXED))
    assert error_file(job)
    job.mapping = Mapping(values={"name": "VIP"}).to_json()
    job.save()
    checked(job)
    assert counts(job)[-1] == 1  # too many cells is wrong whatever is mapped
    good = checked(upload(HEADER + "VIP\n"))
    assert error_file(good) == []


def test_an_import_writes_segments_and_its_end_together(marketer: Person) -> None:
    job = done(checked(upload(MIXED, user=marketer)))
    assert job.status == Status.DONE
    assert counts(job) == (1, 0, 0, 1, 3)
    assert job.warnings == []
    segment = Segment.objects.get()
    assert (segment.name, segment.segment_id, segment.source, segment.created_line) == ("VIP", "v-1", Source.CSV, 2)
    assert job.change_set is not None
    assert (job.change_set.kind, job.change_set.via, job.change_set.user) == ("import", "web", marketer)
    assert job.change_set.label == "segments.csv"
    assert job.change_set.channels.get().errors == 3


def test_an_import_needs_no_check() -> None:
    job = done(upload(MIXED))
    assert job.change_set is not None
    assert job.change_set.via == ChangeSet.Via.COMMAND
    assert counts(job) == (1, 0, 0, 1, 3)
    assert job.row_errors.count() == 4
    assert [row[0] for row in error_file(job)] == ["Line", "3", "6", "7"]
    assert [line.of_line for line in planfile.page(job, channel().pk, "skipped")] == [2]


def test_an_import_that_does_something_else_than_its_check_said_says_so() -> None:
    job = checked(upload(HEADER + "VIP,v-1,,\nLapsed,,,\n"))
    assert counts(job) == (2, 0, 0, 0, 0)
    add("VIP", "v-1")
    done(job)
    assert counts(job) == (1, 0, 1, 0, 0)
    (warning,) = job.warnings
    assert warning["code"] == "changed_since_check"
    assert "2 created" in warning["message"]
    assert "1 created" in warning["message"]


def test_several_channels_are_one_change_set_with_counts_of_each() -> None:
    add("VIP", "v-1", "sms")
    job = done(checked(upload(HEADER + "VIP,v-1,,\n,x,,\n", "email", "sms")))
    assert counts(job, "email") == (1, 0, 0, 0, 1)
    assert counts(job, "sms") == (0, 0, 1, 0, 1)
    assert job.rows == 2
    assert ChangeSet.objects.filter(kind="import").count() == 1
    assert job.row_errors.count() == 1  # wrong in every channel


def test_a_row_that_several_segments_match_is_an_error_of_that_channel() -> None:
    add("VIP", "v-1")
    add("VIP", "v-2")
    for prepare in (checked, done):
        job = prepare(upload(HEADER + ",bad,,\nVIP,,,\nLapsed,,,\n", "email", "sms"))
        assert counts(job, "email") == (1, 0, 0, 0, 2)
        assert counts(job, "sms") == (2, 0, 0, 0, 1)
        errors = list(job.row_errors.values_list("line", "field", "code", "channel__slug", "value"))
        assert errors == [(2, "name", "name_required", None, ""), (3, "name", "ambiguous_match", "email", "VIP")]
        assert [row[0] for row in error_file(job)] == ["Line", "2", "3"]
        assert error_file(job)[2][2] == "VIP"
        assert [line.line for line in planfile.page(job, channel().pk, "errors")] == [2, 3]


def test_passwords_are_masked_in_the_database_and_kept_in_the_error_file() -> None:
    job = checked(upload(HEADER + "VIP,,https://tom:secret@example.com/a,\n"))
    error = job.row_errors.get()
    assert (error.code, error.value) == ("url_credentials", "https://tom:••••@example.com/a")
    assert error_file(job)[1][4] == "https://tom:secret@example.com/a"


def test_nul_bytes_are_shown_and_kept() -> None:
    job = checked(upload(HEADER + "Bad\0name,z\0-2,,\n"))
    assert [error.value for error in job.row_errors.all()] == ["Bad␀name", "z␀-2"]
    assert error_file(job)[1][2:4] == ["Bad\0name", "z\0-2"]


def test_the_first_errors_are_in_the_database_and_all_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer, "ERRORS_KEPT", 10)
    job = checked(upload(HEADER + ",x,,\n" * 25))
    assert job.row_errors.count() == 10
    assert len(error_file(job)) == 26
    assert counts(job)[-1] == 25


@pytest.mark.parametrize(
    ("content", "mapping", "code", "line"),
    [
        (HEADER + 'VIP,"v-1\n', STANDARD, "unclosed_quote", 2),
        (b"Segment name\n\xc3\xa9\n\xe9\n", Mapping({"name": 1}), "undecodable", 3),
        (HEADER, STANDARD, "no_data_rows", 1),
        (b"", STANDARD, "empty_file", None),
        (b"PK\x03\x04", STANDARD, "not_csv", None),
        (HEADER + "VIP\n", Mapping(), "name_unmapped", 1),
        (HEADER + "VIP\n", Mapping({"name": 5}), "no_such_column", None),
        (HEADER + "VIP\n", Mapping({"name": 1}, {"active": "maybe"}), "active_unknown", None),
        ("Report\n\nSegment name,Segment ID\nVIP,1\n", Mapping(), "header_not_first_line", 3),
        ("Report;x;y;z\nSegment name,Segment ID\nVIP,1\n", Mapping(), "header_not_first_line", 2),
        (HEADER + "VIP\n" * 4, STANDARD, "too_many_rows", 5),
    ],
)
@pytest.mark.parametrize("goal", [CHECK, RUN])
def test_what_cannot_be_read_fails_with_a_sentence_and_changes_nothing(
    content: str | bytes, mapping: Mapping, code: str, line: int | None, goal: str, settings: Any
) -> None:
    settings.IMPORT_MAX_ROWS = 3
    job = upload(content, mapping=mapping)
    run_here(job, goal, once=True)
    assert (job.status, job.code, job.error_line) == (Status.FAILED, code, line)
    assert job.message.endswith(".")
    assert not Segment.objects.exists()
    assert not ChangeSet.objects.exists()


@pytest.mark.parametrize(("spoil", "code"), [("other", "file_changed"), ("", "file_missing")])
def test_another_file_than_the_uploaded_one_is_not_imported(spoil: str, code: str) -> None:
    job = checked(upload(HEADER + "VIP\n"))
    default_storage.delete(job.file)
    if spoil:
        default_storage.save(job.file, ContentFile((HEADER + spoil + "\n").encode()))
    done(job)
    assert (job.status, job.code) == (Status.FAILED, code)
    assert not Segment.objects.exists()


def test_warnings_say_what_was_guessed_and_what_a_spreadsheet_changed() -> None:
    job = checked(upload("Segment name,Segment ID\nCafé,1.2E+05\nBar,3E+10\nE+ club,x\n".encode("cp1252"), mapping=TWO))
    assert [warning["code"] for warning in job.warnings] == ["encoding_guessed", "id_scientific"]
    assert "2 Segment IDs" in job.warnings[1]["message"]
    assert "line 2" in job.warnings[1]["message"]
    people = checked(upload("Email,First name,Last name\na@example.com,A,B\n", mapping=Mapping({"name": 2})))
    assert [warning["code"] for warning in people.warnings] == ["looks_like_people"]


def test_a_chosen_encoding_and_delimiter_are_used() -> None:
    job = checked(
        upload("Segment name;x,Segment ID\nCafé;y,1\n".encode("mac_roman"), mapping=TWO, chosen_encoding="mac_roman")
    )
    assert (job.encoding, job.delimiter, job.warnings) == ("mac_roman", ",", [])
    (line,) = planfile.page(job, channel().pk)
    assert line.after.name == "Café;y"


def test_progress_is_told_and_ends_at_all_rows() -> None:
    job = upload(HEADER + "VIP,,,\n" * 12_000)
    steps: list[tuple[int, int, str]] = []
    job.on_beat = lambda *step: steps.append(step)
    checked(job)
    assert [step for _rows, _total, step in steps][:2] == ["reading", "reading"]
    assert all(rows <= total for rows, total, _step in steps)
    assert {step for _rows, _total, step in steps} == {"reading", "matching"}
    assert (job.progress, job.total) == (12_000, 12_000)


WORDS = ["", "VIP", "vip", "Lapsed", "x\0", "a" * 300, "'=1"]
LINKS = ["", "https://example.com", "x"]
IDS = ["", "i-1", "I-1", "i-2", "1E+05"]


@hypothesis.settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(strategies.integers())
def test_rows_add_up_and_a_second_import_changes_nothing(seed: int) -> None:
    Segment.objects.all().delete()
    draw = random.Random(seed)
    rows = [
        [
            draw.choice(WORDS),
            draw.choice(IDS),
            draw.choice(["", "https://example.com", "x"]),
            draw.choice(["", "no", "?"]),
        ]
        for _ in range(draw.randint(1, 12))
    ]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([HEADER.strip().split(","), *rows])
    rule = draw.choice(["update", "skip"])
    first = done(upload(text.getvalue(), on_duplicate=rule))
    assert sum(counts(first)) + first.blank == first.rows == len(rows)
    second = done(upload(text.getvalue(), on_duplicate=rule))
    assert counts(second)[:2] == (0, 0)
    assert sum(counts(second)) + second.blank == len(rows)


PIECES = strategies.text(strategies.sampled_from("ab,;\"'=\r\n \0é\u200b\ud7ff😀\x1f@"), max_size=40).map(str.encode)


@hypothesis.settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    strategies.just(HEADER.encode()) | PIECES | strategies.binary(max_size=60),
    PIECES,
    strategies.sampled_from([STANDARD, TWO, Mapping({"name": 1})]),
)
def test_any_bytes_end_as_an_import_or_as_a_sentence(head: bytes, rest: bytes, mapping: Mapping) -> None:
    Segment.objects.all().delete()
    job = checked(upload(head + b"\n" + rest, mapping=mapping))
    if job.status == Status.READY:
        done(job)
        assert job.status == Status.DONE
        assert sum(counts(job)) + job.blank == job.rows
        assert Segment.objects.count() == counts(job)[0]
    else:
        assert job.code not in ("", "internal")
        assert job.message.endswith(".")
        assert not Segment.objects.exists()


def test_rows_with_errors_are_on_file_before_the_import_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    job = checked(upload(MIXED))
    before = error_file(job)

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(importer.errorfile, "write", full)
    done(job)
    assert (job.status, Segment.objects.count()) == (Status.FAILED, 0)
    assert error_file(job) == before


def test_errors_are_those_of_the_import_where_its_check_counted_as_many() -> None:
    add("VIP", "v-1")
    add("VIP", "v-2")
    job = checked(upload(HEADER + "VIP,,,\nLapsed,,,\n"))
    assert [row[0] for row in error_file(job)] == ["Line", "2"]
    Segment.objects.filter(segment_id__in=["v-1", "v-2"]).update(name="Lapsed", name_key=folded_key("Lapsed"))
    done(job)
    assert [row[0] for row in error_file(job)] == ["Line", "3"]
    assert len(default_storage.listdir(f"imports/{job.pk}")[1]) == 3  # the upload, one plan, one error file
