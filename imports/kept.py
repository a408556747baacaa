"""A file that came with a form in which something else was missing: kept, so that its sender need not choose it again.

Goes in: a stored file and who sent it; later the reference that their form brings back. Comes out: that reference,
signed, and good for its sender alone; then the file, as an upload. It is nobody's until the form is complete, so that
retention removes what is abandoned. Must not know: requests, forms.
"""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.files.uploadedfile import UploadedFile

from imports.stored import open_stored
from imports.uploads import Kept
from people.models import Person

SALT = "imports.kept"


class KeptUpload(UploadedFile):  # type: ignore[type-arg]  # it takes none when it runs
    """A file in storage, in the place of one that comes with the request."""

    def __init__(self, kept: Kept, name: str) -> None:
        super().__init__(open_stored(kept.name), name, size=kept.size)
        self.kept, self.sha256 = kept, kept.sha256


def refer(kept: Kept, name: str, user: Person) -> str:
    """Return the reference to a stored file, which its sender calls `name`."""
    return signing.dumps([user.pk, name, str(kept.job), *kept[1:]], salt=SALT)


def upload_of(reference: str, user: Person) -> KeptUpload | None:
    """Return the file of a reference; None if it is another's, or too old, or the file is gone."""
    try:
        sender, name, job, *rest = signing.loads(
            reference, salt=SALT, max_age=timedelta(days=settings.UPLOAD_RETENTION_DAYS)
        )
        return KeptUpload(Kept(UUID(job), *rest), name) if sender == user.pk else None
    except (signing.BadSignature, FileNotFoundError):
        return None
