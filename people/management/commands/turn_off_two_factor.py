"""manage.py turn_off_two_factor: lets somebody in by password alone who lost the app and the recovery codes."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from people.audit import Kind, record
from people.models import Person


class Command(BaseCommand):
    """For the admin whom no other admin can help; on the page People admins do it for everybody else."""

    help = "Turn off two-factor sign-in of a person, end their sessions, and record it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the address."""
        parser.add_argument("email")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Turn it off."""
        person = Person.objects.filter(email=options["email"].lower()).first()
        if person is None:
            raise CommandError(f"Nobody has the address {options['email']}.")
        gone, _ = Authenticator.objects.filter(user=person).delete()
        if not gone:
            self.stdout.write(f"{person.email} has no two-factor sign-in. Nothing was changed.")
            return
        person.end_sessions()
        record(Kind.TWO_FACTOR, None, f"Off for {person.email}")
        self.stdout.write(f"{person.email} signs in by password alone now.")
