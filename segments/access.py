"""The record of access as Admins read it, on Activity: filters, a page of it, and the export.

Goes in: GET data. Comes out: events, newest first, and CSV. What is not understood is left out, never an error.
Must not know: requests, templates; how events come about is people.audit's.
"""

from collections.abc import Iterator
from datetime import tzinfo
from typing import Any, NamedTuple

from django import forms
from django.db.models import Q, QuerySet
from django.utils import timezone

from people.models import AccessEvent
from segments.activity.form import KEY_MAX, Asked
from segments.export import csv_of, formula_safe

PAGE = 50
_BATCH = 1_000
Kind = AccessEvent.Kind
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "sign-ins": ("Sign-ins", (Kind.SIGN_IN, Kind.SIGN_OUT, Kind.SESSIONS)),
    "failures": ("Failures", (Kind.FAILED, Kind.REFUSED)),
    "proofs": ("Passwords and two-factor", (Kind.PASSWORD, Kind.TWO_FACTOR)),
    "people": (
        "Roles and people",
        (Kind.INVITED, Kind.JOINED, Kind.ROLE, Kind.ACTIVATED, Kind.DEACTIVATED, Kind.DELETED),
    ),
    "keys": ("Keys", (Kind.KEY,)),
    "exports": ("Exports", (Kind.EXPORT,)),
}
ICONS = {
    Kind.SIGN_IN: "user-circle",
    Kind.SIGN_OUT: "logout",
    Kind.SESSIONS: "logout",
    Kind.FAILED: "alert-circle",
    Kind.REFUSED: "hand-stop",
    Kind.PASSWORD: "lock",
    Kind.TWO_FACTOR: "device-mobile",
    Kind.INVITED: "mail",
    Kind.JOINED: "circle-check",
    Kind.ROLE: "users",
    Kind.ACTIVATED: "circle-check",
    Kind.DEACTIVATED: "circle-minus",
    Kind.DELETED: "trash",
    Kind.KEY: "key",
    Kind.EXPORT: "download",
}
HEADER = ("When", "Who", "Email", "What", "About", "From", "Device")


class AccessForm(Asked):
    """Part of a name, an address or what it is about; which kind; and where a page begins."""

    q = forms.CharField(required=False, max_length=255)
    kind = forms.ChoiceField(
        required=False, choices=[("", "All kinds"), *((name, label) for name, (label, _) in KINDS.items())]
    )
    older = forms.IntegerField(required=False, min_value=1, max_value=KEY_MAX)

    @property
    def narrows(self) -> bool:
        """Whether anything is filtered by."""
        return bool(self.get("q") or self.get("kind"))

    def matching(self) -> QuerySet[AccessEvent]:
        """The events that match, newest first."""
        events = AccessEvent.objects.select_related("person").order_by("-pk")
        q = self.get("q")
        if q:
            said = Q(about__icontains=q) | Q(person_name__icontains=q) | Q(person__email__icontains=q)
            events = events.filter(said | Q(address__icontains=q))
        if self.get("kind"):
            events = events.filter(kind__in=KINDS[self.get("kind")][1])
        return events


class Page(NamedTuple):
    """Events with their icons, and the id from which older ones go on (0 if there is none)."""

    events: list[tuple[AccessEvent, str]]
    older_than: int


def page_of(asked: AccessForm) -> Page:
    """Return the page that is asked for."""
    events = asked.matching()
    if asked.get("older"):
        events = events.filter(pk__lt=asked.get("older"))
    found = list(events[: PAGE + 1])
    rows = [(event, ICONS[Kind(event.kind)]) for event in found[:PAGE]]
    return Page(rows, found[PAGE - 1].pk if len(found) > PAGE else 0)


def csv_pieces(events: QuerySet[AccessEvent], zone: tzinfo) -> Iterator[str]:
    """Those `events` as CSV, however many there are.

    The times are those of `zone`: when the rows are read, the request and its time zone are over.
    """
    return csv_of(HEADER, _csv_rows(events, zone))


def _csv_rows(events: Any, zone: tzinfo) -> Iterator[list[str]]:
    for event in events.iterator(chunk_size=_BATCH):
        email = event.person.email if event.person else ""
        texts = (event.person_name, email, event.get_kind_display(), event.about, event.address or "", event.user_agent)
        yield [timezone.localtime(event.at, zone).isoformat(timespec="seconds"), *map(formula_safe, texts)]
