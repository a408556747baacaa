"""Whether the web server of this machine answers: `python -m accessaudience.probe`, a container's health check.

Goes in: PORT, and the first of ALLOWED_HOSTS, as it answers to these alone. Comes out: status 0, or a line that says
why not and status 1. Must not know: Django, whose loading takes longer than the answer.
"""

import http.client
import os
import sys

PATIENCE = 5  # seconds


def main() -> int:
    """Ask for /health/live."""
    host = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".") or "localhost"
    port = os.environ.get("PORT", "8000")
    if not port.isdecimal():
        print(f"PORT must be a number, not {port!r}.")
        return 1
    server = http.client.HTTPConnection("127.0.0.1", int(port), timeout=PATIENCE)
    try:
        server.request("GET", "/health/live", headers={"Host": "localhost" if host == "*" else host})
        status = server.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        print(f"The web server does not answer: {error}.")
        return 1
    finally:
        server.close()
    if status != 200:
        print(f"The web server answers {status}.")
    return int(status != 200)


if __name__ == "__main__":
    sys.exit(main())
