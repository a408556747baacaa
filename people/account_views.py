"""Signing in and out, and one's own account: password, second proof, sessions, theme.

Goes in: requests. Comes out: pages. Signing in, passwords and codes are django-allauth's views in our words; what is
here decides which of them there are, and by which method.
"""

from typing import Any

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accessaudience.cookies import keep_theme
from people.audit import Kind, record
from people.forms import TimeZoneForm
from people.mfa import picture_of
from people.models import ApiToken
from people.sessions import device, end_others, is_phone, sessions_of

ACCOUNT = reverse_lazy("people:account")

form = require_http_methods(["GET", "HEAD", "POST"])

sign_in = form(account.login)
sign_out = require_POST(account.logout)
confirm = never_cache(form(account.reauthenticate))
change_password = form(account.PasswordChangeView.as_view(success_url=ACCOUNT))
reset_password = form(account.password_reset)
reset_password_done = require_safe(account.password_reset_done)
reset_password_from_key = never_cache(form(account.password_reset_from_key))
reset_password_from_key_done = require_safe(account.password_reset_from_key_done)

confirm_code = never_cache(form(mfa.reauthenticate))
turn_off = form(totp.DeactivateTOTPView.as_view(success_url=ACCOUNT))
show_codes = never_cache(require_safe(codes.view_recovery_codes))
make_codes = never_cache(form(codes.generate_recovery_codes))


class TurnOnView(totp.ActivateTOTPView):  # type: ignore[misc]  # allauth has no types for it
    """Shows the secret as a picture that the page draws itself: our content policy takes no data: address."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the picture, and the secret in groups of four to type."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        secret = context["form"].secret
        context["qr"] = picture_of(context["totp_url"])
        context["secret"] = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
        return context

    def get_success_url(self) -> str:
        """Go on to the recovery codes that were made with it."""
        return reverse("mfa_view_recovery_codes") if self.did_generate_recovery_codes else str(ACCOUNT)


turn_on = never_cache(form(TurnOnView.as_view()))


@login_not_required  # it is for who is half signed in
@form
def sign_in_code(request: HttpRequest) -> HttpResponseBase:
    """Ask for the code after the password."""
    if request.method == "POST" and "code" not in request.POST:
        return redirect("mfa_authenticate")
    response: HttpResponseBase = mfa.authenticate(request)
    return response


@require_safe
@never_cache
def overview(request: HttpRequest) -> HttpResponse:
    """Show one's own account."""
    return render(request, "people/account.html", account_context(request))


def account_context(request: HttpRequest) -> dict[str, Any]:
    """What the page of one's own account shows."""
    proofs = {each.type: each for each in Authenticator.objects.filter(user=request.user.pk)}
    spare = proofs.get(Authenticator.Type.RECOVERY_CODES)
    sessions = [(each, device(each.user_agent), is_phone(each.user_agent)) for each in sessions_of(request)]
    return {
        "app": proofs.get(Authenticator.Type.TOTP),
        "codes": spare and len(spare.wrap().get_unused_codes()),
        "codes_in_all": spare and len(spare.wrap().generate_codes()),
        "sessions": sessions,
        "zone_form": TimeZoneForm(initial={"time_zone": getattr(request.user, "time_zone", "")}),
        "tokens": ApiToken.objects.filter(person=request.user.pk),
    }


@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign out one of one's own sessions."""
    session = get_object_or_404(UserSession, pk=pk, user=request.user.pk)
    session.end()
    record(Kind.SESSIONS, request, device(session.user_agent))
    messages.success(request, f"{device(session.user_agent)} is signed out.")
    return redirect("people:account")


@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere but here."""
    end_others(request, request.user)  # type: ignore[arg-type]  # nobody else gets here
    record(Kind.SESSIONS, request, "Everywhere else")
    messages.success(request, "You are signed out everywhere else.")
    return redirect("people:account")


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen theme in a cookie and go back; "device" forgets it."""
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    safe = safe and back.startswith("/")  # a word would be taken for a view's name
    response = redirect(back if safe else "/")
    keep_theme(response, request.POST.get("theme", ""))
    return response
