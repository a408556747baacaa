"""The one writer: every change of segments, whichever door it came in by.

Many rows go stage -> plan -> apply; a preview is a plan without an apply, so it cannot lie. One
segment of a form goes through `edit`. Each change is a ChangeSet and can be undone.
"""

from segments.changes.apply import Result, apply
from segments.changes.edit import EditedMeanwhile, IdentityTaken, add, delete, edit, set_active
from segments.changes.lock import ChannelBusy
from segments.changes.plan import Counts, Plan, PlannedRow, Rule, plan
from segments.changes.sets import AlreadyDone, By
from segments.changes.stage import Staged, stage
from segments.changes.undo import UndoPlan, UndoRow, can_undo, undo, undo_plan

__all__ = [
    "AlreadyDone",
    "By",
    "ChannelBusy",
    "Counts",
    "EditedMeanwhile",
    "IdentityTaken",
    "Plan",
    "PlannedRow",
    "Result",
    "Rule",
    "Staged",
    "UndoPlan",
    "UndoRow",
    "add",
    "apply",
    "can_undo",
    "delete",
    "edit",
    "plan",
    "set_active",
    "stage",
    "undo",
    "undo_plan",
]
