"""Taking a change set back: first what it would do, with names; then doing it.

Goes in: requests. Comes out: the page that asks, or what follows the undo. The undo itself is segments.changes.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import capfirst
from django.views.decorators.http import require_http_methods, require_POST

from accessaudience.roles import MARKETER, role_required
from jobs.views import cancel_job
from segments import changes
from segments.activity.deeds import NOUNS, named
from segments.change_views import by, own_url, tell
from segments.forms import UndoForm
from segments.history import Difference, differences
from segments.models import ChangeSet
from segments.undo.undoing import IN_REQUEST, NOTHING_LEFT, begin, is_under_way, latest

UNDONE = "This was undone already."
ACTS = ("kept", "restored", "removed")  # as the page offers to show them
NAMES_PER_PAGE = 50


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(MARKETER)
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what an undo would do, then do it. The Undo of a toast acts at once where one segment is concerned."""
    change_set = get_object_or_404(ChangeSet.objects.select_related("user"), pk=pk)
    asked = request.POST or request.GET
    back = own_url(request, asked.get("next", ""), default=home_of(change_set))
    form = UndoForm(request.POST)
    size = change_set.touched()
    sure = form.is_valid() and (form.cleaned_data["form_token"] or size <= 1)
    if is_under_way(change_set):
        return redirect("segments:change", pk)
    if request.method != "POST" or not sure:
        return undo_page(request, change_set, back)
    if size > IN_REQUEST:
        begin(change_set, by(request, form))
        return redirect("segments:change", pk)
    undo_now(request, change_set, form)
    return redirect(back)


@require_POST
@role_required(MARKETER)
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop an undo that a worker does, if nothing of it has been written yet."""
    change_set = get_object_or_404(ChangeSet, pk=pk)
    cancel_job(request, latest(change_set))
    return redirect("segments:change", pk)


def undo_now(request: HttpRequest, change_set: ChangeSet, form: UndoForm) -> None:
    """Undo `change_set` in this request, and say what came of it."""
    try:
        undone = changes.undo(change_set, by(request, form))
    except changes.ChannelBusy as busy:
        messages.error(request, str(busy))
    except changes.AlreadyDone:
        pass
    else:
        if undone:
            left = undone.left_in_words()
            tell(request, f"{capfirst(named(change_set))} is undone{left and f'; {left}'}.", undone)
        elif change_set.undone_by.exists():
            messages.info(request, UNDONE)
        else:
            messages.warning(request, NOTHING_LEFT)


def undo_page(request: HttpRequest, change_set: ChangeSet, back: str) -> HttpResponse:
    """Show what an undo of `change_set` would remove, restore and keep, with names."""
    with changes.undo_plan(change_set) as plan:
        if not (plan.removed or plan.restored) and change_set.undone_by.exists():
            messages.info(request, UNDONE)
            return redirect("segments:change", change_set.pk)
        counts = {act: getattr(plan, act) for act in ACTS}
        show = request.GET.get("show", "")
        if show not in counts:
            show = next((act for act in ACTS if counts[act]), "removed")
        names: Any = Names(plan, show)
        page = Paginator(names, NAMES_PER_PAGE).get_page(request.GET.get("page"))
        of_set = change_set.channels.select_related("channel").order_by("channel__position")
        channels = {counts.channel_id: counts.channel for counts in of_set}
        context = {
            "change_set": change_set,
            "noun": NOUNS[change_set.kind],
            "channels": channels,
            "plan": plan,
            "counts": counts,
            "show": show,
            "page": page,
            "rows": [(row, channels[row.channel], changed(row)) for row in page],
            "form": UndoForm(initial={"next": back}),
            "back": back,
        }
        return render(request, "segments/change_set_undo.html", context)


@dataclass(frozen=True)
class Names:
    """The segments of an undo that it would treat alike, as a list that a Paginator can cut."""

    plan: changes.UndoPlan
    act: str

    def __len__(self) -> int:
        return int(getattr(self.plan, self.act))

    def __getitem__(self, part: slice) -> list[changes.UndoRow]:
        return self.plan.names(self.act, part.start, part.stop - part.start)


def changed(row: changes.UndoRow) -> list[Difference]:
    """What the undo would give back to a segment, or what somebody changed since of one that is kept."""
    if row.before is None:
        return []
    return differences(row.now, row.before) if row.act == "restored" else differences(row.before, row.now)


def home_of(change_set: ChangeSet) -> str:
    """The Segments tab of the first channel that the set is about."""
    counts = change_set.channels.select_related("channel").order_by("channel__position").first()
    return counts.channel.get_absolute_url() if counts else "/"
