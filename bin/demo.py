"""Serve the application with sample data and a Klaviyo that is played, to try everything without a key.

    python bin/demo.py         (make demo)

Everything is in build/demo (DATA_DIR= changes that), apart from the data of `make run`; remove that folder to begin
anew. PORT= and KLAVIYO_PORT= say where it is served.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("DATA_DIR") or ROOT / "build" / "demo").resolve()
KLAVIYO_PORT = os.environ.get("KLAVIYO_PORT") or ("8766" if os.environ.get("PORT") == "8765" else "8765")
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
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # ends like Ctrl-C: nothing that was started is left behind
    DATA.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "DATA_DIR": str(DATA),
        "DATABASE_URL": f"sqlite:///{DATA / 'demo.sqlite3'}",
        "KLAVIYO_API_BASE_URL": f"http://127.0.0.1:{KLAVIYO_PORT}",
        **{name: os.environ.get(name, value) for name, value in PEOPLE.items()},
    }
    command = [str(ROOT / "tests" / "klaviyo" / "fake.py"), "--port", KLAVIYO_PORT, "--key", KEY]
    try:
        with child(*command, stdout=subprocess.PIPE, text=True) as klaviyo:
            if not klaviyo.stdout.readline():  # it has said why
                return klaviyo.wait()
            if not (DATA / "filled").exists():
                fill(environment)
            print(
                f"Sign in as {environment['ADMIN_EMAIL']} with the password {environment['ADMIN_PASSWORD']}", flush=True
            )
            with child("-m", "accessaudience.supervisor", env=environment) as application:
                return application.wait()
    except KeyboardInterrupt:
        return 0


@contextmanager
def child(*command: str, **how: Any) -> Iterator[Any]:
    """Run a Python program, out of Ctrl-C's reach, and have it end with the body."""
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, process_group=0, **how)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def fill(environment: dict[str, str]) -> None:
    """Make the database, connect the account, import a file and sync."""

    def run(*command: str, typed: str = "") -> None:
        subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, input=typed, text=True, check=True)

    run("-m", "accessaudience.prepare")
    run("manage.py", "connect_klaviyo", typed=KEY)
    sample = DATA / "loyalty_segments.csv"  # what it is called in the list of imports
    sample.write_text(SAMPLE, "utf-8")
    run("manage.py", "import_segments", str(sample), "--channel", "email", "--channel", "sms")
    run("manage.py", "sync_klaviyo", "--channel", "email")
    (DATA / "filled").touch()


if __name__ == "__main__":
    sys.exit(main())
