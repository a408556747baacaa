"""manage.py undo_change ID [--dry-run] [--json]"""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from segments import changes
from segments.models import ChangeSet

NAMED = 1_000  # of the segments kept, in JSON


class Command(BaseCommand):
    """Takes a change set back: an import, an edit, an undo."""

    requires_system_checks = []  # accessaudience.prepare checks; they load every page, for 0.4 s
    help = "Undo a change of segments: remove what it created, restore what it changed, keep what was changed since."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the number of a change set."""
        parser.add_argument("change_set", type=int, metavar="ID", help="the number of the change set")
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, change_set: int, dry_run: bool, json: bool, **options: Any) -> None:
        """Undo it; exit status 1 and a sentence on standard error if that cannot be done."""
        wanted = ChangeSet.objects.filter(pk=change_set).first()
        if not wanted:
            raise CommandError(f"There is no change set {change_set}.")
        result = self._plan(wanted) if dry_run else self._undo(wanted)
        self.stdout.write(as_json(result) if json else in_words(result))

    def _plan(self, wanted: ChangeSet) -> dict[str, Any]:
        with changes.undo_plan(wanted) as plan:
            return planned(plan)

    def _undo(self, wanted: ChangeSet) -> dict[str, Any]:
        """Undo it, and report the plan that was carried out."""
        done: dict[str, Any] = {}
        by = changes.By(via=ChangeSet.Via.COMMAND)
        try:
            undone = changes.undo(wanted, by, wait=None, report=lambda plan: done.update(planned(plan)))
        except (changes.ChannelBusy, OperationalError) as error:
            raise CommandError(f"Nothing was undone: the database is busy ({error}). Try again later.") from error
        return done | {"undo": undone and undone.pk}


def planned(plan: changes.UndoPlan) -> dict[str, Any]:
    """What an undo does, in numbers, and the names of those that it keeps."""
    kept = [
        {"name": row.now.name, "segment_id": row.now.segment_id, "reason": row.reason}
        for row in plan.names("kept", limit=NAMED)
    ]
    return {
        "change_set": plan.change_set.pk,
        "undo": None,
        "removed": plan.removed,
        "restored": plan.restored,
        "kept": plan.kept,
        "kept_segments": kept,
    }


def as_json(result: dict[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(result, ensure_ascii=False)


def in_words(result: dict[str, Any]) -> str:
    """What was done, in a sentence or two."""
    counts = f"removed {result['removed']:,}, restored {result['restored']:,}, kept {result['kept']:,}"
    if result["undo"]:
        return f"Change set {result['change_set']} is undone: {counts}. Undo this with: undo_change {result['undo']}"
    if result["removed"] or result["restored"]:
        return f"Undoing change set {result['change_set']} would have {counts}. Nothing was changed."
    return f"Change set {result['change_set']} has nothing left to undo ({result['kept']:,} kept). Nothing was changed."
