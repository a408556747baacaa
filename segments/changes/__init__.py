"""The one writer: every change of segments, whichever door it came in by.

Many rows go stage -> plan -> apply; a preview is a plan without an apply, so it cannot lie. One
segment of a form goes through `edit`. Each change is a ChangeSet and can be undone.
"""

from segments.changes.apply import Result, apply
from segments.changes.bulk import How, LeftOut, MoreThanTold, add_to, adding_to, delete_all, left_out, set_active_all
from segments.changes.edit import EditedMeanwhile, IdentityTaken, add, delete, edit, set_active
from segments.changes.lock import ChannelBusy
from segments.changes.plan import Counts, Plan, PlannedRow, Rule, plan
from segments.changes.sets import AlreadyDone, By
from segments.changes.stage import Staged, stage
from segments.changes.sync import Fetched, SyncCounts, SyncPlan, SyncResult, SyncRow, apply_sync, plan_sync, stage_sync
from segments.changes.undo import undo
from segments.changes.undo_plan import UndoPlan, UndoRow, undo_plan

__all__ = [
    "AlreadyDone",
    "By",
    "ChannelBusy",
    "Counts",
    "EditedMeanwhile",
    "Fetched",
    "How",
    "IdentityTaken",
    "LeftOut",
    "MoreThanTold",
    "Plan",
    "PlannedRow",
    "Result",
    "Rule",
    "Staged",
    "SyncCounts",
    "SyncPlan",
    "SyncResult",
    "SyncRow",
    "UndoPlan",
    "UndoRow",
    "add",
    "add_to",
    "adding_to",
    "apply",
    "apply_sync",
    "delete",
    "delete_all",
    "edit",
    "left_out",
    "plan",
    "plan_sync",
    "set_active",
    "set_active_all",
    "stage",
    "stage_sync",
    "undo",
    "undo_plan",
]
