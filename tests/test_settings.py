"""Settings: every one documented, and a wrong value stops the start with one sentence."""

import multiprocessing
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from sentry_sdk.utils import Dsn

from accessaudience import checks
from accessaudience.environment import Environment
from accessaudience.secrets import is_encryption_key, kept_secret, new_encryption_key, new_secret_key
from imports.retention import remove_old_files
from people.models import Person

ROOT = Path(settings.BASE_DIR)
ON_POSTGRESQL = {
    "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
    "SECRET_KEY": new_secret_key(),
    "ENCRYPTION_KEYS": new_encryption_key(),
}


def check(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start the application's command line with nothing set but `environment`."""
    given = {"PATH": os.environ["PATH"], "DATA_DIR": str(folder / "data"), **environment}
    return subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=given, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "maybe"),
        ("IMPORT_MAX_ROWS", "many"),
        ("IMPORT_MAX_BYTES", "0"),
        ("IMPORT_MAX_CELL", "-1"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("DATABASE_URL", "mysql://localhost/audience"),
        ("DATABASE_URL", "postgres://localhost:port/audience"),
        ("DATABASE_URL", "audience.sqlite3"),
        ("ENCRYPTION_KEYS", "too short"),
        ("ENCRYPTION_KEYS", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("SECRET_KEY", "too short"),
        ("SECRET_KEY", "s" * 60),
        ("SECRET_KEY", "django-insecure-0123456789abcdefghijklmnopqrstuvwxyz0123456789"),
        ("LOG_LEVEL", "LOUD"),
        ("DATA_DIR", "/dev/null/data"),
        ("SITE_URL", "audience.example.com"),
        ("SITE_URL", "https://audience.example.com/path"),
        ("EMAIL_URL", "mail.example.com:587"),
        ("EMAIL_URL", "smtp+tls://user:password@host"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://localhost:port/0"),
        ("REDIS_URL", "redis://localhost:6379/first"),
        ("REDIS_URL", "unix://"),
        ("TASKS_BACKEND", "rabbitmq"),
        ("TASKS_BACKEND", "celery"),
        ("SESSION_DAYS", "0"),
        ("SESSION_DAYS", "36501"),
        ("WEB_CONCURRENCY", "100000"),
        ("STORAGE_URL", "https://s3.example.com/uploads"),
        ("METRICS_TOKEN", "too short"),
        ("SENTRY_DSN", "https://sentry.example.com/1"),
        ("SENTRY_DSN", "https://key@sentry.example.com/abc"),
        ("SENTRY_DSN", "https://key@sentry.example.com:port/1"),
        ("ALLOWED_HOSTS", "https://audience.example.com"),
        ("ALLOWED_HOSTS", "a.example.com b.example.com"),
        ("ALLOWED_HOSTS", "a.example.com,b.example.com:8000"),
        ("CSRF_TRUSTED_ORIGINS", "audience.example.com"),
        ("SITE_URL", "https://[audience"),
        ("EMAIL_FROM", "bad from"),
        ("EMAIL_FROM", "Fernhill, Inc <a@example.com>"),
        ("KLAVIYO_WEB_URL", "www.klaviyo.com"),
        ("KLAVIYO_API_BASE_URL", "a.klaviyo.com"),
        ("REQUEST_ID_HEADER", "X-Request-ID: a"),
        ("METRICS_TOKEN", "aaaaaaaaaaaaaaaaaaaaaaaa"),
    ],
)
def test_a_wrong_value_stops_the_start_with_one_sentence_that_names_it(name: str, value: str, tmp_path: Path) -> None:
    done = check(tmp_path, **{name: value})
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(name)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"ALLOWED_HOSTS": ".example.com,[::1],10.0.0.1,a_b.example.com,*"}, "ALLOWED_HOSTS"),
        ({"CSRF_TRUSTED_ORIGINS": "https://*.example.com,http://localhost:8000"}, "CSRF_TRUSTED_ORIGINS"),
    ],
)
def test_names_of_hosts_may_be_all_that_django_compares(
    environment: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Environment, "ENVIRON", environment)
    read = Environment().hosts(name, []) if name == "ALLOWED_HOSTS" else Environment().origins(name)
    assert read == environment[name].split(",")


@pytest.mark.parametrize("sender", ["noreply@localhost", "Müller <a@example.com>", '"Fernhill, Inc" <a@example.com>'])
def test_mails_may_come_from_an_address_with_or_without_a_name(sender: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Environment, "ENVIRON", {"EMAIL_FROM": sender})
    assert Environment().sender("EMAIL_FROM", "x@localhost") == sender


@pytest.mark.parametrize("address", ["https://key@sentry.example.com/1", "http://key:pass@host:9000/under/a/42"])
def test_what_is_taken_for_a_project_of_sentry_sentry_takes_too(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Environment, "ENVIRON", {"SENTRY_DSN": address})
    assert Dsn(Environment().dsn("SENTRY_DSN")).project_id.isdigit()


@pytest.mark.parametrize("days", ["UPLOAD_RETENTION_DAYS", "SESSION_DAYS", "ACCESS_LOG_DAYS", "INVITATION_DAYS"])
@pytest.mark.parametrize("number", ["999999", "9" * 5_000])
def test_a_number_from_which_a_date_could_not_be_counted_stops_the_start(
    days: str, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Environment, "ENVIRON", {days: number})
    with pytest.raises(ImproperlyConfigured, match=f"^{days} must be a whole number from 1 to 36500, not"):
        Environment().number(days, 7, most=36_500)


@pytest.mark.django_db
def test_the_longest_time_that_may_be_set_can_be_counted_from_today(
    admin_person: Person, password: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACCESS_LOG_DAYS", "UPLOAD_RETENTION_DAYS", "SESSION_DAYS"):
        monkeypatch.setattr(settings, name, 36_500)
    monkeypatch.setattr(settings, "SESSION_COOKIE_AGE", 36_500 * 24 * 60 * 60)
    remove_old_files()
    answer = client.post(settings.LOGIN_URL, {"login": admin_person.email, "password": password})
    assert answer.status_code == 302
    assert client.get("/", follow=True).status_code == 200


@pytest.mark.parametrize("redis", ["", "unix:///run/redis.sock"])
def test_celery_without_a_redis_that_it_can_use_stops_the_start(redis: str, tmp_path: Path) -> None:
    done = check(tmp_path, **ON_POSTGRESQL, TASKS_BACKEND="celery", REDIS_URL=redis)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "TASKS_BACKEND=celery needs REDIS_URL, like redis://host:6379/0.\n"


def test_a_pool_of_connections_has_two_for_each_thread_and_is_for_postgresql(tmp_path: Path) -> None:
    assert check(tmp_path, DATABASE_POOL="8").stderr == (
        "DATABASE_POOL is for PostgreSQL: set DATABASE_URL, or take it out.\n"
    )
    assert check(tmp_path, **ON_POSTGRESQL, DATABASE_POOL="7").stderr == (
        "DATABASE_POOL must be 0 or at least 8: each of the 4 threads may need two.\n"
    )


@pytest.mark.parametrize("name", ["SECRET_KEY", "ENCRYPTION_KEYS"])
def test_on_postgresql_no_secret_is_invented(name: str, tmp_path: Path) -> None:
    done = check(tmp_path, **{**ON_POSTGRESQL, name: ""})
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"{name} is not set.")
    assert list((tmp_path / "data").iterdir()) == []


def shown(folder: Path, code: str, **environment: str) -> str:
    """What the application, started with `environment`, prints for `code`."""
    given = {"PATH": os.environ["PATH"], "DATA_DIR": str(folder / "data"), **environment}
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", f"from django.conf import settings; {code}"]
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=True).stdout.strip()


def test_under_https_cookies_are_bound_to_the_host_and_the_browser_keeps_to_https(tmp_path: Path) -> None:
    names = "SESSION_COOKIE_SECURE CSRF_COOKIE_SECURE SECURE_HSTS_SECONDS"
    cookies = " ".join(f"{name}_COOKIE_NAME" for name in ("SESSION", "CSRF", "KNOWN", "THEME", "MESSAGES"))
    code = f"print(*(getattr(settings, name) for name in '{cookies} {names}'.split()))"
    secured = shown(tmp_path, code, HTTPS="true", HSTS_SECONDS="31536000")
    assert secured == "__Host-sessionid __Host-csrftoken __Host-known __Host-theme __Host-messages True True 31536000"
    assert shown(tmp_path, code).startswith("sessionid csrftoken known theme messages False False")


def test_production_settings_pass_every_check_of_a_deployment(tmp_path: Path) -> None:
    given = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "HTTPS": "true", "ALLOWED_HOSTS": "a.example.com"}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "http://localhost:8000"),
        ({"PORT": "8100"}, "http://localhost:8100"),
        ({"HTTPS": "true", "ALLOWED_HOSTS": "a.example.com,b.example.com"}, "https://a.example.com"),
        ({"CSRF_TRUSTED_ORIGINS": "https://c.example.com"}, "https://c.example.com"),
        ({"ALLOWED_HOSTS": "*"}, "http://localhost:8000"),
        ({"CSRF_TRUSTED_ORIGINS": "https://*.example.com, https://e.example.com/"}, "https://e.example.com"),
        ({"SITE_URL": "https://d.example.com/"}, "https://d.example.com"),
    ],
)
def test_where_links_in_mails_lead_is_a_setting_or_follows_from_others(
    environment: dict[str, str], address: str, tmp_path: Path
) -> None:
    assert shown(tmp_path, "print(settings.SITE_URL)", **environment) == address


def test_mail_goes_to_the_console_unless_a_server_is_named(tmp_path: Path) -> None:
    code = "print(settings.EMAIL_BACKEND.split('.')[-2], settings.EMAIL_HOST, settings.EMAIL_PORT)"
    assert shown(tmp_path, code).startswith("console")
    assert shown(tmp_path, code, EMAIL_URL="smtp+tls://me:secret@mail.example.com:587") == "smtp mail.example.com 587"


def test_on_sqlite_secrets_are_made_for_the_owner_alone(tmp_path: Path) -> None:
    assert check(tmp_path).returncode == 0
    made = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()}
    assert made == {"secret_key": 0o600, "encryption_keys": 0o600, "incoming": 0o700}


def test_secrets_outlive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    assert kept_secret(path, new_secret_key) == kept_secret(path, new_secret_key)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", " must be random keys"), (b"garbage", " must be random keys"), (b"\xff\xfe", " is no text.")],
)
def test_a_file_of_keys_that_cannot_be_meant_is_named(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "data" / "encryption_keys"
    path.parent.mkdir()
    path.write_bytes(content)
    done = check(tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"ENCRYPTION_KEYS (in the file {path}){told}")


@pytest.mark.parametrize("name", ["secret_key", "encryption_keys"])
def test_a_file_of_keys_that_cannot_be_read_or_written_is_a_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / "data" / name
    path.mkdir(parents=True)
    done = check(tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"{name.upper()}: {path} cannot be read or written (Is a directory).")


def test_a_place_where_nothing_can_be_received_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "incoming").touch()
    assert check(tmp_path).stderr == f"DATA_DIR: {tmp_path}/data/incoming cannot be made (File exists).\n"


def test_a_new_encryption_key_is_one() -> None:
    assert is_encryption_key(new_encryption_key())


def test_processes_that_start_together_get_the_same_secret(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        got = pool.starmap(kept_secret, [(tmp_path / "secret_key", new_secret_key)] * 16)
    assert len(set(got)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    sources = (ROOT / "accessaudience/settings.py").read_text() + (ROOT / "accessaudience/supervisor.py").read_text()
    read = set(re.findall(r'(?:\benv\.\w+|_secret|os\.environ\.get)\(\s*"([A-Z_]+)"', sources)) - {"MAKELEVEL"}
    documented = re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(read)


def test_an_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "EMBEDDED", True)
    assert checks.sqlite_is_new_enough() == []
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 32, 9))
    assert [error.id for error in checks.sqlite_is_new_enough()] == ["accessaudience.E001"]
