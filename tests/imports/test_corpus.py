"""Every sample file and sequence of tests/data/csv-samples, to the letter, on the database under test.

The manifest says what each means; this module says how it is held against the application. It goes
through import_segments, as operations do: the page's check and import are the same pipeline.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from channels.models import Channel
from segments.export import csv_pieces
from segments.models import Segment

SAMPLES = Path(__file__).parent.parent / "data" / "csv-samples"
MANIFEST = json.loads((SAMPLES / "manifest.json").read_text("utf-8"))
FIELDS = ("name", "segment_id", "link", "active")
COUNTS = ("created", "updated", "unchanged", "skipped")

pytestmark = pytest.mark.django_db(transaction=True)

Import = Callable[..., dict[str, Any]]


@pytest.fixture
def import_file(capsys: pytest.CaptureFixture[str]) -> Import:
    """Import a file by the command and return its JSON: `import_file(path, step)`, a step as the manifest has it."""

    def run(path: Path, step: dict[str, Any], *options: str) -> dict[str, Any]:
        arguments = ["--json", f"--channel={step.get('channel', 'Email').lower()}", *options]
        if "duplicates" in step:
            arguments.append(f"--on-duplicate={step['duplicates']}")
        if "use_mapping" in step:
            arguments += [f"--map={name}={f'#{n}' if n else ''}" for name, n in step["use_mapping"].items()]
        arguments += [f"--set={name}={value}" for name, value in step.get("use_static", {}).items()]
        try:
            call_command("import_segments", str(path), *arguments)
            status = 0
        except CommandError as error:
            status = error.returncode
        except SystemExit as done:
            status = int(done.code or 0)
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert status == (1 if result["error"] else 3 if result["errors"] else 0)
        return result

    return run


def segments(channel: str = "Email") -> list[tuple[Any, ...]]:
    """What a channel holds, in any order."""
    return sorted(Segment.objects.filter(channel__name=channel).values_list(*FIELDS))


def listed(expected: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(tuple(segment[name] for name in FIELDS) for segment in expected)


def assert_rows(result: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare error rows and skipped rows; a value, or the line that a double repeats, only where one is said."""
    errors, skipped = expected.get("error_rows", []), expected.get("skipped_rows", [])
    found = [(row["line"], row["field"], row["code"]) for row in result["error_rows"]]
    assert found == [(row["line"], row["field"], row["reason"]) for row in errors]
    for row, wanted in zip(result["error_rows"], errors, strict=True):
        assert row["value"] == wanted.get("value", row["value"])[:200]
        assert row["message"]
    found = [(row["line"], row["code"]) for row in result["skipped_rows"]]
    assert found == [(row["line"], row["reason"]) for row in skipped]
    for row, wanted in zip(result["skipped_rows"], skipped, strict=True):
        assert row["of_line"] == wanted.get("of_line", row["of_line"])


def assert_adds_up(result: dict[str, Any]) -> None:
    assert result["rows"] == sum(result[name] for name in (*COUNTS, "errors", "blank"))
    assert result["status"] == "done"


def assert_changes_nothing(result: dict[str, Any]) -> None:
    assert_adds_up(result)
    assert (result["created"], result["updated"]) == (0, 0)


@pytest.mark.parametrize("sample", MANIFEST["files"], ids=lambda sample: sample["file"])
def test_sample(sample: dict[str, Any], import_file: Import) -> None:
    expected = sample["expected"]
    result = import_file(SAMPLES / sample["file"], sample)
    if expected["outcome"] == "file_error":
        assert result["error"]["code"] == expected["code"]
        assert result["error"]["message"]
        assert result["error"]["line"] == expected.get("line", result["error"]["line"])
        assert not Segment.objects.exists()
        return
    file = {name: sample[name] for name in ("encoding", "delimiter", "header")}
    assert result["file"] == file
    assert result["suggested_mapping"] == sample["suggested_mapping"]
    counts = {name: result[name] for name in ("created", "updated", "skipped")}
    assert {**counts, "error_rows": result["errors"], "blank_ignored": result["blank"]} == expected["counts"]
    assert result["unchanged"] == 0
    assert_adds_up(result)
    assert_rows(result, expected)
    assert [warning["code"] for warning in result["warnings"]] == expected["warnings"]
    if "segments" in expected:
        assert segments() == listed(expected["segments"])
    assert Segment.objects.count() == expected["counts"]["created"]
    assert_changes_nothing(import_file(SAMPLES / sample["file"], sample))


@pytest.mark.parametrize("sample", MANIFEST["files"], ids=lambda sample: sample["file"])
def test_sample_is_there_to_the_byte(sample: dict[str, Any]) -> None:
    """Line ends and marks are what these files are about: git or an editor may have changed them."""
    assert hashlib.sha256((SAMPLES / sample["file"]).read_bytes()).hexdigest() == sample["sha256"]


def path_of(step: dict[str, Any], folder: Path) -> Path:
    """The step's file, or one with its rows."""
    if "file" in step:
        return SAMPLES / step["file"]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(step["rows"])
    path = folder / "rows.csv"
    path.write_bytes(text.getvalue().encode())
    return path


@pytest.mark.parametrize("sequence", MANIFEST["sequences"], ids=lambda sequence: sequence["id"])
def test_sequence(sequence: dict[str, Any], import_file: Import, tmp_path: Path) -> None:
    for step in sequence["steps"]:
        preview = import_file(path_of(step, tmp_path), step, "--dry-run")
        result = import_file(path_of(step, tmp_path), step)
        counts = {name: result[name] for name in COUNTS} | {"error_rows": result["errors"]}
        assert counts == step["expected"]
        assert_adds_up(result)
        assert_rows(result, step)
        assert {name: preview[name] for name in COUNTS} == {name: result[name] for name in COUNTS}
        assert_rows(preview, step)
    assert counts == sequence["last_step"]
    channel = step.get("channel", "Email")
    assert segments(channel) == listed(sequence["channel"])

    assert_changes_nothing(import_file(path_of(step, tmp_path), step))
    export = tmp_path / "export.csv"
    export.write_bytes("".join(csv_pieces(Channel.objects.get(name=channel).segments.all())).encode())
    assert_changes_nothing(import_file(export, {"channel": channel}))
    assert segments(channel) == listed(sequence["channel"])
