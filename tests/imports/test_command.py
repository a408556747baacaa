"""manage.py import_segments: its arguments, its exit status, what it writes and where."""

import errno
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command

from imports.models import ImportJob
from jobs.lease import request_cancel
from segments.models import ChangeSet, Segment

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "Segment name,Segment ID,Link,Active\n"
KEYS = ["import", "change_set", "status", "file", "suggested_mapping", "mapping", "rows"]
KEYS += ["created", "updated", "unchanged", "skipped", "errors", "blank", "channels"]
KEYS += ["error_rows", "skipped_rows", "warnings", "error"]


class Done:
    """What a run of the command left behind."""

    def __init__(self, status: int, out: str, error: str) -> None:
        self.status = status
        self.out = out
        self.error = error

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


Import = Callable[..., Done]


@pytest.fixture
def import_segments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Import:
    """Run the command on a file with this content: `import_segments(content, "--json")`, into Email."""

    def run(content: str | bytes | Path, *options: str, channels: tuple[str, ...] = ("email",)) -> Done:
        path = content if isinstance(content, Path) else tmp_path / "segments.csv"
        if isinstance(content, str):
            path.write_bytes(content.encode())
        elif isinstance(content, bytes):
            path.write_bytes(content)
        status, error = 0, ""
        try:
            call_command("import_segments", str(path), *options, *[f"--channel={slug}" for slug in channels])
        except CommandError as refusal:
            status, error = refusal.returncode, str(refusal)
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capsys.readouterr()
        return Done(status, captured.out, captured.err + error)

    return run


def stored_files() -> list[str]:
    if not default_storage.exists("imports"):
        return []
    folders = default_storage.listdir("imports")[0]
    return [f"{folder}/{name}" for folder in folders for name in default_storage.listdir(f"imports/{folder}")[1]]


def assert_nothing_changed(files: list[str]) -> None:
    assert not Segment.objects.exists()
    assert not ChangeSet.objects.exists()
    assert not ImportJob.objects.exists()
    assert stored_files() == files


def test_json_has_all_keys_and_columns_as_numbers(import_segments: Import) -> None:
    done = import_segments(
        HEADER + "VIP,v-1,,yes\n,x-1,,\n\nVIP,v-1,,\n", "--json", "--set", "active=no", "--map=link="
    )
    found = done.json
    assert list(found) == KEYS
    assert done.status == 3
    job = ImportJob.objects.get()
    assert (found["import"], found["change_set"], found["status"]) == (str(job.pk), job.change_set_id, "done")
    assert found["file"] == {"encoding": "utf-8", "delimiter": ",", "header": HEADER.strip().split(",")}
    assert found["suggested_mapping"] == {"name": 1, "segment_id": 2, "link": 3, "active": 4}
    assert found["mapping"] == {"name": 1, "segment_id": 2, "link": None, "active": {"value": "no"}}
    assert found["rows"] == 4
    counts = {"created": 1, "updated": 0, "unchanged": 0, "skipped": 1, "errors": 1, "blank": 1}
    assert {name: found[name] for name in counts} == counts
    assert found["channels"] == [{"channel": "email", **counts}]
    (row,) = found["error_rows"]
    assert {**row, "message": ""} == {
        "line": 3,
        "field": "name",
        "column": 1,
        "value": "",
        "code": "name_required",
        "message": "",
    }
    assert found["skipped_rows"] == [{"line": 5, "code": "duplicate_in_file", "of_line": 2}]
    assert found["warnings"] == []
    assert found["error"] is None
    assert not Segment.objects.get().active


def test_counts_of_several_channels_add_up_to_rows_times_channels(import_segments: Import) -> None:
    found = import_segments(HEADER + "VIP\n\nVIP\n,x\n", "--json", channels=("email", "sms", "email")).json
    assert [each["channel"] for each in found["channels"]] == ["email", "sms"]
    assert found["rows"] == 2 * 4
    assert sum(found[name] for name in ("created", "updated", "unchanged", "skipped", "errors", "blank")) == 8
    assert len(found["error_rows"]) == len(found["skipped_rows"]) == 1


def test_words_go_to_standard_output_and_errors_to_standard_error(import_segments: Import) -> None:
    done = import_segments(HEADER + "VIP\n,x-1\n")
    assert done.status == 3
    assert "email: 1 created, 0 updated, 0 unchanged, 0 skipped, 1 errors, 0 blank" in done.out
    assert f"undo_change {ChangeSet.objects.get().pk}" in done.out
    assert done.error.strip() == "Line 3: Segment name: Fill in a segment name."


def test_a_clean_import_exits_with_0_and_says_nothing_else(import_segments: Import) -> None:
    done = import_segments(HEADER + "VIP\n")
    assert (done.status, done.error) == (0, "")


@pytest.mark.parametrize(
    ("content", "word", "code"),
    [
        (b"", "empty", "empty_file"),
        (b"\x7fELF\x02\x01" + bytes(100), "program", "not_csv"),
        (b"PK\x03\x04[Content_Types].xml", "Excel", "not_csv"),
        (b"Foo,Bar\n1,2\n", "segment name", "name_unmapped"),
        (b"Email Address,First Name\na@example.com,Ada\n", "segment name", "name_unmapped"),
        (b"Report\nSegment name,Segment ID\nVIP,1\n", "line 2", "header_not_first_line"),
        (b"Segment name\n", "rows", "no_data_rows"),
        (b'"Segment name\nVIP\n', "line 1", "unclosed_quote"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_sentence_and_changes_nothing(
    import_segments: Import, content: bytes, word: str, code: str
) -> None:
    files = stored_files()
    done = import_segments(content, "--json")
    assert done.status == 1
    assert word in done.error
    assert done.error.count("\n") == 0
    assert done.json["error"]["code"] == code
    assert done.json["error"]["message"] == done.error
    assert done.json["status"] == "failed"
    assert_nothing_changed(files)
    assert import_segments(content).out == ""


def test_a_file_without_a_name_column_says_how_to_name_one(import_segments: Import) -> None:
    done = import_segments(b"Foo,Bar\nVIP,2\n")
    assert done.error == (
        "No column is called like a segment name; name one with --map name=COLUMN (the file has 'Foo', 'Bar')."
    )
    assert import_segments(b"Foo,Bar\nVIP,2\n", "--map", "name=Foo").status == 0


def test_a_missing_file_is_one_sentence(import_segments: Import, tmp_path: Path) -> None:
    files = stored_files()
    done = import_segments(tmp_path / "nothing.csv", "--json")
    assert done.status == 1
    assert "nothing.csv cannot be read" in done.error
    assert done.json["error"]["code"] == "file_missing"
    assert import_segments(tmp_path).status == 1  # a folder
    assert_nothing_changed(files)


def test_an_unknown_channel_is_one_sentence_that_names_those_there_are(import_segments: Import) -> None:
    files = stored_files()
    done = import_segments(HEADER + "VIP\n", channels=("email", "fax"))
    assert done.status == 1
    assert "email, sms, meta" in done.error
    assert_nothing_changed(files)


def test_a_file_beyond_the_limit_is_refused(import_segments: Import, settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 1024 * 1024
    files = stored_files()
    done = import_segments(HEADER + "VIP\n" * 300_000)
    assert done.status == 1
    assert "1 MiB" in done.error
    assert_nothing_changed(files)


def test_a_row_that_ends_the_reading_fails_the_import_and_changes_nothing(import_segments: Import) -> None:
    done = import_segments(HEADER + "VIP\n" * 2000 + 'Lapsed,"x\n', "--json")
    assert done.status == 1
    assert (done.json["error"]["code"], done.json["error"]["line"]) == ("unclosed_quote", 2002)
    assert done.json["import"] == str(ImportJob.objects.get().pk)
    assert not Segment.objects.exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--set", "active=maybe"],
        ["--set", "colour=red"],
        ["--set", "active"],
        ["--map", "colour=Name"],
        ["--map", "name"],
        ["--map", "name=Nothing"],
        ["--map", "name=#9"],
        ["--map", "name=#0"],
        ["--map", "link=Twice"],
        ["--encoding", "nonsense"],
        ["--delimiter", "::"],
        ["--delimiter", "x"],
    ],
)
def test_arguments_that_make_no_sense_are_wrong_usage(import_segments: Import, options: list[str]) -> None:
    files = stored_files()
    done = import_segments("Name,Twice,Twice\nVIP,x,y\n", *options)
    assert done.status == 2
    assert options[0] in done.error
    assert done.error.count("\n") == 0
    assert_nothing_changed(files)


def test_map_takes_headers_in_any_case_numbers_and_nothing(import_segments: Import) -> None:
    content = "Name,ID,Name,Web Site,\nA,1,VIP,https://example.com,x-1\n"
    options = ["--map=name=#3", "--map=segment_id=#5", "--map=link=web  site"]
    assert import_segments(content, *options).status == 0
    assert Segment.objects.values_list("name", "segment_id", "link").get() == ("VIP", "x-1", "https://example.com")
    assert import_segments(content, "--map=segment_id=", channels=("sms",)).status == 0
    assert Segment.objects.filter(channel__slug="sms").values_list("name", "segment_id").get() == ("A", "")


def test_set_replaces_the_suggestion_and_an_id_so_set_is_a_label(import_segments: Import) -> None:
    found = import_segments(HEADER + "VIP,1\nLapsed,2\nNew,3\n", "--set=segment_id=spring", "--json").json
    assert found["mapping"]["segment_id"] == {"value": "spring"}
    assert [segment.has_label for segment in Segment.objects.filter(segment_id="spring")] == [True] * 3
    again = import_segments(HEADER + "VIP,1\nLapsed,2\nNew,3\n", "--set=segment_id=spring", "--json").json
    assert (again["unchanged"], again["created"], again["updated"]) == (3, 0, 0)


def test_encoding_and_delimiter_can_be_said(import_segments: Import) -> None:
    content = "Segment name;Café, Bar;ID\nCafé;x;1\n"
    found = import_segments(content.encode("mac_roman"), "--encoding=Mac-Roman", "--json").json
    assert found["file"] == {"encoding": "mac_roman", "delimiter": ";", "header": ["Segment name", "Café, Bar", "ID"]}
    assert Segment.objects.get().name == "Café"
    for name, delimiter in (("tab", "\t"), ("Pipe", "|"), ("|", "|"), ("semicolon", ";")):
        content = f"Name{delimiter}a,b,c,d,e\nVIP{delimiter}x\n"
        assert import_segments(content, f"--delimiter={name}", "--json").json["file"]["delimiter"] == delimiter


def test_on_duplicate_skip_skips_and_update_is_the_default(import_segments: Import) -> None:
    import_segments(HEADER + "VIP,1\n")
    assert import_segments(HEADER + "VIP gold,1\n", "--on-duplicate=skip", "--json").json["skipped"] == 1
    assert import_segments(HEADER + "VIP gold,1\n", "--json").json["updated"] == 1


def test_a_dry_run_says_the_same_and_leaves_nothing(import_segments: Import) -> None:
    files = stored_files()
    content = HEADER + "VIP,1\nVIP,1\n,x\n"
    dry = import_segments(content, "--dry-run", "--json")
    assert dry.status == 3
    assert (dry.json["import"], dry.json["change_set"], dry.json["status"]) == (None, None, "ready")
    assert_nothing_changed(files)
    assert "nothing was changed" in import_segments(content, "--dry-run").out
    wet = import_segments(content, "--json").json
    same = ("rows", "created", "skipped", "errors", "error_rows", "skipped_rows", "channels", "mapping", "file")
    assert {key: wet[key] for key in same} == {key: dry.json[key] for key in same}


def test_standard_input_is_read(import_segments: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((HEADER + "VIP\n").encode())))
    done = import_segments(Path("-"), "--json")
    assert done.json["created"] == 1
    assert ImportJob.objects.get().file_name == "standard input"


@pytest.mark.parametrize("file", [b"Segment name\nVIP\n", Path("-")], ids=["file", "standard input"])
def test_a_full_disk_is_no_fault_of_the_file(
    import_segments: Import, monkeypatch: pytest.MonkeyPatch, file: bytes | Path
) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Segment name\nVIP\n")))
    monkeypatch.setattr(default_storage, "save", full)
    files = stored_files()
    done = import_segments(file, "--json")
    assert (done.status, done.json["error"]["code"]) == (1, "not_stored")
    assert "No space left on device" in done.json["error"]["message"]
    assert_nothing_changed(files)


def test_interrupting_it_changes_nothing(import_segments: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("imports.importer.changes.apply", interrupt)
    done = import_segments(HEADER + "VIP\n", "--json")
    assert done.status == 1
    assert (done.json["error"]["code"], done.json["status"]) == ("cancelled", "cancelled")
    assert not Segment.objects.exists()


def test_somebody_can_cancel_it_from_the_page(import_segments: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = ImportJob.begin_writing

    def cancelled_meanwhile(self: ImportJob) -> None:
        assert request_cancel(ImportJob.objects.get(pk=self.pk))
        begin(self)

    monkeypatch.setattr(ImportJob, "begin_writing", cancelled_meanwhile)
    done = import_segments(HEADER + "VIP\n", "--json")
    assert done.status == 1
    assert (done.json["error"]["code"], done.json["status"]) == ("cancelled", "cancelled")
    assert not Segment.objects.exists()


def test_as_a_process_it_keeps_to_its_exit_statuses(environment: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "segments.csv"
    path.write_text(HEADER + "VIP,1\n,x\n")

    def status(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, configured.BASE_DIR / "manage.py", "import_segments", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert status(str(path), "--channel=email")[0] == 3
    code, error = status(str(tmp_path / "nothing.csv"), "--channel=email")
    assert code == 1
    assert error.count("\n") == 1
    assert status(str(path))[0] == 2  # no channel
    assert status(str(path), "--channel=email", "--on-duplicate=replace")[0] == 2
    assert Segment.objects.count() == 1


def test_a_standard_input_that_is_closed_is_a_sentence(
    import_segments: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(CommandError, match="^Standard input is closed.") as ended:
        call_command("import_segments", "-", "--channel", "email")
    assert ended.value.returncode == 1


def test_a_status_column_that_is_not_used_is_warned_of(import_segments: Import) -> None:
    done = import_segments("Name,Status\nA,active\nB,inactive\nC,archived\n", "--dry-run", "--json")
    assert [warning["code"] for warning in done.json["warnings"]] == ["status_not_matched"]


def test_a_database_that_is_not_prepared_is_a_sentence(tmp_path: Path, environment: dict[str, str]) -> None:
    environment |= {"DATA_DIR": str(tmp_path / "data"), "DATABASE_URL": f"sqlite:///{tmp_path}/none.sqlite3"}
    command = [sys.executable, "manage.py", "export_segments", "--channel", "email"]
    done = subprocess.run(
        command, env=environment, cwd=configured.BASE_DIR, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("The database cannot be used. It is not prepared for this version (no such table")
