"""A segment's name, changed where it stands in the list.

Goes in: requests of htmx. Comes out: a form of one field, or the row with the new name. For everybody else, and for
all other fields, there is the page segments.change_views.edit.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accessaudience.htmx import wants_fragment
from accessaudience.roles import MARKETER, role_required
from segments import changes
from segments.change_views import REFUSALS, by, form_methods, load, refuse, sent, tell, was_done
from segments.forms import RenameForm
from segments.models import Segment


@form_methods
@role_required(MARKETER)
def rename(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Change the name of a segment; refused if somebody else changed it since its form was opened."""
    segment = load(slug, pk)
    if not wants_fragment(request):
        return redirect("segments:edit", slug, pk)
    form = RenameForm(sent(request), segment=segment)
    if not form.is_valid():
        return form_in_row(request, form)
    if was_done(form):
        return row(request, segment)
    if form.meets_namesake():
        return form_in_row(request, form)
    try:
        change_set = changes.edit(segment, form.segment_values(), by(request, form), form.cleaned_data["seen"])
    except REFUSALS as problem:
        refuse(form, problem)
        return form_in_row(request, form)
    except changes.AlreadyDone:
        change_set = None
    if change_set:
        tell(request, f"“{form.cleaned_data['name']}” is saved.", change_set)
    return row(request, load(slug, pk))


def form_in_row(request: HttpRequest, form: RenameForm) -> HttpResponse:
    """Show the form; 422 if what it sent was not accepted."""
    context = {"form": form, "segment": form.segment, "channel": form.channel}
    return render(request, "segments/_segment_rename.html", context, status=422 if form.is_bound else 200)


def row(request: HttpRequest, segment: Segment) -> HttpResponse:
    """Show the row as it is now. It is swapped out of band, and takes the form with it."""
    context = {"segment": segment, "channel": segment.channel}
    response = render(request, "segments/_segment_switched.html", context)
    response["HX-Reswap"] = "none"
    return response
