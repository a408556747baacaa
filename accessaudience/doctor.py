"""Whether a set-up works, looked at part by part: what is wrong, and what to do about it.

Goes in: the settings, and what they name. Comes out: findings, each ok, a warning or wrong. Nothing is changed, but a
file is written to the storage and removed again. Of keys only is told whether they can be read. Must not know: how
any of it is done.
"""

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.mail import get_connection
from django.db import DatabaseError, InterfaceError, NotSupportedError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from django.utils.timesince import timesince

from accessaudience.bucketurl import bucket_in_use
from accessaudience.databasefault import Fault, fault_of, is_out_of_room
from accessaudience.errors import FileStoreError
from integrations.accounts import open_account
from integrations.klaviyo.client import KlaviyoError
from integrations.models import KlaviyoAccount
from integrations.secrets import Secret, Unreadable
from jobs.models import BeatSeen
from jobs.presence import is_missing, last_seen, worker_command, worker_missing
from jobs.queue import standings, waiting_since
from people import mfa
from segments.models import SearchBacklog
from segments.search.index import has_trigrams

TEXT = b"written by manage.py doctor\n"
OK, WARNING, WRONG = "ok", "warning", "wrong"
LITTLE_SPACE = 1024**3  # bytes
LONG_WAIT = timedelta(minutes=10)
REDIS_PATIENCE = 5.0  # seconds
MAIL_PATIENCE = 5.0  # seconds, for each answer
CLOCKS_APART = timedelta(seconds=5)
KLAVIYO_PATIENCE = 20.0  # seconds, for all accounts together
NOBODYS_KEY = Secret("pk_nobody")  # refused by Klaviyo, which is an answer
OF_THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
CONSOLE = "django.core.mail.backends.console.EmailBackend"
SMTP = "django.core.mail.backends.smtp.EmailBackend"


@dataclass(frozen=True)
class Finding:
    """What was found of one part; `do` says what to do where it is not ok."""

    check: str
    state: str
    message: str
    do: str = ""


Findings = Iterator[Finding]


def examine(*, klaviyo: bool = False) -> Findings:
    """Yield what is found, part by part; with `klaviyo` its address is asked even if no account is connected.

    Without a database only the settings and the storage can be looked at.
    """
    yield from of_settings()
    yield from of_storage()
    yield from of_redis()
    yield from of_mail()
    try:
        if not (yield from of_database()):
            return
        pending = MigrationExecutor(connection)
        plan = pending.migration_plan(pending.loader.graph.leaf_nodes())
        if plan:
            told = f"{len(plan)} migrations have not been run, of {plan[0][0].app_label} first."
            do = "Run python -m accessaudience.prepare, or make run; or point DATABASE_URL or DATA_DIR at other data."
            yield Finding("migrations", WRONG, told, do)
            return
        yield Finding("migrations", OK, "All have been run.")
        for part in (of_queue, of_worker, of_beat, of_keys, of_search):
            yield from part()
        yield from of_klaviyo(even_without_account=klaviyo)
    except NotSupportedError as error:  # Django has looked at the version
        yield Finding("database", WRONG, f"{error}", "Use a newer one.")
    except (DatabaseError, InterfaceError) as error:
        fault = fault_of(error) or Fault(f"It gave an error: {' '.join(str(error).split())}", "Look at its log.")
        yield Finding("database", WRONG, fault.told, fault.do)


def of_settings() -> Findings:
    """Look at the settings."""
    found = list(_settings_that_do_not_fit())
    yield from found
    if not found:
        where = ", ".join(_public_hosts()) or "this machine"
        yield Finding("settings", OK, f"Served to {where}, {'with' if settings.HTTPS else 'without'} HTTPS.")


def _public_hosts() -> list[str]:
    return [host for host in settings.ALLOWED_HOSTS if host not in OF_THIS_MACHINE]


def _settings_that_do_not_fit() -> Findings:
    """Look at what is wrong only together; a value that cannot be meant has stopped the start before."""
    public = _public_hosts()
    if settings.DEBUG:
        told = "DEBUG is on: errors show code and data to whoever meets them."
        yield Finding("settings", WRONG if public else WARNING, told, "Set DEBUG=false, but for development.")
    if "*" in settings.ALLOWED_HOSTS:
        told = "ALLOWED_HOSTS takes any host, so that a visitor can have links made that lead elsewhere."
        yield Finding("settings", WARNING, told, "Name the hosts that people use, with commas between them.")
    if public and not settings.HTTPS:
        told = f"{public[0]} is served without HTTPS: passwords can be read on their way."
        yield Finding("settings", WARNING, told, "Put a proxy that speaks HTTPS in front, and set HTTPS=true.")
    if settings.HTTPS and not public:
        told = "HTTPS is on, but ALLOWED_HOSTS names this machine alone: everybody else is refused."
        yield Finding("settings", WRONG, told, "Name the hosts that people use in ALLOWED_HOSTS.")
    if public and settings.EMAIL_BACKEND == CONSOLE:
        told = "Mail is written to the console: no invitation and no link for a new password arrives."
        yield Finding("settings", WARNING, told, "Set EMAIL_URL to your mail server, and EMAIL_FROM.")
    store = urlsplit(bucket_in_use().rpartition(" ")[2])
    if store.scheme == "http" and store.hostname not in LOOPBACK:
        told = f"The store at {store.hostname} (STORAGE_URL) is reached without HTTPS."
        do = "Let its endpoint begin with https://, unless nobody else is in the network between here and there."
        yield Finding("settings", WARNING, told, do)
    address = urlsplit(settings.KLAVIYO_API_BASE_URL)
    if address.scheme != "https" and address.hostname not in LOOPBACK:
        told = "KLAVIYO_API_BASE_URL is not HTTPS: Klaviyo keys can be read on their way."
        yield Finding("settings", WRONG, told, "Remove it, or let it begin with https://.")


def of_storage() -> Findings:
    """Write, read and remove a file where uploads are received and kept, and look how much room is left there."""
    place = _place()
    try:
        for folder in _folders_of_uploads():
            place = str(folder)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(TEXT)
        place = _place()
        same = _comes_back()
    except FileStoreError as error:
        yield Finding("storage", WRONG, f"Uploads cannot be kept in {place}: {error.strerror}.", error.do)
        return
    except OSError as error:
        told = f"Uploads cannot be kept in {place}: {error.strerror or error}."
        yield Finding("storage", WRONG, told, _what_to_do(error, place))
        return
    if not same:
        told = f"What is written to {_place()} is not what is read there."
        yield Finding("storage", WRONG, told, "Look at the disk or the store, and at what is mounted there.")
    free = min(shutil.disk_usage(folder).free for folder in _folders())
    told = f"{free / 1024**3:,.1f} GiB are free in {settings.DATA_DIR}."
    if free < settings.IMPORT_MAX_BYTES:
        yield Finding("storage", WRONG, told, "Make room: a file of the size that may be uploaded does not fit.")
    elif free < LITTLE_SPACE:
        yield Finding("storage", WARNING, told, "Make room, or set UPLOAD_RETENTION_DAYS lower.")
    else:
        where = f" in {_place()}." if bucket_in_use() else ";"
        yield Finding("storage", OK, f"Uploads can be written and read{where} {told}")


def _folders_of_uploads() -> list[Path]:
    """The folders that uploads come through on this machine, those that are there."""
    kept = [] if bucket_in_use() else [settings.UPLOADS_DIR, settings.UPLOADS_DIR / "imports"]
    return [folder for folder in (settings.DATA_DIR, Path(settings.FILE_UPLOAD_TEMP_DIR), *kept) if folder.is_dir()]


def _comes_back() -> bool:
    """Whether what is written to the storage is read there; nothing of it stays, nor a folder made for it."""
    name = f"doctor-{uuid4().hex}.txt"
    new = not bucket_in_use() and not settings.UPLOADS_DIR.exists()
    try:
        default_storage.save(name, ContentFile(TEXT))
        with default_storage.open(name) as file:
            same = bool(file.read() == TEXT)
        default_storage.delete(name)
    finally:
        with suppress(OSError):
            Path(settings.UPLOADS_DIR, name).unlink(missing_ok=True)  # a disk that is full keeps a piece
        if new:
            with suppress(OSError):
                settings.UPLOADS_DIR.rmdir()
    return same


def _what_to_do(error: OSError, place: str) -> str:
    if is_out_of_room(error):
        return "Make room: the disk is full, or what this user may have of it."
    if place == bucket_in_use():
        return "Look at the store, and at STORAGE_URL."
    return f"Give the user of this process {place}, and all of DATA_DIR, to read and to write."


def _place() -> str:
    return bucket_in_use() or str(settings.UPLOADS_DIR)


def _folders() -> list[Path]:
    """Where this process writes: uploads, and the database that it brings along."""
    database = [Path(str(connection.settings_dict["NAME"])).parent] if connection.vendor == "sqlite" else []
    return [folder for folder in (settings.DATA_DIR, settings.UPLOADS_DIR, *database) if folder.is_dir()]


def of_redis() -> Findings:
    """Ask Redis, where there is one. Without it jobs wait, but tries to sign in are counted in the database."""
    if not settings.REDIS_URL:
        return
    from redis import Redis, RedisError

    needed = settings.TASKS_BACKEND == "celery"
    where = urlsplit(settings.REDIS_URL).hostname or "a local socket"
    patience = {"socket_connect_timeout": REDIS_PATIENCE, "socket_timeout": REDIS_PATIENCE}
    try:
        with Redis.from_url(settings.REDIS_URL, **patience) as redis:
            version = redis.info("server")["redis_version"]
    except (RedisError, OSError) as error:
        told = f"It does not answer at {where}: {' '.join(str(error).split())}"
        do = "Start it, and look at REDIS_URL: host, port and password. "
        do += "Jobs wait until then, and none is lost." if needed else "Until then the database does its part."
        yield Finding("redis", WRONG if needed else WARNING, told, do)
        return
    yield Finding("redis", OK, f"Redis {version} at {where}.")


def of_mail() -> Findings:
    """Connect to the mail server and sign in to it, where one is set; nothing is sent."""
    if settings.EMAIL_BACKEND != SMTP:
        return
    where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    try:
        with get_connection(timeout=MAIL_PATIENCE):
            pass
    except OSError as error:  # what smtplib raises is one too
        told = f"The server at {where} cannot be used: {' '.join(str(error).split())}"
        do = (
            "Look at EMAIL_URL: host, port, user, password, and smtp+tls:// or smtp+ssl://. Until then no mail is sent."
        )
        yield Finding("mail", WRONG, told, do)
        return
    yield Finding("mail", OK, f"The server at {where} takes us in.")


def of_database() -> Generator[Finding, None, bool]:
    """Ask the database what it is; return whether there is more to ask of it."""
    if connection.vendor == "sqlite":
        return (yield from _of_sqlite(Path(connection.settings_dict["NAME"])))
    with connection.cursor() as cursor:
        before = timezone.now()
        cursor.execute("SELECT current_setting('server_version'), clock_timestamp()")
        version, its_now = cursor.fetchone()
        after = timezone.now()
    where = connection.settings_dict["HOST"] or "a local socket"
    yield Finding("database", OK, f"PostgreSQL {version.split()[0]} at {where}.")
    apart = max(before - its_now, its_now - after)
    if apart > CLOCKS_APART:
        told = f"The clocks of this machine and of the database are {apart.total_seconds():,.0f} s apart."
        yield Finding("clock", WARNING, told, "Let both follow one time server (NTP).")
    return True


def _of_sqlite(file: Path) -> Generator[Finding, None, bool]:
    if not os.path.exists(file) and os.access(file.parent, os.X_OK):  # to connect would make it
        do = "Run make run, or python -m accessaudience.prepare; or point DATABASE_URL or DATA_DIR at other data."
        yield Finding("database", WRONG, f"There is no database at {file} yet.", do)
        return False
    needed = [file, file.parent, *(path for end in ("-wal", "-shm") if (path := Path(f"{file}{end}")).exists())]
    closed = [str(path) for path in needed if not os.access(path, os.W_OK)]
    if closed and os.path.exists(file):  # who connected now would leave files beside it that nobody can write
        do = "Give the user of this process the database, the files beside it and its folder, to read and to write."
        yield Finding("database", WRONG, f"SQLite cannot write {' and '.join(closed)}.", do)
        return False
    connection.ensure_connection()
    yield Finding("database", OK, f"SQLite {sqlite3.sqlite_version} at {file}.")
    return True


def of_queue() -> Findings:
    """Look how many jobs wait, and for how long."""
    found = standings()
    waiting = sum(each.waiting for each in found)
    since = waiting_since(found)
    if since is None:
        yield Finding("queue", OK, "No job waits.")
        return
    told = f"{waiting:,} {'job waits' if waiting == 1 else 'jobs wait'}, the oldest for {timesince(since, depth=1)}."
    if timezone.now() - since > LONG_WAIT:
        yield Finding("queue", WARNING, told, "Look at the worker; if it is busy all day, start more of them.")
    else:
        yield Finding("queue", OK, told)


def of_worker() -> Findings:
    """Look whether a worker lives."""
    seen = last_seen()
    if not worker_missing():
        yield Finding("worker", OK, "Seen in the last minute.")
        return
    told = f"Last seen {timesince(seen, depth=1)} ago." if seen else "None has been seen for days."
    yield Finding("worker", WRONG, told, f"Start one: {worker_command()} (make run does). Its log says why it ended.")


def of_beat() -> Findings:
    """Look whether there is one that tells Celery's workers what is due, where there are such."""
    if settings.TASKS_BACKEND != "celery":
        return
    if not is_missing(BeatSeen):
        yield Finding("beat", OK, "Seen in the last minute.")
        return
    seen = last_seen(BeatSeen)
    told = f"Last seen {timesince(seen, depth=1)} ago" if seen else "None has been seen for days"
    told += ": no sync is started by its schedule, and a job whose message was lost waits."
    yield Finding("beat", WRONG, told, "Start one: celery --app jobs.celery beat (make run does).")


def of_keys() -> Findings:
    """Try ENCRYPTION_KEYS on everything that is kept under them."""
    lost = [f"the key of Klaviyo account {account.account_id}" for account in connected() if not _can_read(account)]
    people = mfa.unreadable()
    if people:
        lost.append(f"the two-factor sign-in of {people} {'person' if people == 1 else 'people'}")
    if not lost:
        yield Finding("encryption keys", OK, "They open everything that is kept under them.")
        return
    do = "Add the key that it was encrypted with to ENCRYPTION_KEYS. If that is lost: paste the Klaviyo key again, and "
    do += "turn two-factor sign-in off for its people."
    yield Finding("encryption keys", WRONG, f"None of ENCRYPTION_KEYS opens {' and '.join(lost)}.", do)


def connected() -> list[KlaviyoAccount]:
    """Return the Klaviyo accounts that have a key."""
    return list(KlaviyoAccount.objects.connected())


def _can_read(account: KlaviyoAccount) -> bool:
    try:
        account.key()
    except Unreadable:
        return False
    return True


def of_search() -> Findings:
    """Look whether the index of the search is there and up to date."""
    if not SearchBacklog.is_kept():
        yield Finding("search", OK, "SQLite needs no index of its own for it.")
        return
    trigrams = has_trigrams()
    behind = SearchBacklog.objects.count()
    if behind:
        told = (
            f"The index is {behind:,} {'change' if behind == 1 else 'changes'} behind; searches are right, but slower."
        )
        yield Finding("search", WARNING, told, "Workers do it when no job waits. manage.py index_search does it now.")
    if not trigrams:
        told = "There is no index of trigrams, so that a search reads all segments."
        do = "Install PostgreSQL's extension pg_trgm, then run manage.py index_search."
        yield Finding("search", WARNING, told, do)
    if trigrams and not behind:
        yield Finding("search", OK, "The index is up to date.")


def of_klaviyo(*, even_without_account: bool) -> Findings:
    """Ask Klaviyo what each connected account's key opens, none for longer than all may take together."""
    until = time.monotonic() + KLAVIYO_PATIENCE
    asked: list[tuple[str, Callable[[], Secret]]] = [
        (f"Account {account.account_id}", account.key) for account in connected() if _can_read(account)
    ]
    if not asked and even_without_account:
        asked = [("Klaviyo", lambda: NOBODYS_KEY)]
    for name, key in asked:
        try:
            patience = max(1.0, until - time.monotonic())
            found = open_account(key(), patience=min(patience, settings.KLAVIYO_PATIENCE)).connection()
        except KlaviyoError as error:
            if error.code == "key_refused" and key() is NOBODYS_KEY:
                yield Finding("klaviyo", OK, f"{settings.KLAVIYO_API_BASE_URL} answers; no account is connected.")
            else:
                do = f"Look at the network between here and {settings.KLAVIYO_API_BASE_URL}."
                if error.permanent:
                    do = "Integrations, Klaviyo: change the key."
                yield Finding("klaviyo", WRONG, f"{name}: {error.message}", do)
            continue
        if found.missing:
            told = f"{name}: the key may not read {', '.join(found.missing)}."
            yield Finding("klaviyo", WRONG, told, "Make a key in Klaviyo that may, and paste it under Integrations.")
        else:
            yield Finding("klaviyo", OK, f"{name}: reached, and its key may read all that a sync needs.")
