"""What manage.py doctor says of a set-up that works, and of each that does not."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet
from django.conf import settings as project
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from accessaudience.doctor import of_database, of_settings
from channels.models import Channel
from imports.models import ImportJob
from integrations.klaviyo import client
from integrations.models import KlaviyoAccount
from integrations.secrets import Secret
from jobs.models import BeatSeen, WorkerSeen
from people.models import Person
from segments.models import SearchBacklog
from tests.conftest import use_storage
from tests.klaviyo import fake as faults
from tests.klaviyo.fake import READ_ALL, FakeKlaviyo
from tests.topology.stack import free_port

if TYPE_CHECKING:
    from tests.store import Bucket

pytestmark = pytest.mark.django_db

KEY = "pk_the_key_of_this_test_9f31"
PARTS = ["settings", "storage", "database", "migrations", "queue", "worker", "encryption keys", "search"]


class Diagnosis(NamedTuple):
    """What was said, and the status of the command."""

    status: int
    checks: dict[str, dict[str, str]]
    text: str

    def of(self, check: str) -> tuple[str, str]:
        """Return the state and the message of one part."""
        return self.checks[check]["state"], self.checks[check]["message"]


def call(*options: str) -> tuple[int, str]:
    """Run the command here."""
    out, status = io.StringIO(), 0
    try:
        call_command("doctor", *options, stdout=out)
    except SystemExit as end:
        status = int(str(end.code))
    return status, out.getvalue()


@pytest.fixture
def doctor(settings: Any) -> Callable[..., Diagnosis]:
    """Look at this set-up: one machine, where a worker has just been seen."""
    settings.ALLOWED_HOSTS = ["localhost"]
    WorkerSeen.objects.create(name="here:1", started_at=timezone.now(), seen_at=timezone.now())
    SearchBacklog.objects.all().delete()

    def look(*options: str) -> Diagnosis:
        status, text = call("--json", *options)
        said = json.loads(text)
        found = {each["check"]: each for each in said["checks"]}
        worst = "wrong" if status else said["status"]
        assert said["status"] == worst != ("ok" if status else "wrong")
        assert all(each["do"] for each in found.values() if each["state"] != "ok")
        return Diagnosis(status, found, text)

    return look


@pytest.fixture
def klaviyo(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKlaviyo]:
    """A Klaviyo that takes one key."""
    monkeypatch.setattr(client, "BACK_OFF", 0.005)
    with FakeKlaviyo().serving() as fake:
        fake.key, fake.keys = KEY, {KEY: READ_ALL}
        settings.KLAVIYO_API_BASE_URL = fake.url
        yield fake


@pytest.fixture
def account(klaviyo: FakeKlaviyo) -> KlaviyoAccount:
    """An account that is connected to it."""
    made = KlaviyoAccount(account_id="XyZ123", name="Fernhill")
    made.keep_key(Secret(KEY))
    made.save()
    return made


def test_of_what_works_every_part_is_ok(doctor: Callable[..., Diagnosis]) -> None:
    found = doctor()
    assert list(found.checks) == PARTS
    states = {check: each["state"] for check, each in found.checks.items()}
    if connection.vendor == "postgresql" and states["search"] == "warning":  # a PostgreSQL without pg_trgm
        states["search"] = "ok"
    assert set(states.values()) == {"ok"}
    assert found.status == 0


def test_for_people_it_says_a_line_each(doctor: Callable[..., Diagnosis]) -> None:
    WorkerSeen.objects.all().delete()
    status, text = call()
    assert status == 1
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("wrong    worker: None has been seen"))
    assert lines[at + 1].startswith("         Start one: manage.py worker")


def test_a_database_that_is_away(doctor: Callable[..., Diagnosis], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OperationalError("connection refused\n  is it running?")

    monkeypatch.setattr(connection, "ensure_connection", refuse)
    found = doctor()
    assert found.of("database") == ("wrong", "It does not answer: connection refused is it running?")
    assert list(found.checks) == ["settings", "storage", "database"]


@pytest.mark.once
def test_a_database_address_that_leads_nowhere_ends_with_status_1_and_no_traceback(tmp_path: Path) -> None:
    given = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "SECRET_KEY": project.SECRET_KEY}
    given |= {"DATABASE_URL": "postgres://nobody:hush@127.0.0.1:1/none", "ENCRYPTION_KEYS": project.ENCRYPTION_KEYS[0]}
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=project.BASE_DIR,
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "wrong    database: It does not answer" in done.stdout
    assert "hush" not in done.stdout


@pytest.mark.once
def test_on_a_new_machine_nothing_is_made_but_what_any_start_makes(tmp_path: Path) -> None:
    given = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=project.BASE_DIR,
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert f"wrong    database: There is no database at {tmp_path}/accessaudience.sqlite3 yet." in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"secret_key", "encryption_keys", "incoming"}


@pytest.mark.once
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["words", "json"])
@pytest.mark.parametrize(
    ("into", "told"),
    [("| true", ""), ("> /dev/full", "CommandError: What was found could not be written: No space left on device.\n")],
)
def test_an_output_that_takes_nothing_is_no_traceback(into: str, told: str, options: list[str], tmp_path: Path) -> None:
    command = " ".join([sys.executable, "manage.py", "doctor", *options, into])
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=project.BASE_DIR,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("", told)


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL is no file")
def test_a_database_file_that_cannot_be_written(
    doctor: Callable[..., Diagnosis], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = connection.settings_dict["NAME"]
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(file))
    assert doctor().of("database") == ("wrong", f"SQLite cannot write {file}.")


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has the clock of this machine")
@pytest.mark.parametrize(("seconds", "said"), [(60, True), (-60, True), (2, False)])
def test_a_clock_that_is_not_the_database_s(monkeypatch: pytest.MonkeyPatch, seconds: int, said: bool) -> None:
    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(seconds=seconds))
    checks = {finding.check: finding for finding in of_database()}
    assert ("clock" in checks) == said
    assert not said or checks["clock"].message.endswith("60 s apart.")


def by_mail(settings: Any, port: int) -> None:
    """Let mail be sent by a server at `port` of this machine."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False


def test_a_mail_server_that_does_not_answer(doctor: Callable[..., Diagnosis], settings: Any) -> None:
    by_mail(settings, port := free_port())
    found = doctor()
    state, message = found.of("mail")
    assert (state, message.partition(" cannot")[0]) == ("wrong", f"The server at 127.0.0.1:{port}")
    assert found.checks["mail"]["do"].startswith("Look at EMAIL_URL")


def test_a_mail_server_that_answers(doctor: Callable[..., Diagnosis], settings: Any) -> None:
    def greet(server: socket.socket) -> None:
        caller, _ = server.accept()
        with caller, caller.makefile("rb") as said:
            caller.sendall(b"220 here\r\n")
            for line in said:
                caller.sendall(b"221 bye\r\n" if line.startswith(b"quit") else b"250 well\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        by_mail(settings, port := server.getsockname()[1])
        answering = threading.Thread(target=greet, args=(server,))
        answering.start()
        assert doctor().of("mail") == ("ok", f"The server at 127.0.0.1:{port} takes us in.")
        answering.join()


def test_a_migration_that_was_not_run(doctor: Callable[..., Diagnosis]) -> None:
    MigrationRecorder.Migration.objects.filter(app="jobs").delete()
    found = doctor()
    assert found.of("migrations")[0] == "wrong"
    assert "queue" not in found.checks


def test_a_storage_that_cannot_be_written(doctor: Callable[..., Diagnosis], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(default_storage, "save", refuse)
    state, message = doctor().of("storage")
    assert state == "wrong"
    assert message.endswith("Permission denied.")


@pytest.mark.parametrize(("free", "state"), [(10 * 1024**2, "wrong"), (500 * 1024**2, "warning"), (1024**4, "ok")])
def test_a_disk_that_is_nearly_full(
    doctor: Callable[..., Diagnosis], monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    usage = shutil.disk_usage(project.DATA_DIR)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert doctor().of("storage")[0] == state


@pytest.mark.once
def test_a_store_that_works_is_named_with_its_bucket(doctor: Callable[..., Diagnosis], bucket: "Bucket") -> None:
    found = doctor()
    told = f"Uploads can be written and read in the bucket {bucket.name} of {bucket.store.address}."
    assert found.of("storage")[1].startswith(told)
    assert bucket.names() == []
    assert "secret" not in found.text


@pytest.mark.once
def test_a_store_without_the_bucket(doctor: Callable[..., Diagnosis], bucket: "Bucket", settings: Any) -> None:
    use_storage(settings, bucket.url_with("no-such-bucket"))
    found = doctor()
    assert found.of("storage")[0] == "wrong"
    assert "it has no bucket no-such-bucket" in found.of("storage")[1]
    assert found.checks["storage"]["do"].startswith("Create the bucket")


@pytest.mark.once
@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"])
def test_a_store_that_refuses_the_credentials(doctor: Callable[..., Diagnosis], bucket: "Bucket", code: str) -> None:
    with bucket.store.refusing("403 Forbidden", code, ("PUT", "GET", "HEAD", "DELETE")):
        found = doctor()
    assert found.of("storage")[0] == "wrong"
    assert f"it refuses our credentials ({code})" in found.of("storage")[1]
    assert found.checks["storage"]["do"].startswith("Look at key and secret in STORAGE_URL")


@pytest.mark.once
def test_a_store_that_cannot_be_reached(doctor: Callable[..., Diagnosis], bucket: "Bucket") -> None:
    with bucket.store.away():
        found = doctor()
    assert found.of("storage")[0] == "wrong"
    assert "it does not answer" in found.of("storage")[1]
    assert "look at the endpoint in STORAGE_URL" in found.checks["storage"]["do"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("endpoint", "said"), [("http://s3.example.com", True), ("https://s3.example.com", False)], ids=["http", "https"]
)
def test_a_store_far_away_without_https(settings: Any, endpoint: str, said: bool) -> None:
    use_storage(settings, f"s3://uploads?endpoint={endpoint}")
    found = [finding for finding in of_settings() if "STORAGE_URL" in finding.message]
    assert bool(found) == said


@pytest.mark.once
@pytest.mark.parametrize("code", ["404", "NotFound", "NoSuchKey"])
def test_an_address_where_no_store_is(doctor: Callable[..., Diagnosis], bucket: "Bucket", code: str) -> None:
    with bucket.store.refusing("404 Not Found", code, ("PUT", "GET", "HEAD", "DELETE")):
        found = doctor()
    assert found.of("storage")[0] == "wrong"
    assert "it answers that there is nothing at its address" in found.of("storage")[1]
    assert found.checks["storage"]["do"].startswith("Look at the endpoint in STORAGE_URL")


def test_a_full_disk_is_one_to_make_room_on(doctor: Callable[..., Diagnosis], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(default_storage, "save", refuse)
    found = doctor()
    assert found.of("storage")[0] == "wrong"
    assert found.checks["storage"]["do"].startswith("Make room")


@pytest.mark.parametrize("closed", ["incoming", "uploads/imports", "uploads"])
def test_each_folder_that_uploads_come_through_is_looked_at(
    doctor: Callable[..., Diagnosis], settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    settings.DATA_DIR, settings.FILE_UPLOAD_TEMP_DIR = tmp_path, tmp_path / "incoming"
    settings.UPLOADS_DIR = tmp_path / "uploads"
    (tmp_path / closed).mkdir(parents=True)
    real = tempfile.TemporaryFile

    def write(*, dir: Path) -> Any:  # noqa: A002  # as it is called
        if dir == tmp_path / closed:
            raise PermissionError(13, "Permission denied")
        return real(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", write)
    found = doctor()
    assert found.of("storage") == ("wrong", f"Uploads cannot be kept in {tmp_path / closed}: Permission denied.")
    assert str(tmp_path / closed) in found.checks["storage"]["do"]


def test_what_was_written_to_look_at_the_storage_is_removed(doctor: Callable[..., Diagnosis]) -> None:
    kept = default_storage.save("kept.txt", ContentFile(b""))
    doctor()
    assert [name for name in default_storage.listdir("")[1] if "doctor" in name] == []
    default_storage.delete(kept)


def test_a_job_that_waits_for_long(doctor: Callable[..., Diagnosis]) -> None:
    ImportJob.objects.create(file_name="a.csv")
    assert doctor().of("queue")[0] == "ok"
    ImportJob.objects.create(file_name="b.csv", created_at=timezone.now() - timedelta(hours=2, minutes=5))
    assert doctor().of("queue") == ("warning", "2 jobs wait, the oldest for 2\xa0hours.")


def test_a_worker_that_has_gone(doctor: Callable[..., Diagnosis]) -> None:
    WorkerSeen.objects.update(seen_at=timezone.now() - timedelta(minutes=5, seconds=1))
    assert doctor().of("worker") == ("wrong", "Last seen 5\xa0minutes ago.")


def test_a_klaviyo_key_that_no_encryption_key_opens(
    doctor: Callable[..., Diagnosis], account: KlaviyoAccount, settings: Any
) -> None:
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    state, message = doctor().of("encryption keys")
    assert (state, message) == ("wrong", "None of ENCRYPTION_KEYS opens the key of Klaviyo account XyZ123.")


def test_a_second_proof_that_no_encryption_key_opens(doctor: Callable[..., Diagnosis], viewer: Person) -> None:
    Authenticator.objects.create(user=viewer, type="totp", data={"secret": "kept under another key"})
    Authenticator.objects.create(user=viewer, type="recovery_codes", data={"seed": "kept under another key"})
    state, message = doctor().of("encryption keys")
    assert (state, message) == ("wrong", "None of ENCRYPTION_KEYS opens the two-factor sign-in of 1 person.")


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite keeps no index to catch up")
def test_a_search_index_that_lags_behind(doctor: Callable[..., Diagnosis]) -> None:
    SearchBacklog.note(Channel.objects.get(slug="email"), None)
    text = doctor().text
    assert "The index is 1 change behind" in text


def test_a_klaviyo_that_is_reached(doctor: Callable[..., Diagnosis], account: KlaviyoAccount) -> None:
    found = doctor()
    assert found.of("klaviyo")[0] == "ok"
    assert KEY not in found.text


@pytest.mark.parametrize(
    ("fault", "do"),
    [
        (faults.status(401), "change the key"),
        (faults.status(500), "Look at the network"),
        (faults.reset, "Look at the network"),
        (faults.hang, "Look at the network"),
    ],
)
def test_a_klaviyo_that_does_not_answer_or_refuses(
    doctor: Callable[..., Diagnosis],
    klaviyo: FakeKlaviyo,
    account: KlaviyoAccount,
    settings: Any,
    fault: faults.Fault,
    do: str,
) -> None:
    settings.KLAVIYO_TIMEOUT = settings.KLAVIYO_PATIENCE = 1
    klaviyo.misbehave(fault)
    found = doctor()
    assert found.of("klaviyo")[0] == "wrong"
    assert do in found.checks["klaviyo"]["do"]
    assert KEY not in found.text


def test_a_key_that_may_not_read_all(
    doctor: Callable[..., Diagnosis], klaviyo: FakeKlaviyo, account: KlaviyoAccount
) -> None:
    klaviyo.keys = {KEY: frozenset({"accounts:read", "lists:read"})}
    state, message = doctor().of("klaviyo")
    assert (state, message) == ("wrong", "Account XyZ123: the key may not read segments:read.")


def test_without_an_account_klaviyo_is_asked_only_on_request(
    doctor: Callable[..., Diagnosis], klaviyo: FakeKlaviyo
) -> None:
    assert "klaviyo" not in doctor().checks
    assert doctor("--klaviyo").of("klaviyo") == ("ok", f"{klaviyo.url} answers; no account is connected.")


@pytest.mark.parametrize(
    ("changes", "state", "told"),
    [
        ({"DEBUG": True}, "warning", "DEBUG is on"),
        ({"DEBUG": True, "ALLOWED_HOSTS": ["a.example.com"]}, "wrong", "DEBUG is on"),
        ({"ALLOWED_HOSTS": ["a.example.com"]}, "warning", "without HTTPS"),
        ({"ALLOWED_HOSTS": ["*"], "HTTPS": True}, "warning", "takes any host"),
        ({"HTTPS": True}, "wrong", "names this machine alone"),
        ({"KLAVIYO_API_BASE_URL": "http://klaviyo.example.com"}, "wrong", "is not HTTPS"),
        (
            {
                "ALLOWED_HOSTS": ["a.example.com"],
                "HTTPS": True,
                "EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend",
            },
            "warning",
            "written to the console",
        ),
    ],
)
def test_settings_that_do_not_fit_together(
    doctor: Callable[..., Diagnosis], settings: Any, changes: dict[str, Any], state: str, told: str
) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)
    found = [each for each in json.loads(doctor().text)["checks"] if told in each["message"]]
    assert [each["state"] for each in found] == [state]
    assert not [
        each for each in json.loads(doctor().text)["checks"] if each["check"] == "settings" and each["state"] == "ok"
    ]


def test_a_redis_that_is_away_is_wrong_only_where_jobs_go_through_it(
    doctor: Callable[..., Diagnosis], settings: Any
) -> None:
    settings.REDIS_URL = f"redis://:the-password@127.0.0.1:{free_port()}/0"
    found = doctor()
    assert found.of("redis")[0] == "warning"
    assert "does not answer at 127.0.0.1" in found.of("redis")[1]
    assert "beat" not in found.checks
    settings.TASKS_BACKEND = "celery"
    found = doctor()
    assert found.of("redis")[0] == "wrong"
    assert "Jobs wait until then" in found.checks["redis"]["do"]
    assert "the-password" not in found.text


def test_celery_without_a_beat(doctor: Callable[..., Diagnosis], settings: Any) -> None:
    settings.TASKS_BACKEND = "celery"
    assert doctor().of("beat") == (
        "wrong",
        "None has been seen for days: no sync is started by its schedule, and a job whose message was lost waits.",
    )
    now = timezone.now()
    BeatSeen.objects.create(name="here:2", started_at=now, seen_at=now)
    assert doctor().of("beat") == ("ok", "Seen in the last minute.")
    WorkerSeen.objects.all().delete()
    assert doctor().checks["worker"]["do"].startswith("Start one: celery --app jobs.celery worker")
