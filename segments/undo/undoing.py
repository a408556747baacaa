"""Undoing a change set of very many segments: a job for a worker, not for the web request that asks for it.

Goes in: a change set, and who wants it undone. Comes out: one UndoJob however often that is asked, and, once a
worker has done it, the undo's change set. The undo itself is segments.changes; the job ends in its transaction.
Must not know: requests.
"""

from django.db import IntegrityError, transaction

from jobs.lease import finish
from jobs.models import ENDED, Job, Status
from jobs.quota import may_wait
from segments import changes
from segments.models import ChangeSet, UndoJob
from segments.steps import beating

IN_REQUEST = 20_000  # segments; many more would hold a web process, and its user, for seconds
NOTHING_LEFT = "Nothing was undone: what it changed has been changed again since."


def begin(change_set: ChangeSet, by: changes.By) -> UndoJob:
    """Return the job that undoes `change_set`: a new one, or that of this very form, or the one under way.

    Raises TooMuch.
    """
    may_wait(by.user)
    try:
        with transaction.atomic():
            return UndoJob.objects.create(change_set=change_set, user=by.user, via=by.via, form_token=by.form_token)
    except IntegrityError:
        of_this_form = UndoJob.objects.filter(form_token=by.form_token) if by.form_token else UndoJob.objects.none()
        return of_this_form.first() or change_set.undo_jobs.latest("created_at")


def latest(change_set: ChangeSet) -> UndoJob | None:
    """The newest job that undoes `change_set`, if there was any."""
    return change_set.undo_jobs.select_related("undo").order_by("-created_at").first()


def is_under_way(change_set: ChangeSet) -> bool:
    """Whether a worker undoes `change_set`, or is about to."""
    return change_set.undo_jobs.exclude(status__in=ENDED).exists()


def run(job: Job) -> None:
    """Undo the change set of `job`, and end the job in the same transaction."""
    if not isinstance(job, UndoJob):
        raise TypeError(f"{job!r} is no undo")
    total = job.change_set.touched()
    job.beat(0, total, "matching")
    job.begin_writing()

    def end(undone: ChangeSet | None) -> None:
        message = "" if undone else NOTHING_LEFT
        finish(job, Status.DONE, undo=undone, progress=total, total=total, message=message)

    by = changes.By(job.user, ChangeSet.Via(job.via), form_token=job.form_token)
    changes.undo(job.change_set, by, wait=None, finish=end, passed=beating(job, total))
