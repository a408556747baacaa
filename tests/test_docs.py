"""What the pages of docs/ say is so: commands, options, settings, addresses, files, links, pictures, labels, codes."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import Resolver404, resolve

from integrations.klaviyo.client import SCOPES
from jobs.models import Status
from segments.changes.plan import __file__ as plan_file
from tests.e2e.guide import PICTURES

ROOT = Path(settings.BASE_DIR)
IMAGES = ROOT / "docs" / "img"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
DECISIONS = sorted((ROOT / "docs" / "adr").glob("*.md"))
FOR_MARKETERS = [ROOT / "docs" / f"{name}.md" for name in ("guide", "importing", "klaviyo", "quickstart")]
ids = {"ids": lambda path: path.name}

EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
SETTINGS = set(re.findall(r"^#?([A-Z_]+)=", EXAMPLE, re.MULTILINE))
TARGETS = set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.MULTILINE))
# Variables that are no settings: of make, and of what develops and tests.
VARIABLES = set(re.findall(r"^([A-Z_]+) \??:?=", MAKEFILE, re.MULTILINE)) | {
    name
    for folder in ("bin", "bench", "tests", ".ci")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and (path.suffix == ".py" or folder == ".ci")
    for name in re.findall(
        r'environ\b[^"\n]{0,12}"([A-Z_]+)"|\b([A-Z]+_[A-Z_]+)=|unset ([A-Z_]+)', path.read_text("utf-8")
    )
    for name in name
    if name
}
# Of other programs, of the system, and names in the code that a page explains.
ELSEWHERE = {"COMPOSE_ENV_FILES", "TMPDIR", "PYTHONPATH", "WAL", "NULL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
OURS = {name for name, app in get_commands().items() if not app.startswith("django.")}
WHERE_PAGES_ARE = (
    "api",
    "data",
    "activity",
    "people",
    "integrations",
    "accounts",
    "channels",
    "segments",
    "health",
    "metrics",
)
MADE_AT_RUN_TIME = ("data/", "build/", "staticfiles/", ".venv", "shots/")


def blocks(text: str) -> Iterator[str]:
    """The lines of code blocks: they are indented, or fenced."""
    fenced = False
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith("```")
        if fenced or line.startswith("    "):
            yield line.strip()


def spans(text: str) -> list[str]:
    """What stands between single backquotes."""
    outside = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", outside)


def code(path: Path) -> list[str]:
    text = path.read_text("utf-8")
    return [*blocks(text), *spans(text)]


def command(name: str) -> BaseCommand:
    app = get_commands()[name]
    return load_command_class(app, name) if isinstance(app, str) else app


def arguments(rest: str) -> list[str]:
    """The arguments of a command, up to a comment or what the shell does with it."""
    words = shlex.split(rest, comments=True)
    end = next((place for place, word in enumerate(words) if word in ("<", ">", "|", "&&")), len(words))
    return words[:end]


@pytest.mark.parametrize("page", PAGES, **ids)
def test_every_command_on_a_page_can_be_given(page: Path) -> None:
    for line in blocks(page.read_text("utf-8")):
        called = re.search(r"manage\.py (\w+)(.*)", re.sub(r"\$\([^)]*\)", "today", line))
        if not called or "──" in line:  # a drawing
            continue
        parser = command(called[1]).create_parser("manage.py", called[1])
        try:
            parser.parse_args(arguments(called[2]))
        except CommandError as error:  # what a parser raises where it is not called by a command line
            pytest.fail(f"{line}: {error}")


@pytest.mark.parametrize("page", PAGES, **ids)
def test_every_command_and_target_that_a_page_names_is_there(page: Path) -> None:
    for text in code(page):
        for name in re.findall(r"manage\.py (\w+)", text):
            assert name in get_commands(), text
        for name in re.findall(r"(?:^|[ (])make ([a-z0-9-]+)", text):
            assert name in TARGETS, text


@pytest.mark.parametrize("page", PAGES, **ids)
def test_every_option_that_a_page_names_is_one_of_a_command(page: Path) -> None:
    known = {option for name in OURS for action in options_of(name) for option in action}
    for text in spans(page.read_text("utf-8")):
        if text.startswith("--"):
            assert re.match(r"--[a-z-]+", text)[0] in known, text  # type: ignore[index]  # it begins so


def options_of(name: str) -> list[list[str]]:
    parser: CommandParser = command(name).create_parser("manage.py", name)
    return [list(action.option_strings) for action in parser._actions]


@pytest.mark.parametrize("page", PAGES, **ids)
def test_every_setting_that_a_page_names_is_read(page: Path) -> None:
    for text in code(page):
        for name in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b(?!_)", text):
            assert name in SETTINGS | VARIABLES | ELSEWHERE, text
        for name in re.findall(r"^([A-Z]+)=", text):
            assert name in SETTINGS | VARIABLES, text


def test_every_setting_is_explained_to_whoever_runs_it() -> None:
    said = {word for page in PAGES for text in code(page) for word in re.findall(r"[A-Z_]{4,}", text)}
    assert SETTINGS - said == set()


@pytest.mark.parametrize("page", PAGES, **ids)
def test_every_address_that_a_page_names_is_there(page: Path) -> None:
    for text in spans(page.read_text("utf-8")):
        path = re.sub(r"^GET ", "", text).partition("?")[0]
        if not re.match(rf"/(?:{'|'.join(WHERE_PAGES_ARE)})(?:/|$)", path):
            continue
        path = path.replace("<slug>", "email").replace("<id>", "1")
        try:
            resolve(path)
        except Resolver404:
            pytest.fail(f"{text} is no address")


@pytest.mark.parametrize("page", PAGES, **ids)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    for text in spans(page.read_text("utf-8")):
        looks_like_one = re.fullmatch(r"(?:[\w.-]+/)+|(?:[\w.-]+/)*[\w-]+\.(?:py|md|toml|lock|example)", text)
        if looks_like_one and not text.startswith(MADE_AT_RUN_TIME):
            assert any((folder / text).exists() for folder in (ROOT, page.parent, ROOT / "accessaudience")), text


def anchor(heading: str) -> str:
    """The name that a heading has in links, as GitHub makes it."""
    words = re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).strip().lower())
    return words.replace(" ", "-")


@pytest.mark.parametrize("page", [*PAGES, *DECISIONS], **ids)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"https?://|mailto:", target):
            continue
        name, _, place = target.partition("#")
        other = page if not name else page.parent / name
        assert other.exists(), target
        if place:
            headings = re.findall(r"^#+ (.+)$", other.read_text("utf-8"), re.MULTILINE)
            assert place in map(anchor, headings), target


def test_every_page_is_found_from_the_first() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs" / "index.md").read_text("utf-8")))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"} == linked
    assert "docs/index.md" in (ROOT / "README.md").read_text("utf-8")


def test_the_pictures_are_those_of_the_guide_and_each_is_shown() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    stored = {path.stem for path in IMAGES.glob("*.png")}
    assert stored == set(PICTURES)
    assert stored == set(re.findall(r"!\[[^\]]+\]\((?:docs/)?img/(\w+)\.png\)", text))


def test_the_pictures_are_small() -> None:
    assert sum(path.stat().st_size for path in IMAGES.iterdir()) < 3_000_000


def words_of_pages() -> str:
    """Everything that templates and code say, without markup."""
    templates = (path.read_text("utf-8") for path in (ROOT / "templates").rglob("*.html"))
    plain = (re.sub(r"<[^>]*>|{%.*?%}|{{.*?}}", "", text) for text in templates)
    sources = (
        path.read_text("utf-8")
        for app in ("segments", "imports", "integrations", "people")
        for path in (ROOT / app).rglob("*.py")
    )
    return " ".join(" ".join(plain).split()) + " ".join(sources)


@pytest.mark.parametrize("page", FOR_MARKETERS, **ids)
def test_what_is_bold_stands_on_a_page_of_the_application(page: Path) -> None:
    words = words_of_pages()
    bold = set(re.findall(r"\*\*([^*]+)\*\*", page.read_text("utf-8")))
    assert {label for label in bold if label not in words} == set()


def listed(page: str, what: str) -> set[str]:
    """The codes of a table that a page marks as `what`."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    table = text.partition(f"<!-- {what} -->")[2].strip().partition("\n\n")[0]
    return set(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE))


def codes(call: str, *files: str, place: int = 0) -> set[str]:
    """The codes that calls of `call` are given in files, as the argument at `place`."""
    found = set()
    for path in (path for pattern in files for path in ROOT.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == call and len(node.args) > place:
                given = node.args[place]
                if isinstance(given, ast.Constant) and isinstance(given.value, str):
                    found.add(given.value)
    return found


IMPORTS = ("imports/*.py", "imports/management/commands/*.py")


def test_the_codes_of_refused_files_are_all_listed() -> None:
    given = codes("UnreadableFile", *IMPORTS) | codes("JobError", *IMPORTS) | {"name_unmapped", "no_such_column"}
    given -= {"cancelled"}  # the work was stopped; nothing is wrong with the file
    assert listed("importing.md", "codes: file") == given


def test_the_codes_of_rows_are_all_listed() -> None:
    given = codes("Refused", "segments/values.py") | codes("RowError", "imports/*.py", place=1) | plan_codes("error")
    assert listed("importing.md", "codes: row") == given - {"no_such_column"} | {"too_many_cells"}
    assert listed("importing.md", "codes: skipped") == plan_codes("skipped")


def plan_codes(outcome: str) -> set[str]:
    return set(re.findall(rf'\("{outcome}", "(\w+)"\)', Path(plan_file).read_text("utf-8")))


def test_the_codes_of_warnings_are_all_listed() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "imports").glob("*.py"))
    assert listed("importing.md", "codes: warning") == set(re.findall(r'{"code": "(\w+)", "message"', sources))


def test_the_codes_of_syncs_are_all_listed() -> None:
    files = ("integrations/*.py", "integrations/klaviyo/client.py")
    given = {code for call in ("KlaviyoError", "SyncError", "NoAccount") for code in codes(call, *files)}
    asked = set(re.findall(r'"(many_missing|another_account)"', (ROOT / "integrations/sync.py").read_text("utf-8")))
    assert listed("klaviyo.md", "codes: sync") == given | asked


def test_the_scopes_of_a_key_and_the_states_of_a_job_are_all_listed() -> None:
    assert listed("klaviyo.md", "scopes") == set(SCOPES.values())
    assert listed("architecture.md", "statuses") == set(Status.values)


def test_the_metrics_are_all_listed() -> None:
    sources = "".join((ROOT / "accessaudience" / name).read_text("utf-8") for name in ("metrics.py", "latency.py"))
    said = re.findall(r"`accessaudience_(\w+)(?:{[^`]*})?` \|", (ROOT / "docs/operations.md").read_text("utf-8"))
    assert said
    assert all(name.removesuffix("_seconds") in sources for name in said)


def test_a_command_that_cannot_be_given_would_be_found() -> None:
    with pytest.raises(CommandError):
        command("import_segments").create_parser("manage.py", "import_segments").parse_args(["--no-such-option"])
    assert arguments("segments.csv --set active=true > out.csv  # then") == ["segments.csv", "--set", "active=true"]


def test_how_long_a_connection_stays_open_is_as_gunicorn_is_told() -> None:
    told = re.search(r"^keepalive = (\d+)", (ROOT / "gunicorn.conf.py").read_text("utf-8"), re.MULTILINE)
    assert told
    operations = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert f"close a connection after {told[1]} s without a request" in operations
