"""Syncs of a channel: starting, watching, answering, their pages by name, previews, the history.

Goes in: requests. Comes out: pages, or the fragments of them that htmx asks for. A sync itself is done by
a worker: see integrations.sync.
"""

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accessaudience.htmx import render_fragment, wants_fragment
from accessaudience.roles import MARKETER, VIEWER, role_required
from channels.models import Channel
from integrations import shown
from integrations.models import SyncJob
from integrations.starting import NoAccount, start
from jobs.lease import request_cancel
from jobs.models import Job, Status
from jobs.views import seen
from people.models import Person
from segments import changes
from segments.change_views import was_done
from segments.forms import OnceForm
from segments.models import Segment
from segments.values import SegmentValues

LINES_A_PAGE = 50
SYNCS_A_PAGE = 50
QUESTIONS = {"another_account": "accept_account", "many_missing": "accept_missing"}


@require_safe
@role_required(VIEWER)
def status(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how the newest sync stands: what stands above the table, and asks again by itself."""
    channel = get_object_or_404(Channel, slug=slug)
    if not wants_fragment(request):
        return redirect(channel)
    context = {"channel": channel, **shown.region(channel)}
    response = render(request, "integrations/_sync.html", context)
    job = context["job"]
    seen(request, job)
    if job is None or not job.is_open:
        response["HX-Refresh"] = "true"  # the table, its count and the button are others now
    return response


@require_POST
@role_required(MARKETER)
def begin(request: HttpRequest, slug: str) -> HttpResponse:
    """Start a sync, or show the one that runs already."""
    channel = get_object_or_404(Channel, slug=slug)
    try:
        start(channel, cast(Person, request.user), token=token_of(request))
    except NoAccount as reason:
        messages.error(request, reason.message)
        if wants_fragment(request):
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        return redirect(channel)
    if not wants_fragment(request):
        return redirect(channel)
    return render(request, "integrations/_sync.html", {"channel": channel, **shown.region(channel)})


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(MARKETER)
def preview(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a preview (POST), or lead to the newest; without one, ask for it."""
    channel = get_object_or_404(Channel, slug=slug)
    newest = SyncJob.objects.filter(channel=channel, goal=Job.Goal.CHECK).first()
    if request.method != "POST" and newest and newest.status != Status.CANCELLED:
        return redirect(newest)
    if request.method != "POST":
        return render(request, "integrations/sync_preview_ask.html", {"channel": channel})
    try:
        job, _ = start(channel, cast(Person, request.user), goal=Job.Goal.CHECK, token=token_of(request))
    except NoAccount as reason:
        messages.error(request, reason.message)
        return redirect(channel)
    return redirect(job)


@require_safe
@role_required(VIEWER)
def detail(request: HttpRequest, slug: str, pk: UUID) -> HttpResponse:
    """Show what a sync did by name, what a preview found, what is asked, or how it is getting on."""
    job = _sync(slug, pk)
    seen(request, job)
    show = request.GET.get("show", "")
    page = Paginator(shown.lines(job, show), LINES_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "channel": job.channel,
        "job": job,
        "took": shown.took(job),
        "filters": shown.filters(job, show),
        "show": show,
        "page": page,
        "rows": shown.rows(job, page.object_list),
        "question": shown.question(job),
    }
    return render_fragment(request, "integrations/syncjob_detail.html", "integrations/_syncjob_detail.html", context)


@require_safe
@role_required(VIEWER)
def history(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the channel's syncs, newest first."""
    channel = get_object_or_404(Channel, slug=slug)
    syncs = SyncJob.objects.for_list().syncs().filter(channel=channel)
    page = Paginator(syncs, SYNCS_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "integrations/syncjob_list.html", {"channel": channel, "page": page})


@require_POST
@role_required(MARKETER)
def stop(request: HttpRequest, slug: str, pk: UUID) -> HttpResponse:
    """Stop a sync, if nothing of it has been written yet; leave everything as it is, where it asks."""
    job = _sync(slug, pk)
    if request_cancel(job) or job.status == Status.CANCELLED:
        messages.success(request, "Stopped. None of your segments were changed.")
    elif job.status in (Status.RUNNING, Status.DONE):
        messages.error(request, "It was too late to stop this sync. You can undo it instead.")
    return redirect(job.channel)


@require_POST
@role_required(VIEWER)
def hide(request: HttpRequest, slug: str, pk: UUID) -> HttpResponse:
    """Take the result of a sync away from above the table, for whoever asks for it."""
    job = _sync(slug, pk)
    request.session[shown.HIDDEN] = {**request.session.get(shown.HIDDEN, {}), slug: str(job.pk)}
    return redirect(job.channel)


@require_POST
@role_required(MARKETER)
def answer(request: HttpRequest, slug: str, pk: UUID) -> HttpResponse:
    """Go on with a sync that asked, once somebody said that they looked."""
    job = _sync(slug, pk)
    if "sure" not in request.POST:
        messages.error(request, "Tick the box first: it says what you have checked.")
        return redirect(job)
    accepted: dict[str, Any] = {QUESTIONS[job.code]: True} if job.code in QUESTIONS else {}
    try:
        with transaction.atomic():
            won = accepted and job.transition(Status.WAITING, of=(Status.NEEDS_ANSWER,), user=request.user, **accepted)
    except IntegrityError:  # another sync of the channel was started meanwhile
        won = False
    if not won and not was_accepted_by(job, request):
        messages.error(request, "This question was answered meanwhile.")
    return redirect(job.channel)


def was_accepted_by(job: SyncJob, request: HttpRequest) -> bool:
    """Whether it was this person who said that the sync may go on: the form was sent twice."""
    job.refresh_from_db()
    return job.user == request.user and (job.accept_account or job.accept_missing)


@require_POST
@role_required(MARKETER)
def link(request: HttpRequest, slug: str, pk: UUID, line: int) -> HttpResponse:
    """Give a segment here the ID of Klaviyo's segment of the same name: the next sync takes it for that one."""
    job = _sync(slug, pk)
    found = get_object_or_404(job.lines.filter(outcome="created"), pk=line)
    if already_sent(request):
        return redirect("integrations:preview", slug)
    namesake = shown.namesakes(job.channel, [found.name]).get(found.name)
    if namesake is None:
        messages.error(request, f"There is no segment “{found.name}” without an ID here any more.")
        return redirect(job)
    values = SegmentValues(namesake.name, found.segment_id, namesake.link, namesake.active)
    try:
        by = changes.By(cast(Person, request.user), form_token=token_of(request))
        change_set = changes.edit(namesake, values, by, expected_change=namesake.last_change_id)
    except (changes.ChannelBusy, changes.EditedMeanwhile):
        messages.error(request, "Something else is being written here; try again in a moment.")
    except changes.AlreadyDone:
        pass
    except changes.IdentityTaken as taken:
        messages.error(request, f"“{taken.existing.name}” has that ID already.")
    else:
        tags = f"undo:{change_set.pk}" if change_set else ""
        messages.success(request, f"“{namesake.name}” is linked: the next sync takes it over.", extra_tags=tags)
    return redirect("integrations:preview", slug)


@require_POST
@role_required(MARKETER)
def take_value(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Use Klaviyo's value: end the manual override of a name or a link."""
    segment = get_object_or_404(
        Segment.objects.select_related("channel"), channel__slug=slug, pk=pk, klaviyo_id__isnull=False
    )
    if already_sent(request):
        return redirect(segment)
    name, url = segment.name, segment.link
    if request.POST.get("field") == "link":
        url = segment.synced_link or ""
    else:
        name = segment.synced_name or name
    values = SegmentValues(name, segment.segment_id, url, segment.active)
    try:
        by = changes.By(cast(Person, request.user), form_token=token_of(request))
        change_set = changes.edit(segment, values, by, expected_change=segment.last_change_id)
    except (changes.ChannelBusy, changes.EditedMeanwhile, changes.IdentityTaken):
        messages.error(request, "Something else is being written here, so nothing was saved. Try again in a moment.")
    except changes.AlreadyDone:
        pass
    else:
        tags = f"undo:{change_set.pk}" if change_set else ""
        messages.success(request, f"“{name}” follows Klaviyo again.", extra_tags=tags)
    return redirect(segment)


def token_of(request: HttpRequest) -> UUID | None:
    """Return the one-time token of the form that was sent; None where a client sends none."""
    form = OnceForm(request.POST)
    return form.cleaned_data["form_token"] if form.is_valid() else None


def already_sent(request: HttpRequest) -> bool:
    """Whether this very form was sent before and acted."""
    form = OnceForm(request.POST)
    return form.is_valid() and was_done(form)


def _sync(slug: str, pk: UUID) -> SyncJob:
    return get_object_or_404(SyncJob.objects.for_list(), channel__slug=slug, pk=pk)
