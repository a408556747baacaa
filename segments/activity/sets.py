"""What happened to segments, change set by change set, newest first: a page of it, and the export.

Goes in: a QuerySet of change sets. Comes out: what each did in words and numbers, and whether it is undone, by a
number of queries that does not depend on how much there is. Must not know: requests, templates.
What one change set did, segment by segment, is segments.activity.names.
"""

from collections.abc import Iterable, Iterator
from datetime import date, tzinfo
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Exists, F, FilteredRelation, OuterRef, Prefetch, Q, QuerySet
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from jobs.models import ENDED
from segments.activity.deeds import Deed
from segments.export import csv_of, formula_safe
from segments.history import LABELS
from segments.models import Change, ChangeSet, ChangeSetChannel, Segment, UndoJob

PAGE = 50
OF_ONE = (ChangeSet.Kind.EDIT, ChangeSet.Kind.STATUS, ChangeSet.Kind.DELETE)
OF_CHANGE = ("segment", *(f"{when}_{name}" for when in ("before", "after") for name in LABELS))  # what a Deed tells
DEPTH = 6  # of undos of undos that are followed to see whether the first still holds

ChangeSets = QuerySet[ChangeSet]


class Page(NamedTuple):
    """Deeds, newest first, and the ids from which the pages beside it go on (0 if there is none)."""

    deeds: list[Deed]
    newer_than: int
    older_than: int

    @property
    def days(self) -> dict[str, list[Deed]]:
        """The deeds by day, which is named as people do."""
        found: dict[str, list[Deed]] = {}
        for deed in self.deeds:
            found.setdefault(_in_words(deed.day), []).append(deed)
        return found


def _in_words(day: date) -> str:
    today = timezone.localdate()
    if day == today:
        return "Today"
    return f"{day:%A}, {day.day} {day:%B}" if day.year == today.year else f"{day.day} {day:%B %Y}"


def page_of(sets: ChangeSets, *, older_than: int = 0, newer_than: int = 0, size: int = PAGE) -> Page:
    """Return a page of `sets`: the newest, or those next to a change set's id."""
    if newer_than:
        found = _told(sets.filter(pk__gt=newer_than).order_by("pk")[: size + 1])
        if len(found) <= size:
            return page_of(sets, size=size)  # the first page, and whole
        found = found[1:]
        return Page(_deeds(found), found[0].pk, found[-1].pk)
    if older_than:
        sets = sets.filter(pk__lt=older_than)
    found = _told(sets.order_by("-pk")[: size + 1])
    more, found = len(found) > size, found[:size]
    return Page(_deeds(found), found[0].pk if older_than and found else 0, found[-1].pk if more else 0)


def _told(some: ChangeSets) -> list[Any]:
    """Return `some` change sets for pages, newest first.

    They are picked before anything is asked of each: PostgreSQL else finds out of all that there are whether they are
    undone, before it takes the first few.
    """
    picked = for_pages(ChangeSet.objects.filter(pk__in=some.values("pk")))
    return list(_with_the_one_change(picked).order_by("-pk"))


def deed_of(pk: int) -> Deed | None:
    """Return one change set as the pages tell of it, if there is one of that number."""
    return next(iter(_deeds(list(_with_the_one_change(for_pages(ChangeSet.objects.filter(pk=pk)))))), None)


class AskedOfEach(Exists):
    """EXISTS that PostgreSQL asks of each row for itself.

    A chain of them it would make one join of all rows with all, as often as the chain is long, where it expects few.
    """

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, Any]:
        """The same within CASE, which no join takes in."""
        sql, parameters = self.as_sql(compiler, connection)
        return f"CASE WHEN {sql} THEN true ELSE false END", parameters


def is_undone(depth: int = DEPTH) -> Exists:
    """Whether a change set is undone: by an undo that is not undone itself, and so on.

    The question within comes first in each: SQLite reads no deeper than 100 parts that are not at their end.
    """
    still = [~is_undone(depth - 1)] if depth else []
    return AskedOfEach(ChangeSet.objects.filter(*still, undoes=OuterRef("pk")).order_by())


def for_pages(sets: ChangeSets) -> Any:
    """Those `sets` with all that a Deed shows, but for the change of those about one segment."""
    counts = ChangeSetChannel.objects.select_related("channel").order_by("channel__position", "channel")
    return (
        sets.select_related("user", "undoes")
        .prefetch_related(Prefetch("channels", counts))
        .annotate(
            is_undone=is_undone(),
            has_undos=Exists(ChangeSet.objects.filter(undoes=OuterRef("pk"))),
            being_undone=Exists(UndoJob.objects.filter(change_set=OuterRef("pk")).exclude(status__in=ENDED)),
            first_there=Exists(Segment.objects.filter(pk=OuterRef("first_pk"))),
        )
    )


def _with_the_one_change(sets: Any) -> Any:
    """Those `sets`; an edit, switch or delete with the values of its only change, as `one_…`, by the same query."""
    return sets.annotate(
        one=FilteredRelation("change", condition=Q(kind__in=OF_ONE)),
        one_there=Exists(Segment.objects.filter(pk=OuterRef("one__segment"))),
        **{f"one_{name}": F(f"one__{name}") for name in OF_CHANGE},
    )


def _deeds(sets: list[Any]) -> list[Deed]:
    return [Deed(each, list(each.channels.all()), _one_change(each)) for each in sets]


def _one_change(change_set: Any) -> Change | None:
    if change_set.one_segment is None:
        return None
    change = Change(**{name: getattr(change_set, f"one_{name}") for name in OF_CHANGE})
    change.there = change_set.one_there  # type: ignore[attr-defined]  # as Deed wants it
    return change


# The export

HEADER = (
    "Change set", "When", "Who", "By", "Kind", "What", "Channel", "Created", "Changed", "Deleted",
    "Unchanged", "Skipped", "Errors", "Kept", "Undoes", "Undone",
)  # fmt: skip
_BATCH = 1_000


def csv_pieces(sets: ChangeSets, zone: tzinfo) -> Iterator[str]:
    """Those `sets` as CSV, newest first, a row for each of their channels; however many there are.

    The times are those of `zone`: when the rows are read, the request and its time zone are over.
    """
    return csv_of(HEADER, _csv_rows(for_pages(sets).order_by("-pk").iterator(chunk_size=_BATCH), zone))


def _csv_rows(sets: Iterable[Any], zone: tzinfo) -> Iterator[list[str]]:
    for each in sets:
        at = timezone.localtime(each.at, zone).isoformat(timespec="seconds")
        about = [at, each.user_name, each.get_via_display(), each.get_kind_display(), each.label]
        end = [str(each.undoes_id or ""), "Yes" if each.is_undone else ""]
        for counts in each.channels.all():
            numbers = (counts.created, counts.updated, counts.deleted, counts.unchanged, counts.skipped, counts.errors)
            texts = [*map(formula_safe, [*about, counts.channel.name])]
            yield [str(each.pk), *texts, *map(str, numbers), str(counts.kept), *end]
