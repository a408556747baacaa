"""One's own time zone. Goes in: the choice of the account page. Comes out: that page, with times as chosen."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from people.forms import TimeZoneForm
from people.zones import zone_of


@require_POST
def time_zone(request: HttpRequest) -> HttpResponse:
    """Show times in the chosen time zone from now on."""
    form = TimeZoneForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest("This time zone is not known here. Choose another on your account page.")
    person: Any = request.user  # a Person: strangers are sent to sign in
    person.time_zone = form.cleaned_data["time_zone"]
    person.save(update_fields=["time_zone"])
    with timezone.override(zone_of(person.time_zone)):
        messages.success(request, f"Saved. Where you are it is {timezone.localtime():%H:%M}.")
    return redirect("people:account")
