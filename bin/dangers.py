"""Look for what is dangerous in this project in particular, where ruff's S (bandit's rules) and djlint do not look.

    python bin/dangers.py [FOLDER]

Goes in: the Python code and the templates, as text. Comes out: a line for each place that breaks a rule, and then
status 1. What is allowed, and why, stands in ALLOWED: there is no comment that turns a rule off.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("accessaudience", "people", "jobs", "channels", "segments", "imports", "integrations", "overview")
RUNS_SQL = {"execute", "executemany", "raw", "extra", "callproc", "RawSQL"}
TRUSTS_TEXT = {"mark_safe", "SafeData", "html_safe"}
FETCHES = {"aiohttp", "ftplib", "http", "httpx", "klaviyo_api", "openapi_client", "requests", "smtplib", "urllib3"}
DECIDES = {"role_required", "login_not_required"}
TEMPLATE_RULES = {
    r"\|\s*safe(seq)?\b": "a value is trusted as markup (|safe)",
    r"\{%-?\s*autoescape\s+off": "values are trusted as markup (autoescape off)",
    r"\{%-?\s*filter\s+[^%]*\bsafe\b": "values are trusted as markup (filter safe)",
    r"<script(?![^>]*\bsrc=)": "a script within the page, which the content policy forbids",
    r"\s(style|on[a-z]+)=[\"']": "style or script in an attribute, which the content policy forbids",
    r"<a\b(?=[^>]*\starget=)(?![^>]*rel=\"noopener noreferrer\")": 'a new tab without rel="noopener noreferrer"',
}
ALLOWED = {  # what a rule says: {file: why}
    "SQL": {
        "accessaudience/doctor.py": "asks PostgreSQL for its version",
        "accessaudience/backup.py": "VACUUM INTO and integrity_check have no other form",
        "accessaudience/writelock.py": "PRAGMA: how long SQLite waits",
        "jobs/ticker.py": "PRAGMA of its own connection",
        "segments/across/rows.py": "the first few of each channel and their like in one query",
        "segments/elsewhere.py": "the first few of each channel in one query, which the ORM cannot cut off on SQLite",
        "segments/search/common.py": "two ways to a page in one query, which the ORM does not put together",
        "segments/search/index.py": "triggers and indexes that the ORM does not know",
    },
    "no check of where a form comes from (csrf_exempt)": {
        "imports/views.py": "its inner view is csrf_protect: nothing may read the file before",
    },
    "network": {"integrations/klaviyo/client.py": "the one place", "accessaudience/probe.py": "this machine alone"},
    "nothing says who may": {
        "people/account_views.py": "one's own account: whoever is signed in",
        "people/token_views.py": "one's own tokens: whoever is signed in",
        "people/zone_views.py": "one's own time zone: whoever is signed in",
    },
}


def found_in(folder: Path) -> Iterator[str]:
    """Each place that breaks a rule, as `file:line: what`."""
    for package in PACKAGES:
        for path in sorted((folder / package).rglob("*.py")):
            name = path.relative_to(folder).as_posix()
            if "/migrations/" not in name:
                yield from _in_python(name, ast.parse(path.read_text("utf-8")))
        yield from _views_of(folder, package)
    for path in sorted((folder / "templates").rglob("*")):
        if path.suffix in (".html", ".txt"):
            yield from _in_template(path.relative_to(folder).as_posix(), path.read_text("utf-8"))


def _in_python(name: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=called) | ast.Name(id=called)) if called in RUNS_SQL:
                if not name.startswith("segments/changes/"):
                    yield from _unless_allowed("SQL", name, node, f"SQL outside segments/changes ({called})")
            case ast.Call(func=ast.Attribute(attr="NinjaAPI") | ast.Name(id="NinjaAPI"), keywords=given):
                if not any(keyword.arg == "auth" for keyword in given):
                    yield f"{name}:{node.lineno}: nothing says who may use this API (auth)"
            case ast.Name(id=used) | ast.Attribute(attr=used) if used in TRUSTS_TEXT:
                yield f"{name}:{node.lineno}: text is trusted as markup ({used}); format_html escapes what it is given"
            case ast.Call(func=ast.Name(id="SafeString")):
                yield f"{name}:{node.lineno}: text is trusted as markup (SafeString)"
            case ast.Name(id="csrf_exempt") | ast.Attribute(attr="csrf_exempt"):
                rule = "no check of where a form comes from (csrf_exempt)"
                yield from _unless_allowed(rule, name, node, rule)
            case ast.Import(names=names):
                for module in names:
                    yield from _network(name, node, module.name)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for each in names:
                    yield from _network(name, node, f"{module}.{each.name}")


def _network(name: str, node: ast.stmt, module: str) -> Iterator[str]:
    if module == "http.HTTPStatus":
        return
    if module.split(".")[0] in FETCHES or module.startswith(("urllib.request", "urllib.error")):
        yield from _unless_allowed(
            "network", name, node, f"the network outside integrations/klaviyo/client.py ({module})"
        )


def _unless_allowed(rule: str, name: str, node: ast.stmt | ast.expr, told: str) -> Iterator[str]:
    if name not in ALLOWED[rule]:
        yield f"{name}:{node.lineno}: {told}"


def _views_of(folder: Path, package: str) -> Iterator[str]:
    """The views of a package's paths that no decorator holds to a role, nor opens to strangers."""
    urls = folder / package / "urls.py"
    if not urls.exists():
        return
    tree = ast.parse(urls.read_text("utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and str(node.module).startswith(package)]
    modules = {each.asname or each.name: f"{node.module}.{each.name}" for node in imports for each in node.names}
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Name(id="path" | "re_path"), args=[_, ast.Attribute(value=ast.Name(id=module), attr=view), *_]
            ) if module in modules:
                path = folder / f"{modules[module].replace('.', '/')}.py"
                name = path.relative_to(folder).as_posix()
                if path.exists() and not _decides(path, view):
                    told = f"nothing says who may ({view}: role_required or login_not_required)"
                    yield from _unless_allowed("nothing says who may", name, node, told)


def _decides(path: Path, view: str) -> bool:
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == view:
            used = {part.id for each in node.decorator_list for part in ast.walk(each) if isinstance(part, ast.Name)}
            return bool(used & DECIDES)
    return False


def _in_template(name: str, text: str) -> Iterator[str]:
    for pattern, told in TEMPLATE_RULES.items():
        if name.endswith(".txt") and "autoescape" in pattern:
            continue  # a mail of plain text
        for place in re.finditer(pattern, text, re.IGNORECASE):
            yield f"{name}:{text.count(chr(10), 0, place.start()) + 1}: {told}"


def main() -> int:
    """Print what is found."""
    found = list(found_in(Path(sys.argv[1] if sys.argv[1:] else ".")))
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
