"""What `make lint` must catch: an import in the wrong direction, and a module without a place."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
LINT = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]


@pytest.fixture(scope="module")
def packages() -> list[str]:
    """The packages of the project: every folder with Python code that is not for tests or tools."""
    return sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))


@pytest.fixture
def project(tmp_path: Path, packages: list[str]) -> Path:
    """A copy of the code, to plant something in."""
    for package in packages:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(project: Path) -> tuple[bool, str]:
    """Return whether the imports of `project` keep to the contracts, and what was said."""
    done = subprocess.run(LINT, cwd=project, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def test_the_code_keeps_to_the_contracts(project: Path) -> None:
    kept, said = lint(project)
    assert kept, said


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("jobs/models.py", "import channels.models"),
        ("channels/models.py", "import segments.models"),
        ("segments/models.py", "import imports.models"),
        ("imports/importer.py", "import overview.views"),
        ("integrations/models.py", "import imports.models"),
        ("accessaudience/roles.py", "import people.models"),
        ("segments/values.py", "import django.db"),
        ("imports/reader.py", "import django.conf"),
        ("imports/mapping.py", "import segments.models"),  # which imports Django
    ],
)
def test_a_planted_import_in_the_wrong_direction_is_found(module: str, line: str, project: Path) -> None:
    with (project / module).open("a") as file:
        file.write(f"\n{line}\n")
    kept, said = lint(project)
    assert not kept
    assert "BROKEN" in said


def test_a_module_without_a_place_is_found(project: Path) -> None:
    (project / "accessaudience" / "misc.py").touch()
    assert not lint(project)[0]


def test_every_package_is_in_the_contracts(packages: list[str]) -> None:
    text = (ROOT / "pyproject.toml").read_text()
    named = next(line for line in text.splitlines() if line.startswith("root_packages"))
    assert [package for package in packages if f'"{package}"' not in named] == []
