"""Make the first Admin, so that somebody can sign in; where there is one, do nothing.

Goes in: ADMIN_EMAIL and ADMIN_PASSWORD. Comes out: a person who may do everything, with that password or with
a random one that is printed once and kept nowhere.
"""

import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q

from accessaudience.roles import ADMIN
from people.models import Person

RANDOM_BYTES = 12  # 16 characters


class Command(BaseCommand):
    help = "Make the first Admin from ADMIN_EMAIL and ADMIN_PASSWORD, unless there is an Admin already."

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the person, and print the password if it is one of ours."""
        if Person.objects.filter(Q(is_superuser=True) | Q(groups__name=ADMIN), is_active=True).exists():
            return
        email, password = settings.ADMIN_EMAIL, settings.ADMIN_PASSWORD
        try:
            validate_email(email)
        except ValidationError:
            raise CommandError(f"ADMIN_EMAIL must be an email address, not '{email}'.") from None
        if Person.objects.filter(email=email.lower()).exists():
            raise CommandError(f"{email} exists but is no active Admin. Set ADMIN_EMAIL to the address of a new one.")
        if password:
            try:
                validate_password(password, Person(email=email))
            except ValidationError as weak:
                raise CommandError(f"ADMIN_PASSWORD is too weak. {' '.join(weak.messages)}") from None
        self.make(email, password or secrets.token_urlsafe(RANDOM_BYTES), shown=not password)

    def make(self, email: str, password: str, *, shown: bool) -> None:
        """Make the person with `email` and say so; `shown`: with the password, as nobody else knows it."""
        with transaction.atomic():
            person = Person.objects.create_superuser(email, password)
            person.groups.add(Group.objects.get(name=ADMIN))
        lines = ["", f"  First admin   {person.email}"]
        if shown:
            lines.append(f"  Password      {password}")
            lines.append("  It is shown only this once. Change it after signing in.")
        else:
            lines.append("  Password      as set in ADMIN_PASSWORD")
        self.stdout.write("\n".join([*lines, ""]))
