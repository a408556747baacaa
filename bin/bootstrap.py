"""Make `.venv` and install into it what a lock names, if that has not been done yet.

    python3 bin/bootstrap.py requirements.lock

Standard library only, as it runs before anything is installed. uv does the work; where uv cannot be had or fails,
pip does it, with the same hashes. What was installed is noted in `.venv`, so that the next call returns at once.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
OLDEST = (3, 11)


def main(lock):
    """Leave `.venv` with everything of `lock` in it."""
    use_new_enough_python()
    lock = ROOT / lock
    stamp = VENV / f"installed-{lock.stem}"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted and PYTHON.exists():
        return
    if not works(PYTHON, "-c", f"import sys; sys.exit(sys.version_info < {OLDEST})"):
        make_venv()
    print(f"Installing {lock.name} into .venv ...", flush=True)
    if not install_with_uv(lock):
        install_with_pip(lock)
    stamp.write_text(wanted)


def use_new_enough_python():
    """Go on as a newer Python where the one that runs this is too old."""
    if sys.version_info >= OLDEST:
        return
    for minor in range(20, OLDEST[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, *sys.argv])
    sys.exit(f"Python 3.11 or newer is needed, and this is {sys.version.split()[0]}. Name one: make PYTHON=/path/to/it")


def make_venv():
    """Make a new `.venv`; Debian keeps a part of Python that this needs in a package of its own."""
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        sys.exit(
            "This Python cannot make a virtual environment: it lacks the modules venv and ensurepip. "
            "On Debian and Ubuntu: apt install python3-venv. Then run make again."
        )
    venv.create(VENV, clear=True, symlinks=True, with_pip=True)


def works(*command):
    """Return whether `command` could be run and reported success, in silence."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def install_with_uv(lock):
    """Install with uv, itself installed first; return whether that worked."""
    if not UV.exists():
        pip("install", "-qq", "--require-hashes", "-r", str(ROOT / "requirements-uv.lock"), check=False)
    if not UV.exists():
        print("uv could not be installed: going on with pip.", flush=True)
        return False
    command = [UV, "pip", "install", "--quiet", "--python", PYTHON, "--require-hashes", "-r", lock]
    if subprocess.run(command, env=environment_for_uv(), check=False).returncode == 0:
        return True
    print("uv could not install everything: going on with pip.", flush=True)
    return False


def environment_for_uv():
    """Return an environment in which uv trusts whom the system trusts, and uses the package index that pip is set to.

    It reads none of pip's settings by itself.
    """
    environment = {"UV_LINK_MODE": "copy", "UV_SYSTEM_CERTS": "true", **os.environ}
    if not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & set(environment):
        found = pip("config", "get", "global.index-url", check=False, capture_output=True, text=True)
        index = environment.get("PIP_INDEX_URL") or found.stdout.strip()
        if index:
            environment["UV_DEFAULT_INDEX"] = index
    return environment


def install_with_pip(lock):
    """Install with plain pip."""
    if pip("install", "-qq", "--require-hashes", "-r", str(lock), check=False).returncode:
        sys.exit(f"What {lock.name} names could not be installed: the lines above say why.")


def pip(*arguments, **options):
    """Run the pip of `.venv`, putting it there first if it is missing."""
    if not works(PYTHON, "-m", "pip", "--version"):
        subprocess.run([PYTHON, "-m", "ensurepip"], check=True, capture_output=True)
    return subprocess.run(  # noqa: PLW1510  # every caller says `check`
        [PYTHON, "-m", "pip", "--disable-pip-version-check", *arguments], **options
    )


if __name__ == "__main__":
    main(sys.argv[1])
