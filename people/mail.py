"""Mail to people, and the links in it.

Goes in: a message, or a path. Comes out: a mail on its way, or an address. Must not know: requests: an address is
made of SITE_URL, as anybody can choose the Host of a request.
"""

import logging
from threading import Thread
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage

log = logging.getLogger(__name__)

CONSOLE = "django.core.mail.backends.console.EmailBackend"
THREAD = "mail"


def address_of(path: str) -> str:
    """Return the address of a path of ours, to be written into a mail."""
    return f"{settings.SITE_URL}{path}"


def leads_to_this_computer() -> bool:
    """Return whether addresses in mails open on the computer of the server alone: SITE_URL was not set."""
    host = urlsplit(settings.SITE_URL).hostname or ""
    return host == "localhost" or host.endswith(".localhost") or host.startswith("127.") or host == "::1"


def goes_to_console() -> bool:
    """Return whether mail is only written to the console, so that nobody gets any."""
    return bool(settings.EMAIL_BACKEND == CONSOLE)


def send_later(message: EmailMessage) -> None:
    """Send `message` without making anybody wait: how long an answer takes must not tell who has an account."""
    Thread(target=_send, args=[message], name=THREAD).start()


def _send(message: EmailMessage) -> None:
    try:
        message.send()
    except OSError:  # of the network, and of smtplib
        log.exception("A mail could not be sent: see EMAIL_URL")
