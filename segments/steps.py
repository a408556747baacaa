"""How far a change of very many segments is, which a job makes in a few steps, each of them on all its segments.

Goes in: such a job. Comes out: what it calls after each step, and, for its page, which step it is at. The database
does a step as one statement, so nobody knows how far it is within one. Must not know: requests, what a step does.

A job's `progress` is the share of its `total` segments that the steps done are of all steps. On SQLite nobody can
write it before the change is whole: there it stays 0, and no step is told.
"""

from collections.abc import Callable
from dataclasses import dataclass

from channels.models import Channel
from jobs.models import LIVE, WRITING
from segments.models import BulkJob, UndoJob

FINDING = "finding the segments"
RECORDING = "recording what they are, for an undo"


@dataclass(frozen=True)
class Step:
    """A step that a job is at: its `number`, from 1, of `of`, and its name. `percent` of all steps are done."""

    number: int
    of: int
    name: str

    @property
    def percent(self) -> int:
        """The share of the steps that are done."""
        return (self.number - 1) * 100 // self.of


def steps_of(job: BulkJob | UndoJob) -> list[str]:
    """Return what `job` does in turn: after each of them segments.changes calls `passed`."""
    if isinstance(job, UndoJob):
        return ["finding what nobody touched since", RECORDING, "removing what was added", "bringing back what was"]
    if job.action == BulkJob.Action.ADD:
        into = [str(channel) for channel in Channel.objects.filter(pk__in=job.targets).order_by("pk")]
        return [FINDING, *(f"{verb} {name}" for name in into for verb in ("comparing with", "adding to"))]
    return [FINDING, RECORDING, "deleting them" if job.action == BulkJob.Action.DELETE else "switching them"]


def beating(job: BulkJob | UndoJob, total: int) -> Callable[[], None]:
    """Return what to call after each step of `job`, whose segments are `total`; it raises jobs.lease.Stopped."""
    of, done = len(steps_of(job)), 0

    def passed() -> None:
        nonlocal done
        done += 1
        job.beat(total * done // of, total, WRITING)

    return passed


def step(job: BulkJob | UndoJob) -> Step | None:
    """Return the step that `job` is at; None if it is at none, or nobody can know."""
    if job.status not in LIVE or job.step != WRITING or not job.progress:
        return None
    names = steps_of(job)
    done = min(-(-job.progress * len(names) // job.total), len(names) - 1)  # rounded up, as `progress` is down
    return Step(done + 1, len(names), names[done])
