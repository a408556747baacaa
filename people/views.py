"""The page People: who can sign in, inviting them, their roles; and accepting an invitation.

Goes in: requests of Admins, and of whoever has an invitation. Comes out: pages. What is done is recorded in
people.audit.
"""

from typing import Any

from allauth.account.utils import perform_login
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest
from django.db import IntegrityError, transaction
from django.db.models import Exists, Max, OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accessaudience.roles import ADMIN, ROLES, role_required
from people import invitations
from people.audit import Kind, record
from people.forms import InvitationForm, JoinForm, RoleForm
from people.mail import address_of, goes_to_console, leads_to_this_computer
from people.models import LastAdmin, Person

LINK = "invitation"  # in the session, until it is shown: the link that no mail carries
STATES = ("active", "invited", "deactivated")

form = require_http_methods(["GET", "HEAD", "POST"])


def state_of(person: Person) -> str:
    """Return which of STATES `person` is in."""
    if not person.is_active:
        return "deactivated"
    return "invited" if person.is_invited else "active"


def for_page() -> QuerySet[Person]:
    """Everybody, with all that the page shows of them."""
    seen = UserSession.objects.filter(user=OuterRef("pk")).order_by().values("user").annotate(at=Max("last_seen_at"))
    totp = Authenticator.objects.filter(user=OuterRef("pk"), type=Authenticator.Type.TOTP)
    return (
        Person.objects.select_related("invited_by")
        .prefetch_related("groups")
        .annotate(has_app=Exists(totp), seen_at=Subquery(seen.values("at")))
        .order_by("-is_active", "invited_at", "first_name", "email")
    )


@form
@role_required(ADMIN)
@never_cache
def people(request: HttpRequest) -> HttpResponse:
    """Show everybody; invite somebody by email."""
    invitation = InvitationForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and invitation.is_valid():
        email, role = invitation.cleaned_data["email"], invitation.cleaned_data["role"]
        try:
            person = invitations.invite(email, role, _me(request))
        except IntegrityError:  # somebody else invited them meanwhile
            messages.error(request, f"{email} has an account already.")
        else:
            record(Kind.INVITED, request, f"{email} as {role}")
            _send(request, person)
        return redirect("people:list")
    everybody = [(person, state_of(person)) for person in for_page()]
    shown = request.GET.get("show") if request.GET.get("show") in STATES else ""
    context = {
        "form": invitation,
        "rows": [row for row in everybody if shown in ("", row[1])],
        "shown": shown,
        "counts": [
            ("", "All", len(everybody)),
            *((each, each.capitalize(), sum(state == each for _, state in everybody)) for each in STATES),
        ],
        "roles": ROLES,
        "of_this_computer": address_of("/") if leads_to_this_computer() else "",
        "link": request.session.pop(LINK, None) if request.method == "GET" else None,
    }
    return render(request, "people/person_list.html", context, status=422 if invitation.errors else 200)


@require_POST
@role_required(ADMIN)
def role(request: HttpRequest, pk: int) -> HttpResponse:
    """Change what somebody else may do."""
    person = _somebody_else(request, pk)
    sent = RoleForm(request.POST)
    if not sent.is_valid():
        raise BadRequest
    before, after = person.role, sent.cleaned_data["role"]
    if before != after and _done(request, person, lambda: person.give_role(after)):
        record(Kind.ROLE, request, f"{person.email} from {before or 'no role'} to {after}")
        messages.success(request, f"{person} is {'an' if after == ADMIN else 'a'} {after} now.")
    return redirect("people:list")


@form
@role_required(ADMIN)
def deactivate(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then shut somebody else out."""
    person = _somebody_else(request, pk)
    if request.method != "POST":
        return render(request, "people/person_confirm_deactivate.html", {"person": person})
    if person.is_active and _done(request, person, person.deactivate):
        record(Kind.DEACTIVATED, request, person.email)
        messages.success(request, f"{person} is deactivated, and signed out everywhere.")
    return redirect("people:list")


@require_POST
@role_required(ADMIN)
def activate(request: HttpRequest, pk: int) -> HttpResponse:
    """Let somebody in again."""
    person = get_object_or_404(Person, pk=pk)
    if not person.is_active:
        person.activate()
        record(Kind.ACTIVATED, request, f"{person.email} as {person.role or 'no role'}")
        messages.success(request, f"{person} can sign in again.")
    return redirect("people:list")


@require_POST
@role_required(ADMIN)
def send_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Send an invitation again; the link of the one before ends."""
    person = get_object_or_404(Person, pk=pk)
    if not person.is_invited:
        raise Http404
    invitations.renew(person, _me(request))
    record(Kind.INVITED, request, f"{person.email} again")
    _send(request, person)
    return redirect("people:list")


@form
@role_required(ADMIN)
def turn_off_two_factor(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then turn off the second proof of somebody who lost it."""
    person = _somebody_else(request, pk)
    proofs = Authenticator.objects.filter(user=person)
    if request.method != "POST":
        return render(request, "people/person_confirm_two_factor.html", {"person": person})
    if proofs.exists():
        proofs.delete()
        person.end_sessions()
        record(Kind.TWO_FACTOR, request, f"Off for {person.email}")
        messages.success(request, f"{person} signs in by password alone now.")
    return redirect("people:list")


@login_not_required
@form
@never_cache
@sensitive_post_parameters()
@transaction.atomic
def join(request: HttpRequest) -> HttpResponseBase:
    """Take the first password of somebody who was invited, and sign them in."""
    person = invitations.invited_by_key(request.GET.get("key", ""))
    if person is None:
        return render(request, "people/join.html", {"ended": True})
    answer = JoinForm(person, request.POST if request.method == "POST" else None)
    if request.method == "POST" and answer.is_valid():
        answer.save()
        record(Kind.JOINED, request, person=person)
        signed_in: HttpResponseBase = perform_login(request, person, email_verification=None)
        return signed_in
    return render(request, "people/join.html", {"form": answer, "person": person})


def _me(request: HttpRequest) -> Person:
    return request.user  # type: ignore[return-value]  # signed in, or the view is not reached


def _somebody_else(request: HttpRequest, pk: int) -> Any:
    """Whom `pk` names; oneself is left to another admin, so that nobody shuts themselves out by mistake."""
    return get_object_or_404(Person.objects.exclude(pk=_me(request).pk), pk=pk)


def _done(request: HttpRequest, person: Person, do: Any) -> bool:
    """Do it; where it would leave nobody to see to people, say so instead."""
    try:
        do()
    except LastAdmin:
        messages.error(request, f"{person} is the only active admin. Make somebody else an admin first.")
        return False
    return True


def _send(request: HttpRequest, person: Person) -> None:
    """Send the link; where mail only goes to the console, show it once to who invites, and write it nowhere."""
    if goes_to_console():
        request.session[LINK] = {"email": person.email, "address": invitations.link_of(person)}
        return
    try:
        invitations.message_to(person).send()
    except OSError:
        messages.error(request, f"{person.email} is invited, but the mail could not be sent. Try “Send again” later.")
    else:
        messages.success(request, f"The invitation to {person.email} is on its way.")
