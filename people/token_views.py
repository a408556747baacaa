"""The tokens by which programs read as somebody may: made and revoked on one's own account.

Goes in: requests. Comes out: the page of the account. The text of a token is on the page that answers its making, and
nowhere else: not in the session, not in a message.
"""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from people.account_views import account_context
from people.audit import Kind, record
from people.models import ApiToken

MOST = 20  # of one person


class TokenForm(forms.Form):
    """Names a new token, which is what tells it from others when it shall be revoked."""

    name = forms.CharField(
        max_length=60,
        error_messages={
            "required": "Name the program that will use it.",
            "max_length": "Shorten the name to 60 characters.",
        },
    )


@require_POST
@never_cache
def make(request: HttpRequest) -> HttpResponse:
    """Make a token and show it; sent again, its name is taken, so that a reload makes no second one."""
    form = TokenForm(request.POST)
    context: dict[str, Any] = {"token_form": form}
    if form.is_valid():
        try:
            context["made"], context["text"] = _made(request, form.cleaned_data["name"])
        except ValidationError as problem:
            form.add_error("name", problem)
    context |= account_context(request)
    return render(request, "people/account.html", context, status=422 if form.errors else 200)


def _made(request: HttpRequest, name: str) -> tuple[ApiToken, str]:
    if ApiToken.objects.filter(person=request.user.pk).count() >= MOST:
        raise ValidationError(f"You have {MOST} tokens. Revoke one that is not used first.", code="many")
    try:
        with transaction.atomic():
            made = ApiToken.objects.make(request.user, name)  # type: ignore[arg-type]  # nobody else gets here
    except IntegrityError:
        raise ValidationError("You have a token of that name. Use another name.", code="taken") from None
    record(Kind.KEY, request, f"Made the API token {made[0]}")
    return made


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then end one of one's own tokens, at once."""
    token = get_object_or_404(ApiToken, pk=pk, person=request.user.pk)
    if request.method != "POST":
        return render(request, "people/apitoken_confirm_revoke.html", {"token": token})
    token.delete()
    record(Kind.KEY, request, f"Revoked the API token {token}")
    messages.success(request, f"The token “{token.name}” is revoked.")
    return redirect("people:account")
