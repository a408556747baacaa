"""What `make lint` must catch beside style: our own dangers, bandit's, and secrets. Each is planted."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)

pytestmark = pytest.mark.once


def tool(name: str) -> ModuleType:
    """A program of bin/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "bin" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


dangers, leaks = tool("dangers"), tool("leaks")


def plant(folder: Path, file: str, line: str = "") -> None:
    """Put a copy of one file of the project into `folder`, with a line more."""
    copy = folder / file
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(f"{(ROOT / file).read_text('utf-8')}\n{line}\n", "utf-8")


def test_the_code_has_none_of_the_dangers() -> None:
    assert list(dangers.found_in(ROOT)) == []


def test_what_is_allowed_is_still_needed() -> None:
    files = {file for allowed in dangers.ALLOWED.values() for file in allowed}
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        ("segments/views.py", 'connection.cursor().execute("SELECT 1")', "SQL outside"),
        ("channels/models.py", 'Channel.objects.raw("SELECT 1")', "SQL outside"),
        ("imports/models.py", 'ImportJob.objects.extra(where=["1=1"])', "SQL outside"),
        ("overview/board.py", 'RawSQL("1", [])', "SQL outside"),
        ("segments/pages.py", "from django.utils.safestring import mark_safe\nmark_safe(x)", "mark_safe"),
        ("segments/pages.py", "safestring.mark_safe(x)", "mark_safe"),
        ("segments/pages.py", "SafeString(x)", "SafeString"),
        ("segments/change_views.py", "@csrf_exempt\ndef more(request): ...", "csrf_exempt"),
        ("integrations/sync.py", "import requests", "the network"),
        ("integrations/accounts.py", "from urllib.request import urlopen", "the network"),
        ("imports/uploads.py", "from urllib import request", "the network"),
        ("people/mail.py", "import http.client", "the network"),
        ("integrations/sync.py", "from klaviyo_api import KlaviyoAPI", "the network"),
        ("segments/pages.py", "more = NinjaAPI(title='x')", "nothing says who may use this API"),
        ("templates/404.html", "{{ name|safe }}", "|safe"),
        ("templates/404.html", "{{ names | safeseq | join:', ' }}", "|safe"),
        ("templates/404.html", "{% autoescape off %}{{ name }}{% endautoescape %}", "autoescape off"),
        ("templates/404.html", "{% filter force_escape|safe %}x{% endfilter %}", "filter safe"),
        ("templates/404.html", "<script>alert(1)</script>", "a script within the page"),
        ("templates/404.html", '<p onclick="go()">', "style or script in an attribute"),
        ("templates/404.html", '<p style="color: red">', "style or script in an attribute"),
        ("templates/404.html", '<a target="_blank" href="{{ link }}">', "a new tab without"),
    ],
)
def test_a_planted_danger_is_found(tmp_path: Path, file: str, line: str, told: str) -> None:
    plant(tmp_path, file, line)
    found = list(dangers.found_in(tmp_path))
    assert found
    assert all(place.startswith(f"{file}:") for place in found)
    assert any(told in place for place in found)


@pytest.mark.parametrize("decorators", ["", "@require_safe\n"])
def test_a_planted_view_that_says_not_who_may_is_found(tmp_path: Path, decorators: str) -> None:
    for views in (ROOT / "imports").glob("*views.py"):
        plant(tmp_path, f"imports/{views.name}")
    plant(tmp_path, "imports/views.py", f"\n{decorators}def more(request):\n    ...")
    plant(tmp_path, "imports/urls.py", 'urlpatterns.append(path("more/", views.more, name="more"))')
    plant(tmp_path, "segments/bulk/views.py", f"\n{decorators}def most(request):\n    ...")
    plant(tmp_path, "segments/urls.py", 'urlpatterns.append(path("most/", bulk_views.most, name="most"))')
    first, second = dangers.found_in(tmp_path)
    assert "nothing says who may (more" in first + second
    assert "nothing says who may (most" in first + second


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("import subprocess\nsubprocess.run(x, shell=True)", "S602"),
        ("import pickle\npickle.loads(x)", "S301"),
        ("import hashlib\nhashlib.md5(x)", "S324"),
        ("eval(x)", "S307"),
        ('PASSWORD = "hunter2 and more"', "S105"),
        ('query = f"SELECT * FROM segments WHERE name = {name}"', "S608"),
        ("import ssl\nssl._create_unverified_context()", "S323"),
        ("import tempfile\ntempfile.mktemp()", "S306"),
        ('# who is \u202eadmin\u2066\nx = "a"', "PLE2502"),
    ],
)
def test_a_planted_danger_that_bandit_knows_is_found(tmp_path: Path, code: str, rule: str) -> None:
    file = tmp_path / "planted.py"
    file.write_text(code + "\n")
    ruff = [str(Path(sys.executable).parent / "ruff"), "check", "--config", str(ROOT / "pyproject.toml"), str(file)]
    said = subprocess.run(ruff, capture_output=True, text=True, check=False).stdout
    assert rule in said


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("notes.md", "AKIA" + "IOSFODNN7EXAMPLQ"),
        ("key.pem", "-----BEGIN RSA " + "PRIVATE KEY-----"),
        ("settings.py", "URL = 'postgres://maya:" + "s3cr3tw0rd@db.example.com/x'"),
        ("settings.py", "KEY = '" + "kQ7v9Zs2LxR4mT8wB1nY6pD3fH5jG0aC" + "'"),
        ("tests/test_x.py", "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"),
    ],
)
def test_a_planted_secret_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, line: str) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / name).write_text(f"{line}\n")
    monkeypatch.chdir(tmp_path)
    assert leaks.found_in([name])
