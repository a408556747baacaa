"""The bar above the list: what shall be done with all segments that were chosen.

Goes in: requests. Comes out: what it would do, for the sender to confirm; then what follows it. Where they are very
many a worker does it, and a page says how far it is.
"""

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
from jobs.views import cancel_job, seen
from segments import changes
from segments.activity.views import PATIENCE
from segments.bulk import acting
from segments.bulk.forms import BulkForm
from segments.bulk.outlook import outlook
from segments.change_views import by, done, own_url, tell, was_done
from segments.models import BulkJob
from segments.steps import step
from segments.views import list_context

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
    if form.cleaned_data["all"] and form.segments.count() > acting.IN_REQUEST:
        values = form.cleaned_data
        job = acting.begin(form.action, channel, form.chosen, values["channels"], by(request, form), values["told"])
        return go_to(request, reverse("segments:bulk_job", args=[slug, job.pk]))
    return act_now(request, form)


def act_now(request: HttpRequest, form: BulkForm) -> HttpResponse:
    """Do it in this request, and say what came of it; ask again if more match by now than its sender was told of."""
    targets = form.cleaned_data["channels"]
    how = changes.How(form.cleaned_data["told"])
    try:
        change_set = acting.act(form.action, form.channel, form.chosen, targets, by(request, form), how)
    except changes.MoreThanTold as problem:
        form.add_error(None, str(problem))
        return question(request, form)
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
            messages.info(request, why_not_added(found) or acting.why_nothing(form.action, form.segments))
    return follow(request, form)


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
    """Show what it would do; 422 if something is missing still, or is not as its sender was told."""
    to_list = form.channel.get_absolute_url()
    context = {
        "form": form,
        "channel": form.channel,
        "bulk": outlook(form.action, form.segments, form.others),
        "back": own_url(request, form.data.get("next", ""), default=to_list),
    }
    if not wants_fragment(request):
        context |= list_context(request, form.channel)
    template = "segments/bulk_confirm.html", "segments/_bulk_confirm.html"
    return render_fragment(request, *template, context, status=422 if form.errors else 200)


@require_POST
@role_required(MARKETER)
def cancel(request: HttpRequest, slug: str, pk: UUID) -> HttpResponse:
    """Stop an action that a worker does, if nothing of it has been written yet."""
    cancel_job(request, get_object_or_404(BulkJob, channel__slug=slug, pk=pk))
    return redirect("segments:bulk_job", slug, pk)


@require_safe
@role_required(VIEWER)
def job(request: HttpRequest, slug: str, pk: UUID) -> HttpResponse:
    """Show how far an action on very many segments is; the part of it that htmx asks for each second."""
    found = get_object_or_404(BulkJob.objects.select_related("channel", "change_set"), channel__slug=slug, pk=pk)
    seen(request, found)
    waits = found.status == Status.WAITING and timezone.now() - found.created_at > PATIENCE
    context = {"job": found, "channel": found.channel, "no_worker": waits and worker_missing(), "step": step(found)}
    return render_fragment(request, "segments/bulkjob_detail.html", "segments/_bulk_job.html", context)
