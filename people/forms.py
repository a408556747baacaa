"""What people send about accounts, turned into what the code wants.

Goes in: POST data. Comes out: people, roles, passwords. Must not know: requests.
"""

from allauth.account.forms import ResetPasswordForm as AllauthResetPasswordForm

from people.models import Person


class ResetPasswordForm(AllauthResetPasswordForm):  # type: ignore[misc]  # allauth has no types for it
    """Sends a link to whoever has a password; an invitation has a link of its own, which ends."""

    users: list[Person]

    def clean_email(self) -> str:
        """Leave out who has no password yet."""
        email: str = super().clean_email()
        found: list[Person] = self.users
        self.users = [person for person in found if person.has_usable_password()]
        return email
