"""Views of one's own account: the theme, and leaving."""

from allauth.account import views as account
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from channels.context import THEMES

YEAR = 365 * 24 * 60 * 60

sign_in = require_http_methods(["GET", "HEAD", "POST"])(account.login)
sign_out = require_POST(account.logout)
change_password = require_http_methods(["GET", "HEAD", "POST"])(account.password_change)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen theme in a cookie and go back; "device" forgets it."""
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    response = redirect(back if safe else "/")
    chosen = request.POST.get("theme")
    if chosen in THEMES:
        response.set_cookie("theme", chosen, max_age=YEAR, secure=request.is_secure(), httponly=True, samesite="Lax")
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response
