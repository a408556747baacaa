"""Serve the application with sample data and a Klaviyo that is played, to try everything without a key.

    python bin/demo.py         (make demo)

Everything is in build/demo, apart from the data of `make run`; remove that folder to begin anew.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "build" / "demo"
KLAVIYO_PORT = os.environ.get("KLAVIYO_PORT", "8765")
KEY = "pk_demo_0123456789abcdef4f2a"
PEOPLE = {"ADMIN_EMAIL": "demo@localhost", "ADMIN_PASSWORD": "try-it-out-1234"}
SAMPLE = """Segment name,Segment ID,Link,Active status
Loyalty – gold tier,loyalty_gold,https://www.example.com/gold,true
Loyalty – silver tier,loyalty_silver,https://www.example.com/silver,true
Gift card holders,gift_cards,,true
Panel volunteers – taste tests,taste_panel,,false
"""


def main() -> int:
    """Start Klaviyo, fill an empty database, then serve until stopped."""
    DATA.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(ROOT / "tests" / "klaviyo" / "fake.py"), "--port", KLAVIYO_PORT, "--key", KEY]
    klaviyo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if klaviyo.stdout is None or not klaviyo.stdout.readline():
            return klaviyo.wait() or 1
        environment = os.environ | {
            "DATA_DIR": str(DATA),
            "DATABASE_URL": f"sqlite:///{DATA / 'demo.sqlite3'}",
            "KLAVIYO_API_BASE_URL": f"http://127.0.0.1:{KLAVIYO_PORT}",
            **{name: os.environ.get(name, value) for name, value in PEOPLE.items()},
        }
        if not (DATA / "filled").exists():
            fill(environment)
        print(f"Sign in as {environment['ADMIN_EMAIL']} with the password {environment['ADMIN_PASSWORD']}", flush=True)
        return subprocess.run([sys.executable, "-m", "accessaudience.supervisor"], cwd=ROOT, env=environment).returncode
    except KeyboardInterrupt:
        return 0
    finally:
        klaviyo.terminate()
        klaviyo.wait()


def fill(environment: dict[str, str]) -> None:
    """Make the database, connect the account, import a file and sync."""

    def run(*command: str, typed: str = "") -> None:
        subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, input=typed, text=True, check=True)

    run("-m", "accessaudience.prepare")
    run("manage.py", "connect_klaviyo", typed=KEY)
    with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8") as file:
        file.write(SAMPLE)
        file.flush()
        run("manage.py", "import_segments", file.name, "--channel", "email", "--channel", "sms")
    run("manage.py", "sync_klaviyo", "--channel", "email")
    (DATA / "filled").touch()


if __name__ == "__main__":
    sys.exit(main())
