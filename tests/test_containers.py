"""What the image and compose.yaml name is what the project has: settings, commands, ports, files, pinned versions."""

import importlib.util
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from tests.served import Server

ROOT = Path(settings.BASE_DIR)
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
EXAMPLE = dict(
    line.split("=", 1)
    for line in (ROOT / "containers/audience.env.example").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)
KNOWN = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
OURS = [name for name, service in SERVICES.items() if "build" in service]
pytestmark = pytest.mark.once


def test_every_variable_of_the_application_is_a_setting() -> None:
    interpolated = {"SITE_HOST", "POSTGRES_PASSWORD", "STORE_SECRET"}
    assert set(EXAMPLE) - interpolated <= KNOWN
    for name in OURS:
        assert set(SERVICES[name]["environment"]) <= KNOWN
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text("utf-8")))
    assert used == interpolated | {"VERSION"}
    assert interpolated <= set(EXAMPLE)


def filled(name: str) -> dict[str, str]:
    """Return the environment of a service, with the example filled in."""
    made_up = {key: value or secrets.token_hex(32) for key, value in EXAMPLE.items()}
    made_up["ENCRYPTION_KEYS"] = settings.ENCRYPTION_KEYS[0]
    given = {**made_up, **SERVICES[name]["environment"]}
    return {key: re.sub(r"\$\{(\w+)[^}]*\}", lambda found: made_up[found[1]], text) for key, text in given.items()}


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_each_part_are_good_for_a_start(name: str, tmp_path: Path) -> None:
    given = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), **filled(name)}
    code = "from django.conf import settings as s; print(s.DATABASES['default']['HOST'], s.REDIS_URL, "
    code += "s.STORAGES['default']['OPTIONS']['endpoint_url'], s.ALLOWED_HOSTS[0])"
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == ["database", "redis://redis:6379/0", "http://store:7070", EXAMPLE["SITE_HOST"]]
    assert {"database", "redis", "store"} <= set(SERVICES)


def test_every_command_exists() -> None:
    commands = [SERVICES[name].get("command") for name in OURS]
    for command in [each for each in commands if each]:
        module = command[command.index("-m" if "-m" in command else "-A") + 1]
        assert importlib.util.find_spec(module), module
    for program in ("gunicorn", "celery"):
        assert (Path(sys.executable).parent / program).exists()
    assert importlib.util.find_spec("accessaudience.probe")
    assert '"accessaudience.probe"' in DOCKERFILE


def test_ports_agree() -> None:
    (port,) = re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)
    assert f'"0.0.0.0:{port}"' in DOCKERFILE
    assert f"dynamic a web {port}" in (ROOT / "containers/Caddyfile").read_text("utf-8")
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]


def test_every_image_is_pinned_by_tag_and_ours_is_built_of_one_python() -> None:
    images = [service["image"] for name, service in SERVICES.items() if name not in OURS]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert all(re.search(r":v?\d+(\.\d+)*[\w.-]*$", image) for image in images), images
    assert len(set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))) == 1


def test_there_are_two_of_what_may_fall_and_none_may_write_to_its_image() -> None:
    assert {name: SERVICES[name].get("deploy", {}).get("replicas", 1) for name in OURS} == {
        "prepare": 1,
        "web": 2,
        "worker": 2,
        "beat": 1,
    }
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"]
        assert service["tmpfs"] == ["/tmp"]  # noqa: S108  # inside
        assert service["cap_drop"] == ["ALL"]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKERFILE, re.MULTILINE)


def test_nothing_starts_before_what_it_waits_for_and_prepare_is_first() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other] or other == "web", other  # web has that of the image
    assert all("prepare" in SERVICES[name]["depends_on"] for name in OURS if name != "prepare")


def is_left_out(path: str) -> bool:
    """Whether .dockerignore keeps `path`, or a folder that it is in, out of the image: from the root, but for `**/`."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    patterns = [
        re.escape(line).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*") for line in lines if line[:1] != "#"
    ]
    return any(re.match(f"{pattern}(/|$)", path) for pattern in patterns)


def test_no_secret_and_nothing_made_here_is_in_the_image() -> None:
    made = (
        ".env",
        "containers/audience.env",
        "data/secret_key",
        "tests/settings.py",
        "jobs/__pycache__/a.pyc",
        ".git/x",
    )
    assert [path for path in made if not is_left_out(path)] == []
    assert not any(map(is_left_out, ("manage.py", "segments/models.py", "templates/base.html", "requirements.lock")))
    assert not re.search(r"^(?:ENV|ARG).*(?:SECRET|PASSWORD|KEY|TOKEN)", DOCKERFILE, re.MULTILINE)
    assert all(value == "" for name, value in EXAMPLE.items() if "SECRET" in name or "PASSWORD" in name)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The folder of the application as the image holds it, static files collected as there; nothing else is in it."""
    app = tmp_path / "app"

    def ignored(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if is_left_out((Path(folder) / name).relative_to(ROOT).as_posix())}

    shutil.copytree(ROOT, app, ignore=ignored)
    given = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "build")}
    command = [sys.executable, "-m", "accessaudience.prepare", "--static"]
    done = subprocess.run(command, cwd=app, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return app


def test_the_image_needs_no_database_and_no_secret_to_be_built(image: Path) -> None:
    assert (image / "staticfiles" / "staticfiles.json").exists()
    assert (image / "manage.py").exists()
    assert not [path for path in image.rglob("*") if path.suffix == ".sqlite3" or path.name == "secret_key"]
    assert not (image / "tests").exists()


def test_git_keeps_no_environment() -> None:
    for path in (".env", "containers/audience.env"):
        git = ["git", "check-ignore", "--quiet", "--no-index", path]
        assert subprocess.run(git, cwd=ROOT, check=False).returncode == 0, path


def test_the_probe_says_what_is_wrong_with_its_port(environment: dict[str, str]) -> None:
    probe = [sys.executable, "-m", "accessaudience.probe"]
    done = subprocess.run(
        probe, cwd=ROOT, env={**environment, "PORT": "abc"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "PORT must be a number, not 'abc'.\n", "")


@pytest.mark.django_db(transaction=True)
def test_the_probe_says_whether_the_web_server_answers(environment: dict[str, str], tmp_path: Path) -> None:
    server = Server(tmp_path, {**environment, "ALLOWED_HOSTS": ".audience.example.com"})
    probe = [sys.executable, "-m", "accessaudience.probe"]
    given = {**environment, "ALLOWED_HOSTS": ".audience.example.com, other.example.com", "PORT": str(server.port)}
    try:
        server.get("/health/live", Host="audience.example.com")
        assert subprocess.run(probe, cwd=ROOT, env=given, check=False).returncode == 0
        wrong = subprocess.run(probe, cwd=ROOT, env={**given, "ALLOWED_HOSTS": "b.example.com"}, check=False)
        assert wrong.returncode == 1
    finally:
        server.kill()
    assert subprocess.run(probe, cwd=ROOT, env=given, check=False).returncode == 1
