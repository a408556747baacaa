"""The embedded database and the uploads as one file, and back.

Goes in: a path. Comes out: a backup that is whole or not there at all, taken while everything goes on; or the data
of one, put in place after it has been checked. The keys are never in it: who has a backup shall not be able to
read what is encrypted. Must not know: any app of the project.
"""

import gzip
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.db.migrations.loader import MigrationLoader

from accessaudience.bucketurl import bucket_in_use

FORMAT = 1
ABOUT, DATABASE, UPLOADS = "backup.json", "database.sqlite3", "uploads"
LOCK_WAIT = 20  # seconds, as in settings
KEYS = ("secret_key", "encryption_keys")
DAMAGED = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)  # what a damaged archive raises
PIECE = 1024 * 1024


class BackupError(Exception):
    """No backup was made, or nothing was restored; the message says why and what to do."""


@dataclass(frozen=True)
class Done:
    """What a backup holds: when it was taken, how many uploaded files, and the size of the database in bytes."""

    at: str
    files: int
    size: int


# Backing up


def back_up(to: Path) -> Done:
    """Write a backup to `to`, replacing an older backup there in one step. Raises BackupError, OSError."""
    _refuse_postgresql()
    database = database_path()
    if not database.exists():
        raise BackupError(f"There is no database at {database}, so there is nothing to back up.")
    if to.exists() and _about(to) is None:
        raise BackupError(f"{to} exists and is no backup of Access Audience. Choose another name.")
    if not to.parent.is_dir():
        raise BackupError(f"There is no folder {to.parent}.")
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=".backup-") as folder:
        copy, archive = Path(folder, DATABASE), Path(folder, "archive")
        _copy_database(database, copy)
        about: dict[str, Any] = {
            "format": FORMAT,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "database_sha256": _sha256(copy),
            "migrations": _migrations_in(copy),
        }
        files = _pack(archive, about, copy)
        done = Done(about["at"], files, copy.stat().st_size)
        _put_in_place(archive, to)
    return done


def _copy_database(source: Path, target: Path) -> None:
    """Copy the database as it is at one moment; writers go on meanwhile, and what they write later is not in it."""
    damaged = "The database is damaged, so it was not backed up. Restore the last backup."
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True, timeout=LOCK_WAIT)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing)
            writing.execute("PRAGMA journal_mode=DELETE")  # one file, and no other beside it
    except sqlite3.OperationalError as error:
        raise BackupError(f"The database could not be read: {error}.") from error
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{damaged} ({error})") from error
    _refuse_damaged(target, damaged)


def _pack(archive: Path, about: dict[str, Any], database: Path) -> int:
    """Write the archive, and return how many uploads it holds.

    They come after the database: a file that it knows is there, one uploaded meanwhile does no harm.
    """
    files = 0
    with archive.open("xb") as raw, tarfile.open(fileobj=raw, mode="w:gz", compresslevel=6) as tar:
        os.fchmod(raw.fileno(), 0o600)
        text = json.dumps(about).encode()
        member = tarfile.TarInfo(ABOUT)
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
        tar.add(database, DATABASE)
        for path, name in _uploads():
            try:
                file = path.open("rb")
            except FileNotFoundError:
                continue  # removed meanwhile, as old uploads are
            with file:
                tar.addfile(tar.gettarinfo(arcname=name, fileobj=file), file)
                files += 1
    return files


def _uploads() -> Iterator[tuple[Path, str]]:
    """Each uploaded file, and its name in the archive."""
    root = Path(settings.UPLOADS_DIR)
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path, f"{UPLOADS}/{path.relative_to(root).as_posix()}"


# Restoring


def restore(backup: Path, *, force: bool = False) -> Done:
    """Put the data of `backup` in place, checked before anything is touched. Raises BackupError, OSError.

    Where there is data already, `force` puts it aside, beside its place. The database comes last, so that there is
    none while anything is missing.
    """
    _refuse_postgresql()
    database, uploads = database_path(), Path(settings.UPLOADS_DIR)
    about = _about(backup)
    if about is None:
        raise BackupError(f"{backup} is no backup of Access Audience, or is damaged.")
    _refuse_newer(about)
    in_the_way = [path for path in (database, uploads) if path.is_file() or path.is_dir() and any(path.iterdir())]
    if in_the_way and not force:
        names = " and ".join(map(str, in_the_way))
        raise BackupError(f"There is data already: {names}. Restore into an empty folder, or use --force.")
    _refuse_in_use(database)
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=database.parent, prefix=".restore-") as folder:
        unpacked = Path(folder)
        files = _unpack(backup, unpacked)
        if _sha256(unpacked / DATABASE) != about["database_sha256"]:
            raise BackupError(f"{backup} is damaged: its database is not the one that was backed up.")
        _refuse_damaged(unpacked / DATABASE, f"The database in {backup} is damaged. Use an older backup.")
        _put_aside(in_the_way)
        if uploads.is_dir():
            uploads.rmdir()  # empty: else it would have been put aside
        shutil.move(unpacked / UPLOADS, uploads)
        size = (unpacked / DATABASE).stat().st_size
        _put_in_place(unpacked / DATABASE, database)
    return Done(about["at"], files, size)


def _unpack(backup: Path, into: Path) -> int:
    """Unpack into `into`, which nothing leaves, and return how many uploads there were."""
    files = 0
    (into / UPLOADS).mkdir(mode=0o700)
    try:
        with gzip.open(backup) as whole, tarfile.open(fileobj=whole, mode="r:") as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if member.name == ABOUT or not member.isfile():
                    continue
                if ".." in name.parts or name.parts[0] not in (DATABASE, UPLOADS):
                    raise BackupError(f"{backup} holds {member.name}, which no backup does.")
                target = into / name
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                content = tar.extractfile(member)
                with target.open("xb") as file:
                    os.fchmod(file.fileno(), 0o600)
                    shutil.copyfileobj(content or io.BytesIO(), file)
                files += name.parts[0] == UPLOADS
            while whole.read(PIECE):
                pass  # its check sum comes last, behind where the archive says that it ends
    except DAMAGED as error:
        raise BackupError(f"{backup} is damaged: {error}.") from error
    if not (into / DATABASE).exists():
        raise BackupError(f"{backup} is damaged: there is no database in it.")
    return files


def _put_aside(paths: list[Path]) -> None:
    suffix = f".before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    for path in paths:
        for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            if each.exists():
                each.rename(each.with_name(each.name + suffix))


# Both


def database_path() -> Path:
    """Where the embedded database is."""
    return Path(settings.DATABASES["default"]["NAME"]).absolute()


def keys_to_keep() -> list[Path]:
    """The files with keys, which no backup holds."""
    return [path for name in KEYS if (path := Path(settings.DATA_DIR, name)).exists()]


def _about(backup: Path) -> dict[str, Any] | None:
    """What a backup says of itself; None if it is none."""
    try:
        with tarfile.open(backup, "r:gz") as tar:
            first = tar.next()
            file = tar.extractfile(first) if first and first.name == ABOUT else None
            about = json.load(file) if file else None
    except (*DAMAGED, ValueError):
        return None
    return about if isinstance(about, dict) and _is_complete(about) else None


def _is_complete(about: dict[str, Any]) -> bool:
    """Whether it says all that we write; of another format no more is known than that it has one."""
    if about.get("format") != FORMAT:
        return isinstance(about.get("format"), int)
    migrations = about.get("migrations")
    named = isinstance(migrations, list) and all(isinstance(name, str) for name in migrations)
    return named and all(isinstance(about.get(name), str) for name in ("at", "database_sha256"))


def _refuse_postgresql() -> None:
    if not settings.EMBEDDED:
        raise BackupError(
            "The data is in PostgreSQL, which has its own tools. To back up: "
            'pg_dump --format=custom --file=FILE "$DATABASE_URL"; to restore: '
            'pg_restore --clean --if-exists --no-owner --dbname="$DATABASE_URL" FILE. '
            f"Copy the uploads too: {bucket_in_use() or settings.UPLOADS_DIR}. docs/backups.md says more."
        )


def _refuse_newer(about: dict[str, Any]) -> None:
    known = {".".join(key) for key in MigrationLoader(None, ignore_no_migrations=True).disk_migrations}
    if about["format"] != FORMAT or not set(about["migrations"]) <= known:
        raise BackupError("This backup is of a newer Access Audience. Install that version, then restore.")


def _refuse_damaged(database: Path, message: str) -> None:
    try:
        with closing(sqlite3.connect(database)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchall()
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{message} ({error})") from error
    if found != [("ok",)]:
        raise BackupError(f"{message} ({found[0][0]})")


def _refuse_in_use(database: Path) -> None:
    """Refuse while anybody has the database open: only who has it alone may leave the write-ahead log."""
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(database, timeout=0)) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.OperationalError:
        mode = "locked"
    except sqlite3.DatabaseError:
        return  # no database any more: all the more reason to restore
    if mode != "delete":
        raise BackupError("Access Audience is running. Stop it (the server and every worker), then restore.")


def _migrations_in(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'django_migrations'").fetchone():
            raise BackupError(
                "The database was never prepared, so there is nothing to back up. `make run` prepares it."
            )
        rows = connection.execute("SELECT app, name FROM django_migrations ORDER BY id")
        return [f"{app}.{name}" for app, name in rows]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put_in_place(finished: Path, place: Path) -> None:
    """Give a finished file its name, in one step that a loss of power does not undo."""
    _sync(finished)
    finished.replace(place)
    _sync(place.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
