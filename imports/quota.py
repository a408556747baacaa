"""How many files one person may upload within an hour, whatever becomes of them.

Goes in: a person who uploads. Comes out: a note of it, or TooMuch, which says when to try again. Counted under a lock
in the database, so that all web processes agree. Must not know: requests, files.
"""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accessaudience.errors import TooMuch
from imports.models import UploadTry
from jobs.quota import may_wait
from people.models import Person

HOUR = timedelta(hours=1)


def take(user: Person) -> None:
    """Note that `user` uploads; raise TooMuch if that is one too many, or too much of theirs waits already."""
    may_wait(user)
    now = timezone.now()
    with transaction.atomic():
        Person.objects.select_for_update(no_key=True).get(pk=user.pk)
        tries = UploadTry.objects.filter(user=user)
        tries.filter(at__lte=now - HOUR).delete()
        if tries.count() >= settings.UPLOADS_AN_HOUR:
            seconds = (tries.earliest("at").at + HOUR - now).total_seconds()
            raise TooMuch(_told(seconds), int(seconds) + 1)
        tries.create(user=user, at=now)


def _told(seconds: float) -> str:
    minutes = int(seconds // 60) + 1
    return (
        f"You have uploaded {settings.UPLOADS_AN_HOUR} files within an hour, as many as one person may. "
        f"Try again in {minutes} minute{'s' if minutes > 1 else ''}."
    )
