"""The Segments tab as one changes it: add, edit, switch, delete.

Goes in: requests. Comes out: forms, their errors (422), and what follows a change. The changes themselves are
segments.changes; what stood in their way is said in words.
"""

import json

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from accessaudience.htmx import render_fragment, wants_fragment
from accessaudience.roles import MARKETER, role_required
from channels.models import Channel
from people.models import Person
from segments import changes
from segments.forms import OnceForm, RestoreForm, SegmentForm
from segments.history import LABELS, before, restorable, values_of
from segments.history import in_words as value_in_words
from segments.models import Change, ChangeSet, Segment
from segments.values import SegmentValues
from segments.views import list_context

Refusal = changes.IdentityTaken | changes.EditedMeanwhile | changes.ChannelBusy
REFUSALS = (changes.IdentityTaken, changes.EditedMeanwhile, changes.ChannelBusy)

form_methods = require_http_methods(["GET", "HEAD", "POST"])


@form_methods
@role_required(MARKETER)
def add(request: HttpRequest, slug: str) -> HttpResponse:
    """Add a segment by hand."""
    channel = get_object_or_404(Channel, slug=slug)
    form = SegmentForm(sent(request), channel=channel)
    if form.is_valid() and was_done(form):
        say_if_other(request, form)
        return added(request, channel)
    if not form.is_valid() or form.meets_namesake():
        return form_page(request, form)
    try:
        segment = changes.add(channel, form.segment_values(), by(request, form))
    except REFUSALS as problem:
        refuse(form, problem)
        return form_page(request, form)
    except changes.AlreadyDone:
        return added(request, channel)
    tell(request, f"“{segment.name}” is added to {channel}.", segment.created_in)
    return added(request, channel)


def added(request: HttpRequest, channel: Channel) -> HttpResponse:
    """What follows the adding of a segment: the list, or an empty form if the user asked to start another."""
    if "again" not in request.POST:
        return done(request, channel, reload=channel.segment_count == 0)
    if not wants_fragment(request):
        return redirect("segments:add", channel.slug)
    response = form_page(request, SegmentForm(channel=channel))
    response["HX-Trigger"] = "segmentsChanged"
    return response


@form_methods
@role_required(MARKETER)
def edit(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Change a segment; refused if somebody else changed it since its form was opened."""
    segment = load(slug, pk)
    form = SegmentForm(sent(request), channel=segment.channel, segment=segment)
    if form.is_valid() and was_done(form):
        say_if_other(request, form)
        return done(request, segment.channel)
    if not form.is_valid() or form.meets_namesake():
        return form_page(request, form)
    try:
        change_set = changes.edit(segment, form.segment_values(), by(request, form), form.cleaned_data["seen"])
    except REFUSALS as problem:
        refuse(form, problem)
        return form_page(request, form)
    except changes.AlreadyDone:
        return done(request, segment.channel)
    if change_set:
        tell(request, f"“{form.cleaned_data['name']}” is saved.", change_set)
    return done(request, segment.channel)


def form_page(request: HttpRequest, form: SegmentForm) -> HttpResponse:
    """Show the panel with the form."""
    return panel(request, "segment_form", form, form.channel, form.segment)


@require_POST
@role_required(MARKETER)
def status(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Make a segment active or inactive: the switch in the list and on its page, and "Deactivate instead"."""
    segment = load(slug, pk)
    active = "active" in request.POST
    try:
        change_set = changes.set_active(segment, active, by(request))
    except (changes.ChannelBusy, changes.EditedMeanwhile) as problem:
        messages.error(request, in_words(problem))
    else:
        segment.active = active
        if change_set:
            segment.updated_at = change_set.at
            tell(request, f"“{segment.name}” is now {'active' if active else 'inactive'}.", change_set)
    if wants_fragment(request) and request.htmx.target == f"segment-{pk}":  # type: ignore[attr-defined]  # django-htmx
        return render(request, "segments/_segment_switched.html", {"segment": segment, "channel": segment.channel})
    return done(request, segment.channel, back=request.POST.get("next", ""))


@form_methods
@role_required(MARKETER)
def delete(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask, then delete a segment."""
    channel = get_object_or_404(Channel, slug=slug)
    form = OnceForm(sent(request))
    segment = channel.segments.select_related("channel").filter(pk=pk).first()
    if form.is_valid() and was_done(form):  # asked last: it may have been done while we looked for the segment
        return done(request, channel)
    if segment is None:
        raise Http404
    if not form.is_valid():
        return delete_page(request, segment, form)
    try:
        change_set = changes.delete(segment, by(request, form))
    except changes.AlreadyDone:
        return done(request, channel)
    except REFUSALS as problem:
        refuse(form, problem)
        return delete_page(request, segment, form)
    tell(request, f"“{segment.name}” is deleted from {channel}.", change_set)
    return done(request, channel, gone=segment, reload=channel.segment_count == 1)


def delete_page(request: HttpRequest, segment: Segment, form: OnceForm) -> HttpResponse:
    """Ask whether to delete `segment`."""
    return panel(request, "segment_confirm_delete", form, segment.channel, segment)


def panel(
    request: HttpRequest, template: str, form: forms.Form, channel: Channel, segment: Segment | None
) -> HttpResponse:
    """Show the panel beside the list, or on the list's page; 422 if what its form sent was not accepted."""
    context = {"form": form, "channel": channel, "segment": segment}
    if not wants_fragment(request):
        context |= list_context(request, channel)
    names = f"segments/{template}.html", f"segments/_{template}.html"
    return render_fragment(request, *names, context, status=422 if form.is_bound else 200)


def refuse(form: SegmentForm | OnceForm, problem: Refusal) -> None:
    """Say in the form what stood in the way of what it asked for."""
    if isinstance(form, SegmentForm) and isinstance(problem, changes.IdentityTaken):
        form.refuse_taken(problem.existing)
    else:
        form.add_error(None, in_words(problem))


@require_POST
@role_required(MARKETER)
def restore(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Give a field of a segment back what it had before one of its changes: as an edit, which can be undone."""
    segment = load(slug, pk)
    form = RestoreForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest("This form names no change of the segment.")
    change = get_object_or_404(Change, pk=form.cleaned_data["change"], segment=pk)
    field = form.cleaned_data["field"]
    if field in restorable(change, segment) and not was_done(form):
        restore_field(request, segment, form, field, getattr(before(change), field))
    return done(request, segment.channel, back=segment.get_absolute_url())


def restore_field(request: HttpRequest, segment: Segment, form: RestoreForm, field: str, value: str | bool) -> None:
    """Edit that one field, and say what came of it."""
    wanted = SegmentValues(**{**values_of(segment)._asdict(), field: value})
    try:
        change_set = changes.edit(segment, wanted, by(request, form), form.cleaned_data["seen"])
    except changes.IdentityTaken as taken:
        what = "name" if field == "name" else "segment ID"
        text = f"“{taken.existing.name}” has that {what} in {segment.channel} now, so nothing was restored."
        messages.error(request, text)
    except (changes.ChannelBusy, changes.EditedMeanwhile) as problem:
        messages.error(request, in_words(problem))
    except changes.AlreadyDone:
        pass
    else:
        if change_set:
            tell(request, f"{LABELS[field]} is “{value_in_words(field, value)}” again.", change_set)


def load(slug: str, pk: int) -> Segment:
    """The segment, if it is in that channel; else 404."""
    segment: Segment = get_object_or_404(Segment.objects.select_related("channel"), channel__slug=slug, pk=pk)
    return segment


def sent(request: HttpRequest) -> QueryDict | None:
    """What the form sent, if it did."""
    return request.POST if request.method == "POST" else None


def by(request: HttpRequest, form: forms.Form | None = None) -> changes.By:
    """Who is doing this, and the one-time token of the form that says so."""
    user = request.user if isinstance(request.user, Person) else None
    return changes.By(user=user, form_token=form.cleaned_data["form_token"] if form else None)


def was_done(form: forms.Form) -> bool:
    """Whether this very form, by its one-time token, was sent before and acted.

    segments.changes looks again, under the lock. Asked here too, what the first sending made does not stand in
    the way of the second.
    """
    token = form.cleaned_data["form_token"]
    return token is not None and ChangeSet.objects.filter(form_token=token).exists()


def say_if_other(request: HttpRequest, form: SegmentForm) -> None:
    """Say that a form sent again did nothing, where it holds other values than were written: Back and Save make one."""
    written = form.segment or Segment.objects.filter(created_in__form_token=form.cleaned_data["form_token"]).first()
    sent_now = form.segment_values()
    if written is None or (written.name, written.segment_id, written.link) != sent_now[:3]:
        messages.warning(request, f"“{sent_now.name}” was not saved: this form was sent before. Open it again.")


def in_words(problem: Refusal) -> str:
    """What stood in the way of a change. Nothing was changed."""
    if not isinstance(problem, changes.EditedMeanwhile):
        return str(problem)
    if problem.segment is None:
        return "Somebody deleted this segment meanwhile. Nothing was changed."
    return "Somebody changed this segment meanwhile, so nothing was saved. Open it again to see it as it is now."


def tell(request: HttpRequest, text: str, change_set: ChangeSet) -> None:
    """Show a message that offers to undo `change_set`."""
    messages.success(request, text, extra_tags=f"undo:{change_set.pk}")


def own_url(request: HttpRequest, url: str, default: str) -> str:
    """Return `url` if it is the path of a page of ours, else `default`: a word would be taken for a view's name."""
    ours = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    return url if ours and url.startswith("/") else default


def done(
    request: HttpRequest, channel: Channel, *, back: str = "", gone: Segment | None = None, reload: bool = False
) -> HttpResponse:
    """What follows a change. htmx closes the panel and loads the list, or the segment's page, anew.

    `back` is where to go without htmx, if it is a page of ours; else the list. The page of a segment that is
    `gone` is left for the list. `reload`: the list itself is another page now (the first segment, the last one).
    """
    to_list = channel.get_absolute_url()
    if not wants_fragment(request):
        return redirect(own_url(request, back, default=to_list))
    response = HttpResponse(status=204)
    here = request.htmx.current_url_abs_path or ""  # type: ignore[attr-defined]  # set by django-htmx's middleware
    if reload or (gone and here.startswith(gone.get_absolute_url())):
        response["HX-Redirect"] = to_list
    else:
        response["HX-Trigger"] = json.dumps({"segmentsChanged": None, "closePanel": None})
    return response
