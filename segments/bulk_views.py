"""The bar above the list: what shall be done with all segments that were chosen.

Goes in: requests. Comes out: what it would do, for the sender to confirm; then what follows it. Where they are very
many a worker does it, and a page says how far it is.
"""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe

from accessaudience.htmx import render_fragment, wants_fragment
from accessaudience.roles import MARKETER, VIEWER, role_required
from channels.models import Channel
from jobs.models import Status
from jobs.presence import worker_missing
from jobs.views import seen
from segments import bulk, changes
from segments.activity_views import PATIENCE
from segments.bulk_forms import BulkForm
from segments.change_views import by, done, tell, was_done
from segments.models import BulkJob
from segments.steps import step
from segments.views import list_context

NAMED = 8  # of the segments concerned, in the question
FOUND = 3  # of those that are there already, in the answer
AMBIGUOUS = "Not added to {}: several segments there are named {}. A Segment ID would say which one is meant."


@require_POST
@role_required(MARKETER)
def act(request: HttpRequest, slug: str) -> HttpResponse:
    """Activate, deactivate, delete or add to other channels what was chosen; shown first what it will do."""
    channel = get_object_or_404(Channel, slug=slug)
    form = BulkForm(request.POST, channel=channel)
    valid = form.is_valid()
    if valid and was_done(form):
        return follow(request, form)
    if not valid and "channels" not in form.errors:
        messages.error(request, form.error)
        return follow(request, form)
    if not valid or form.asks:
        return question(request, form)
    if form.cleaned_data["all"] and form.segments.count() > bulk.IN_REQUEST:
        job = bulk.begin(form.action, channel, form.chosen, form.cleaned_data["channels"], by(request, form))
        return go_to(request, reverse("segments:bulk_job", args=[slug, job.pk]))
    act_now(request, form)
    return follow(request, form)


def act_now(request: HttpRequest, form: BulkForm) -> None:
    """Do it in this request, and say what came of it."""
    targets = form.cleaned_data["channels"]
    try:
        change_set = bulk.act(form.action, form.channel, form.chosen, targets, by(request, form))
    except changes.ChannelBusy as busy:
        messages.error(request, str(busy))
    except changes.AlreadyDone:
        pass
    else:
        if change_set:
            tell(request, f"{change_set.label}.", change_set)
        else:
            adds = form.action == BulkJob.Action.ADD
            found = changes.left_out(form.segments, targets, FOUND) if adds else []
            messages.info(request, why_not_added(found) or bulk.NOTHING[BulkJob.Action(form.action)])


def why_not_added(found: list[changes.LeftOut]) -> SafeString | None:
    """What stands in the way in each channel, with links to it; None if nothing does any more."""
    sentences = []
    for each in found:
        channel = each.channel
        there = {row.target: row.before.name for row in each.there if row.before}
        named = {row.after.name for row in each.ambiguous}
        if there:
            links = [(reverse("segments:detail", args=[channel.slug, pk]), name) for pk, name in there.items()]
            sentences.append(format_html("Already in {}: {}.", channel, linked(links, each.counts.skipped)))
        if named:
            links = [(f"{channel.get_absolute_url()}?{urlencode({'q': name})}", name) for name in sorted(named)]
            sentences.append(format_html(AMBIGUOUS, channel, linked(links, each.counts.errors)))
    return format_html_join(" ", "{}", ((sentence,) for sentence in sentences)) if sentences else None


def linked(links: list[tuple[str, str]], total: int) -> SafeString:
    """Names with where they lead, and how many more there are."""
    names = format_html_join(", ", '<a href="{}"><bdi>{}</bdi></a>', links)
    return format_html("{} and {} more", names, f"{total - FOUND:,}") if total > FOUND else names


def follow(request: HttpRequest, form: BulkForm) -> HttpResponse:
    """Go back to the list, as it was searched and filtered. It is another page where it has become empty."""
    is_empty = not form.channel.segments.exists()
    return done(request, form.channel, back=form.data.get("next", ""), reload=is_empty)


def go_to(request: HttpRequest, url: str) -> HttpResponse:
    """Send the browser there, whoever asked."""
    if not wants_fragment(request):
        return redirect(url)
    return HttpResponse(status=204, headers={"HX-Redirect": url})


def question(request: HttpRequest, form: BulkForm) -> HttpResponse:
    """Show what it would do; 422 if something is missing still."""
    context = {"form": form, "channel": form.channel, "bulk": outlook(form)}
    if not wants_fragment(request):
        context |= list_context(request, form.channel)
    template = "segments/bulk_confirm.html", "segments/_bulk_confirm.html"
    return render_fragment(request, *template, context, status=422 if form.errors else 200)


def outlook(form: BulkForm) -> dict[str, Any]:
    """What the action would do now, in numbers and the first few names of those that it would change."""
    segments = form.segments
    changing = segments
    if form.action in (BulkJob.Action.ACTIVATE, BulkJob.Action.DEACTIVATE):
        changing = segments.filter(active=form.action == BulkJob.Action.DEACTIVATE)
    found: dict[str, Any] = {"total": segments.count(), "names": list(changing.order_by("name_key", "id")[:NAMED])}
    found["changing"] = found["total"] if changing is segments else changing.count()
    found["already"] = found["total"] - found["changing"]
    found["more"] = found["changing"] - len(found["names"])
    if form.action == BulkJob.Action.ADD:
        channels = list(form.fields["channels"].queryset)  # type: ignore[attr-defined]  # a ModelMultipleChoiceField
        counts = changes.adding_to(segments, channels)
        ticked = form.ticked_channels
        found["targets"] = [(channel, counts[channel.pk], str(channel.pk) in ticked) for channel in channels]
    elif form.action == BulkJob.Action.DELETE:
        found["of_klaviyo"] = segments.filter(klaviyo_id__isnull=False).count()
    return found


@require_safe
@role_required(VIEWER)
def job(request: HttpRequest, slug: str, pk: UUID) -> HttpResponse:
    """Show how far an action on very many segments is; the part of it that htmx asks for each second."""
    found = get_object_or_404(BulkJob.objects.select_related("channel", "change_set"), channel__slug=slug, pk=pk)
    seen(request, found)
    waits = found.status == Status.WAITING and timezone.now() - found.created_at > PATIENCE
    context = {"job": found, "channel": found.channel, "no_worker": waits and worker_missing(), "step": step(found)}
    return render_fragment(request, "segments/bulkjob_detail.html", "segments/_bulk_job.html", context)
