"""Invitations: a link by which somebody sets a first password.

Goes in: an address and a role. Comes out: a person who cannot sign in yet, and a link that works once and for
INVITATION_DAYS. Must not know: requests, pages.

The link is signed and carries a fingerprint of what changes when it is used, sent again or withdrawn; nothing of it
is kept. It holds its key in the query, which web servers' logs leave out here.
"""

from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.models import Group
from django.core import signing
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from people.mail import address_of
from people.models import Person

SALT = "people.invitation"


@transaction.atomic
def invite(email: str, role: str, by: Person) -> Person:
    """Return a new person with `role`, who has no password yet. Raises IntegrityError if `email` has an account."""
    person = Person.objects.create_user(email, invited_at=timezone.now(), invited_by=by)
    person.groups.add(Group.objects.get(name=role))
    return person


def renew(person: Person, by: Person) -> None:
    """Let the days of an invitation begin anew; links sent before end."""
    person.invited_at, person.invited_by = timezone.now(), by
    person.save(update_fields=["invited_at", "invited_by"])


def link_of(person: Person) -> str:
    """Return the address at which `person` sets a password."""
    key = signing.dumps([person.pk, _fingerprint(person)], salt=SALT)
    return address_of(f"{reverse('people:join')}?{urlencode({'key': key})}")


def message_to(person: Person) -> EmailMessage:
    """Return the mail with the link."""
    context = {"person": person, "by": person.invited_by, "link": link_of(person), "days": settings.INVITATION_DAYS}
    subject = " ".join(render_to_string("people/email/invitation_subject.txt", context).split())
    return EmailMessage(subject, render_to_string("people/email/invitation_message.txt", context), to=[person.email])


def invited_by_key(key: str) -> Person | None:
    """Return whom the key of a link invites; None if it was made up, used, replaced or withdrawn, or is too old.

    In a transaction: of two that use it at the same time, the second finds it used.
    """
    try:
        pk, fingerprint = signing.loads(key, salt=SALT, max_age=settings.INVITATION_DAYS * 24 * 60 * 60)
    except (signing.BadSignature, ValueError):
        return None
    person = Person.objects.select_for_update().filter(pk=pk).first()
    if person is None or not person.is_invited:
        return None
    return person if constant_time_compare(_fingerprint(person), fingerprint) else None


def _fingerprint(person: Person) -> str:
    when = person.invited_at.timestamp() if person.invited_at else ""
    state = f"{person.email}:{person.password}:{person.sign_outs}:{when}"
    return salted_hmac(SALT, state, algorithm="sha256").hexdigest()[:32]  # 128 bits: it travels in a link
