"""What holds for every page: security headers, error pages, icons, words of time."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.test import Client, RequestFactory, override_settings
from django.urls import path
from django.utils import timezone

from accessaudience import errors
from accessaudience.templatetags.aa import in_words, num, undo_of
from channels.models import ICONS

ROOT = Path(settings.BASE_DIR)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SPRITE = set(re.findall(r'id="i-([a-z0-9-]+)"', (ROOT / "static/img/icons.svg").read_text()))
OWN_SHEETS = sorted((ROOT / "static/css").glob("*.css"))
CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")
UNSTYLED = {"from-", "key-"}  # the rest of the name is the source, or the number
GIVEN = (  # where a class is given to an element: in templates, by a tag in them, in forms, by script
    ("templates/**/*.html", re.compile(r'class="((?:{%.*?%}|{{.*?}}|[^"])*)"')),
    ("templates/**/*.html", re.compile(r"{% (?:icon|include) (.*?)%}")),
    ("*/**/*.py", re.compile(r'"class": "([^"]*)"')),
    ("static/js/*.js", re.compile(r'"([^"\n]*)"')),
)


def fails(request: HttpRequest) -> HttpResponse:
    """Fail."""
    raise ValueError


class Failing:
    """The addresses of a site whose one page fails."""

    urlpatterns = (path("fails", login_not_required(fails)),)
    handler500 = "accessaudience.errors.server_error"


PAGES = {403: errors.forbidden, 404: errors.not_found, 413: errors.too_large, 500: errors.server_error}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/nowhere/", "/admin/"])
def test_every_page_forbids_other_hosts_inline_code_and_frames(as_admin: Client, path: str) -> None:
    response = as_admin.get(path)
    policy = dict(part.strip().partition(" ")[::2] for part in response["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert "camera=()" in response["Permissions-Policy"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "address", "how"),
    [
        (200, "/favicon.ico", {}),
        (200, "/api/v1/openapi.json", {}),
        (200, "/health/live", {}),
        (200, "/channels/email/segments/export/", {}),
        (301, "/segments", {}),
        (301, "/segments/", {"SECURE_SSL_REDIRECT": True}),
        (302, "/admin/login/", {}),
        (400, "/", {"ALLOWED_HOSTS": ["elsewhere.example"]}),
        (401, "/api/v1/channels/email/segments", {}),
        (404, "/static/nothing.js", {}),
        (405, "/theme/", {}),
        (500, "/fails", {"ROOT_URLCONF": Failing}),
    ],
)
def test_every_kind_of_answer_carries_the_headers(
    as_admin: Client, status: int, address: str, how: dict[str, object]
) -> None:
    as_admin.raise_request_exception = False
    with override_settings(**how):
        response = as_admin.get(address)
        response.close()
    assert response.status_code == status
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert "camera=()" in response["Permissions-Policy"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    ["/", "/channels/email/segments/", "/channels/email/segments/export/", "/data/upload/", "/admin/", "/nowhere/"],
)
def test_no_page_is_kept_by_a_cache_or_after_sign_out(as_admin: Client, path: str) -> None:
    said = {part.strip() for part in as_admin.get(path)["Cache-Control"].split(",")}
    assert {"private", "no-store"} <= said


def test_the_icon_is_where_browsers_look_for_it() -> None:
    response = Client().get("/favicon.ico")
    assert (response.status_code, response["Content-Type"]) == (200, "image/x-icon")
    assert "no-store" not in response["Cache-Control"]
    assert b"".join(response).startswith(b"\0\0\1\0")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_no_template_has_inline_code_or_style_or_another_host(template: Path) -> None:
    text = template.read_text("utf-8")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|hx-on|javascript:|<script(?![^>]*\ssrc=)", text)
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text)


def shown_in(template: Path) -> set[Path]:
    """A template and all that it includes."""
    names = re.findall(r'{% include "([^"]+)"', template.read_text("utf-8"))
    return {template}.union(*(shown_in(ROOT / "templates" / name) for name in names))


def test_what_asks_again_by_itself_has_a_link_for_those_without_script() -> None:
    asking = {path for path in TEMPLATES if 'hx-trigger="every ' in path.read_text("utf-8")}
    assert asking
    link = ROOT / "templates/jobs/_look.html"
    assert {path for path in asking if link in shown_in(path)} == asking


def test_every_icon_that_a_template_or_channel_names_is_in_the_sprite() -> None:
    named = {icon for path in TEMPLATES for icon in re.findall(r'{% icon "([a-z0-9-]+)"', path.read_text("utf-8"))}
    assert named | set(ICONS) <= SPRITE


def test_every_class_of_a_template_is_in_a_style_sheet() -> None:
    """Else it has a typing mistake, or is a class of Tabler used for the first time: run `make tabler`."""
    used = {
        name
        for path in TEMPLATES
        for value in re.findall(r'class="([^"]*)"', re.sub(r"{%.*?%}|{{.*?}}", " ", path.read_text("utf-8")))
        for name in value.split()
    }
    styled = {name for path in (ROOT / "static").rglob("*.css") for name in CLASS.findall(path.read_text("utf-8"))}
    assert used - styled - UNSTYLED == set()


def test_every_class_that_our_own_style_sheets_name_is_given_to_something() -> None:
    """Else its rules style nothing, and go."""
    given = {
        name
        for pattern, where in GIVEN
        for path in ROOT.glob(pattern)
        if ".venv" not in path.parts
        for value in where.findall(path.read_text("utf-8"))
        for name in re.findall(r"[\w-]+", value)
    }
    beginnings = tuple(name for name in given if name.endswith("-"))
    sheets = [re.sub(r"/\*.*?\*/|url\([^)]*\)", "", path.read_text("utf-8"), flags=re.DOTALL) for path in OWN_SHEETS]
    styled = {name for sheet in sheets for name in CLASS.findall(sheet)}
    assert {name for name in styled - given if not name.startswith(beginnings)} == set()


@pytest.mark.parametrize("status", PAGES)
def test_error_pages_need_no_database_and_nobody_signed_in(status: int) -> None:
    request = RequestFactory().get("/", headers={"cookie": "theme=dark"})
    view = PAGES[status]
    response = view(request, Exception()) if status in (403, 404) else view(request)
    assert response.status_code == status
    assert f"Error {status}" in response.content.decode()
    assert 'data-bs-theme="dark"' in response.content.decode()


def test_a_form_that_is_out_of_date_says_what_to_do() -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post("/accounts/login/", {"login": "a@example.com", "password": "x"})
    assert response.status_code == 403
    assert "nothing was changed" in response.content.decode()


@pytest.mark.django_db
@override_settings(DEBUG=False)
def test_an_address_that_is_not_there_is_404_for_a_stranger_too(client: Client) -> None:
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "We can" in response.content.decode()


def test_a_message_offers_to_undo_its_change_set() -> None:
    assert undo_of("undo:12") == 12
    assert undo_of("safe undo:7") == 7
    assert undo_of("undo:x") is undo_of("") is undo_of(None) is None


def test_a_toast_shows_text_as_text() -> None:
    message = {"message": "<b>VIP</b>", "extra_tags": "", "level_tag": "success"}
    assert "&lt;b&gt;VIP&lt;/b&gt;" in render_to_string("_toast.html", {"messages": [message]})


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0"), (None, "0"), (999, "999"), (1220, "1,220"), (10**6, "1,000,000")]
)
def test_thousands_have_a_comma(number: int | None, shown: str) -> None:
    assert num(number) == shown


NOW = datetime(2026, 11, 23, 14, 30, tzinfo=timezone.get_default_timezone())


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=59), "59 min ago"),
        (timedelta(hours=2, minutes=10), "2 h ago"),
        (timedelta(hours=6), "Today, 08:30"),
        (timedelta(hours=20), "Yesterday, 18:30"),
        (timedelta(days=11), "12 Nov"),
        (timedelta(days=400), "19 Oct 2025"),
        (timedelta(minutes=-5), "Today, 14:35"),
    ],
)
def test_times_are_told_in_words(monkeypatch: pytest.MonkeyPatch, before: timedelta, words: str) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    assert in_words(NOW - before) == words


@pytest.mark.parametrize("now", [datetime(2026, 3, 29, 1, 10, tzinfo=UTC), datetime(2026, 10, 25, 1, 10, tzinfo=UTC)])
def test_a_change_of_the_clock_makes_no_time_longer_or_shorter(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr(timezone, "now", lambda: now)
    with timezone.override(ZoneInfo("Europe/Berlin")):
        assert in_words(now - timedelta(minutes=20)) == "20 min ago"
