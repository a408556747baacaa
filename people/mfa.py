"""The second proof at sign-in: codes of an authenticator app, and recovery codes.

Goes in: secrets that django-allauth makes. Comes out: the same encrypted, and the picture that an app scans.
Must not know: pages. Secrets are kept under ENCRYPTION_KEYS, as the keys of integrations are.
"""

import logging
from typing import Any, ClassVar, NamedTuple

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import generate_totp_secret
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from qrcode.constants import ERROR_CORRECT_M
from qrcode.main import QRCode

log = logging.getLogger(__name__)

QUIET_ZONE = 4  # modules of white around it, as scanners want


class QRPicture(NamedTuple):
    """A QR code to draw: a square of `size` modules, and the dark ones as the path of an SVG."""

    size: int
    path: str


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types for it
    """How django-allauth keeps secrets here, and speaks our words."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "This code is not right, or was used before. Wait for the next one and type that.",
    }

    def encrypt(self, text: str) -> str:
        """Return the token to keep."""
        return _box().encrypt(text.encode()).decode("ascii")

    def decrypt(self, encrypted_text: str) -> str:
        """Return what the token keeps; if no key opens it, a new secret, which no code of anybody fits."""
        try:
            return _box().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            log.error("A two-factor secret cannot be read with any of ENCRYPTION_KEYS; its person cannot sign in")
            return str(generate_totp_secret())


def _box() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.ENCRYPTION_KEYS])


def rotate() -> int:
    """Encrypt every stored secret anew, under the first of ENCRYPTION_KEYS; return of how many people's proofs.

    Raises InvalidToken if one cannot be read.
    """
    found = list(Authenticator.objects.select_for_update())
    for each in found:
        for name in {"secret", "seed"} & each.data.keys():
            each.data[name] = _box().rotate(each.data[name].encode()).decode("ascii")
        each.save(update_fields=["data"])
    return len(found)


def unreadable() -> int:
    """Return how many people's second proofs none of ENCRYPTION_KEYS opens."""
    lost = set()
    for each in Authenticator.objects.all():
        try:
            for name in {"secret", "seed"} & each.data.keys():
                _box().decrypt(each.data[name].encode())
        except InvalidToken:
            lost.add(each.user_id)
    return len(lost)


def picture_of(url: str) -> QRPicture:
    """Return the QR code of `url`."""
    code = QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(url)
    rows = code.get_matrix()
    dark = (f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, is_dark in enumerate(row) if is_dark)
    return QRPicture(len(rows), "".join(dark))
