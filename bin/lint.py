"""Check all that needs no test run: style, types, templates, imports, dangers, secrets, migrations, settings.

Every check runs, whatever the others find; the status is not zero if any found something.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
MANAGE = [sys.executable, "-W", "error", "manage.py"]
CHECKS = {
    "ruff": [BIN / "ruff", "check", "--quiet"],
    "ruff format": [BIN / "ruff", "format", "--check", "--quiet"],
    "mypy": [BIN / "mypy", "--no-error-summary"],
    "djlint": [BIN / "djlint", "templates", "--lint", "--quiet"],
    "import-linter": [BIN / "lint-imports", "--no-logo"],
    "hadolint": [BIN / "hadolint", "Dockerfile"],
    "dangers": [sys.executable, "bin/dangers.py"],
    "secrets": [sys.executable, "bin/leaks.py"],
    "migrations": [*MANAGE, "makemigrations", "--check", "--dry-run"],
    "settings": [*MANAGE, "check", "--deploy", "--fail-level", "WARNING"],
}


def main() -> int:
    """Run every check with the settings of production, but for a database of its own."""
    found = []
    with tempfile.TemporaryDirectory(prefix="accessaudience-lint-") as folder:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "accessaudience.settings",
            "DATA_DIR": folder,
            "DATABASE_URL": "",
            "DEBUG": "false",
            "HTTPS": "true",
            "PYTHONPATH": str(ROOT),
        }
        for name, command in CHECKS.items():
            started = time.monotonic()
            done = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
            )
            print(f"{name:14} {'ok' if done.returncode == 0 else 'FAILED':6} {time.monotonic() - started:5.1f} s")
            if done.returncode:
                found.append(name)
                sys.stdout.flush()
                sys.stdout.buffer.write(done.stdout + b"\n")
    if found:
        print(f"lint found something: {', '.join(found)}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
