"""manage.py backup and restore: whole or not at all, while somebody writes, and never over what is there."""

import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from tests.conftest import use_storage

pytestmark = pytest.mark.once
PATIENCE = 120
WRITER = """
from channels.models import Channel
from segments import changes
from segments.models import ChangeSet, Source
from segments.values import SegmentValues
number = 0
while True:
    rows = [(line, SegmentValues(f"Segment {number} {line}", f"{number}-{line}")) for line in (2, 3)]
    with changes.stage(rows) as staged:
        changes.apply(staged, Channel.objects.filter(slug="email"), changes.Rule.UPDATE, kind=ChangeSet.Kind.IMPORT,
                      source=Source.CSV, by=changes.By(), label="pair.csv")
    number += 1
    print(number, flush=True)
"""


class Site:
    """An installation in a folder of its own, used through manage.py."""

    def __init__(self, data: Path, **variables: str) -> None:
        self.data = data
        self.database = data / "accessaudience.sqlite3"
        own = {"DATABASE_URL", "SECRET_KEY", "ENCRYPTION_KEYS"}
        inherited = {name: value for name, value in os.environ.items() if name not in own}
        self.environment = {
            **inherited,
            "DJANGO_SETTINGS_MODULE": "accessaudience.settings",
            "DATA_DIR": str(data),
            **variables,
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.Popen(
            command,
            env=self.environment,
            cwd=settings.BASE_DIR,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def manage(self, command: str, *arguments: str) -> tuple[int, str]:
        """Run a command as if this process were of this installation; return its exit status and what it said."""
        out = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(settings.DATABASES["default"], "NAME", str(self.database))
            patch.setattr(settings, "EMBEDDED", True)
            patch.setattr(settings, "DATA_DIR", self.data)
            patch.setattr(settings, "UPLOADS_DIR", self.data / "uploads")
            try:
                call_command(command, *arguments, stdout=out)
            except CommandError as error:
                return 1, str(error)
        return 0, out.getvalue()

    def manage_apart(self, *arguments: str) -> tuple[int, str]:
        """Run a command in a process of its own; return its exit status and what it said."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out + err

    def rows(self, sql: str) -> list[Any]:
        """What the database answers."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a new installation with one uploaded file."""
    data = tmp_path_factory.mktemp("template") / "data"
    status, said = Site(data).manage_apart("migrate", "--verbosity=0")
    assert status == 0, said
    upload = data / "uploads" / "imports" / "one" / "upload"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"Segment name\r\nVIP\r\n")
    return data


@pytest.fixture
def site(template: Path, tmp_path: Path) -> Site:
    """An installation to back up."""
    return Site(Path(shutil.copytree(template, tmp_path / "data")))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Site:
    """A folder to restore into, in which nothing is yet."""
    return Site(tmp_path / "elsewhere" / "data")


@pytest.fixture
def writer(site: Site) -> Iterator[Callable[[int], None]]:
    """Somebody who imports pairs of segments as fast as can be: `writer(5)` returns after the fifth."""
    process = site.start("shell", "--verbosity=0", "-c", WRITER)

    def wait_for(number: int) -> None:
        assert process.stdout
        while int(process.stdout.readline()) < number:
            pass

    yield wait_for
    process.kill()
    process.communicate()


def test_backup_taken_while_somebody_writes_is_one_moment_and_restores_as_it_was(
    site: Site, elsewhere: Site, writer: Callable[[int], None], tmp_path: Path
) -> None:
    writer(5)
    status, said = site.manage("backup", str(tmp_path / "one.tar.gz"))
    assert status == 0, said
    writer(6)  # it was not kept from writing
    status, said = elsewhere.manage("restore", str(tmp_path / "one.tar.gz"))
    assert status == 0, said
    assert elsewhere.rows("PRAGMA integrity_check") == [("ok",)]
    ((segments,),) = elsewhere.rows("SELECT count(*) FROM segments_segment")
    assert segments >= 10
    assert segments % 2 == 0, "half of an import is in the backup"
    assert elsewhere.rows("SELECT segment_count FROM channels_channel WHERE slug = 'email'") == [(segments,)]
    columns = "id, name, segment_id, identity_key, created_in_id, created_line, last_change_id, updated_at"
    kept = f"SELECT {columns} FROM segments_segment WHERE id <= (SELECT max(id) FROM {{}}) ORDER BY id"
    with closing(sqlite3.connect(site.database)) as connection:
        connection.execute("ATTACH ? AS restored", [str(elsewhere.database)])
        theirs = connection.execute(f"SELECT {columns} FROM restored.segments_segment ORDER BY id").fetchall()
        ours = connection.execute(kept.format("restored.segments_segment")).fetchall()
    assert theirs == ours
    upload = elsewhere.data / "uploads" / "imports" / "one" / "upload"
    assert upload.read_bytes() == b"Segment name\r\nVIP\r\n"
    assert elsewhere.manage_apart("migrate", "--check")[0] == 0


def test_keys_are_apart_and_that_is_said(site: Site, tmp_path: Path) -> None:
    status, said = site.manage("backup", str(tmp_path / "one.tar.gz"))
    assert status == 0, said
    assert f"Keep {site.data / 'secret_key'} and {site.data / 'encryption_keys'} in another place" in said
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        names = tar.getnames()
        content = b"".join(file.read() for member in tar if (file := tar.extractfile(member)))
    assert names == ["backup.json", "database.sqlite3", "uploads/imports/one/upload"]
    assert (site.data / "secret_key").read_bytes().strip() not in content
    assert (tmp_path / "one.tar.gz").stat().st_mode & 0o777 == 0o600


def test_what_a_script_needs_is_printed_as_json(site: Site, tmp_path: Path) -> None:
    status, said = site.manage("backup", str(tmp_path / "one.tar.gz"), "--json")
    assert status == 0
    assert json.loads(said)["uploads"] == 1


def test_that_files_in_a_bucket_are_not_in_it_is_said(site: Site, tmp_path: Path, settings: Any) -> None:
    use_storage(settings, "s3://key:secret@uploads?endpoint=https://s3.example.com")
    status, said = site.manage("backup", str(tmp_path / "one.tar.gz"))
    assert status == 0, said
    assert "Uploads in the bucket uploads of https://s3.example.com are not in it" in said
    assert "secret@" not in said


def test_an_older_backup_is_replaced_and_nothing_else_is(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "one.tar.gz"
    assert site.manage("backup", str(target))[0] == 0
    first = target.read_bytes()
    assert site.manage("backup", str(target))[0] == 0
    assert target.read_bytes() != first
    for name in ("accessaudience.sqlite3", "secret_key"):
        before = (site.data / name).read_bytes()
        status, said = site.manage("backup", str(site.data / name))
        assert (status, "is no backup of Access Audience" in said) == (1, True)
        assert (site.data / name).read_bytes() == before
    status, said = site.manage("backup", str(tmp_path / "nowhere" / "one.tar.gz"))
    assert (status, "There is no folder" in said) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "one.tar.gz"]


def test_restore_leaves_what_is_there_alone_unless_forced(site: Site, tmp_path: Path) -> None:
    backup = tmp_path / "one.tar.gz"
    assert site.manage("backup", str(backup))[0] == 0
    with closing(sqlite3.connect(site.database)) as connection, connection:
        connection.execute("UPDATE channels_channel SET name = 'Changed since' WHERE slug = 'email'")
    status, said = site.manage("restore", str(backup))
    assert (status, "There is data already" in said, "Nothing was restored" in said) == (1, True, True)
    assert site.rows("SELECT name FROM channels_channel WHERE slug = 'email'") == [("Changed since",)]
    status, said = site.manage("restore", str(backup), "--force")
    assert status == 0, said
    assert site.rows("SELECT name FROM channels_channel WHERE slug = 'email'") == [("Email",)]
    (aside,) = site.data.glob("accessaudience.sqlite3.before-restore-*")
    with closing(sqlite3.connect(aside)) as connection:
        rows = connection.execute("SELECT name FROM channels_channel WHERE slug = 'email'").fetchall()
    assert rows == [("Changed since",)]
    (uploads,) = site.data.glob("uploads.before-restore-*")
    assert (uploads / "imports" / "one" / "upload").exists()


def test_restore_is_refused_while_the_database_is_in_use(
    site: Site, writer: Callable[[int], None], tmp_path: Path
) -> None:
    backup = tmp_path / "one.tar.gz"
    writer(1)
    assert site.manage("backup", str(backup))[0] == 0
    status, said = site.manage("restore", str(backup), "--force")
    assert (status, "Access Audience is running" in said) == (1, True)
    assert not list(site.data.glob("*.before-restore-*"))


def test_damaged_backup_is_refused_and_touches_nothing(site: Site, elsewhere: Site, tmp_path: Path) -> None:
    whole = tmp_path / "one.tar.gz"
    assert site.manage("backup", str(whole))[0] == 0
    content = whole.read_bytes()
    for number, damaged in enumerate((content[:-2_000], content[: len(content) // 2], b"not a backup", b"")):
        path = tmp_path / f"damaged-{number}.tar.gz"
        path.write_bytes(damaged)
        status, said = elsewhere.manage("restore", str(path))
        assert (status, "damaged" in said or "no backup" in said) == (1, True), said
        assert not elsewhere.database.exists()
    assert not list(elsewhere.data.glob(".restore-*"))


def test_an_archive_whose_check_sum_is_wrong_or_missing_is_refused(site: Site, elsewhere: Site, tmp_path: Path) -> None:
    whole = tmp_path / "one.tar.gz"
    assert site.manage("backup", str(whole))[0] == 0
    content = whole.read_bytes()
    other_sum = content[:-8] + bytes(byte ^ 1 for byte in content[-8:-4]) + content[-4:]
    for number, damaged in enumerate((other_sum, content[:-8], content[:-1], content + b"more")):
        path = tmp_path / f"damaged-{number}.tar.gz"
        path.write_bytes(damaged)
        status, said = elsewhere.manage("restore", str(path))
        assert (status, f"{path} is damaged" in said) == (1, True), said
        assert not elsewhere.database.exists()


@pytest.mark.parametrize(
    "about",
    [
        {"database_sha256": "x"},
        {"format": 1, "database_sha256": "x"},
        {"format": 1, "database_sha256": "x", "at": "today", "migrations": 7},
        {"format": "1", "database_sha256": "x", "at": "today", "migrations": []},
    ],
)
def test_an_archive_that_does_not_say_what_it_is_is_refused(
    about: dict[str, Any], elsewhere: Site, tmp_path: Path
) -> None:
    path, text = tmp_path / "one.tar.gz", json.dumps(about).encode()
    with tarfile.open(path, "w:gz") as made:
        member = tarfile.TarInfo("backup.json")
        member.size = len(text)
        made.addfile(member, io.BytesIO(text))
    status, said = elsewhere.manage("restore", str(path))
    assert (status, "is no backup of Access Audience, or is damaged" in said) == (1, True), said


def test_there_is_nothing_to_back_up_before_the_database_was_prepared(elsewhere: Site, tmp_path: Path) -> None:
    elsewhere.data.mkdir(parents=True)
    elsewhere.database.touch()
    status, said = elsewhere.manage("backup", str(tmp_path / "one.tar.gz"))
    assert (status, "never prepared" in said) == (1, True), said
    assert not (tmp_path / "one.tar.gz").exists()


def test_backup_of_a_newer_version_is_refused(site: Site, elsewhere: Site, tmp_path: Path) -> None:
    with closing(sqlite3.connect(site.database)) as connection, connection:
        connection.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('segments', '9999_x', '2030')")
    assert site.manage("backup", str(tmp_path / "one.tar.gz"))[0] == 0
    status, said = elsewhere.manage("restore", str(tmp_path / "one.tar.gz"))
    assert (status, "newer Access Audience" in said) == (1, True)


def test_backup_of_a_damaged_database_is_refused(site: Site, tmp_path: Path) -> None:
    with site.database.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 40)
    status, said = site.manage("backup", str(tmp_path / "one.tar.gz"))
    assert (status, "damaged" in said or "no backup" in said) == (1, True), said
    assert not (tmp_path / "one.tar.gz").exists()


def test_archive_cannot_write_outside_its_folder(elsewhere: Site, site: Site, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.tar.gz", tmp_path / "bad.tar.gz"
    assert site.manage("backup", str(good))[0] == 0
    with tarfile.open(good) as source, tarfile.open(bad, "w:gz") as target:
        for member in source:
            if member.name.startswith("uploads/"):
                member.name = "uploads/../../escaped"
            target.addfile(member, source.extractfile(member))
    status, said = elsewhere.manage("restore", str(bad))
    assert (status, "which no backup does" in said) == (1, True)
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_postgresql_is_left_to_its_own_tools(command: str, tmp_path: Path) -> None:
    site = Site(
        tmp_path / "data",
        DATABASE_URL="postgres://nobody@127.0.0.1:1/none",
        SECRET_KEY="for this test alone, and long enough for the checks: 012345",
        ENCRYPTION_KEYS="dGVzdHMgb25seTogdGhlc2UgYXJlIDMyIGJ5dGVzISE=",
    )
    status, said = site.manage_apart(command, str(tmp_path / "one.tar.gz"))
    assert (status, "pg_dump --format=custom" in said, "docs/backups.md" in said) == (1, True, True)
