"""The file .env: what cannot be read or meant in it is a sentence, and nothing starts on other settings instead."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from environ import Env

from accessaudience.envfile import EnvFileError, read

ROOT = Path(settings.BASE_DIR)


def refusal(path: Path) -> str:
    """Return what is said of `path`."""
    with pytest.raises(EnvFileError) as caught:
        read(path)
    return str(caught.value)


def test_what_it_sets_is_set_where_the_environment_has_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_bytes(
        b"\xef\xbb\xbfENV_FIRST=a b\r\n\n  \n# a remark\n  # another\nexport ENV_SECOND='c#d'\nENV_THIRD=\nENV_SET=no\n"
    )
    monkeypatch.setattr("environ.Env.ENVIRON", {"ENV_SET": "yes"})
    read(path)
    assert Env.ENVIRON == {"ENV_FIRST": "a b", "ENV_SECOND": "c#d", "ENV_THIRD": "", "ENV_SET": "yes"}


def test_without_the_file_nothing_is_set(tmp_path: Path) -> None:
    read(tmp_path / ".env")


@pytest.mark.parametrize(
    "line", [b"HUSH BAR", b"HUSH = bar", b" HUSH=bar", b"HUSH: bar", b"HUSH-NAME=bar", b"HUSH=a\0b", b"HUSH"]
)
def test_a_line_that_cannot_be_meant_is_named_by_its_number_alone(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"# settings\n\n" + line + b"\nPORT=8000\n")
    said = refusal(path)
    assert said.startswith(f"{path}, line 3: it must be like NAME=value")
    assert "HUSH" not in said


def test_a_byte_that_is_not_utf_8_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes("PORT=8000\nEMAIL_FROM=Müller\n".encode("latin-1"))
    assert refusal(path) == f"{path}, line 2: it is not in UTF-8. Save the file as UTF-8."


def test_what_cannot_be_read_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, closed = tmp_path / "link", tmp_path / "closed"
    link.symlink_to(tmp_path / "nothing")
    assert refusal(link).startswith(f"{link} cannot be read (No such file or directory).")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert refusal(closed).startswith(f"{closed} cannot be read (Permission denied).")


@pytest.mark.once
@pytest.mark.parametrize("command", [["manage.py", "check"], ["-m", "accessaudience.supervisor"]])
def test_with_a_file_that_cannot_be_read_nothing_starts(command: list[str], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "accessaudience", tmp_path / "accessaudience")
    shutil.copy(ROOT / "manage.py", tmp_path)
    (tmp_path / ".env").mkdir()
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PORT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{tmp_path / '.env'} cannot be read (Is a directory).")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()
