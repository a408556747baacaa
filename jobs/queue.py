"""How the queue stands, whoever asks: monitoring, and the doctor.

Goes in: nothing. Comes out: for each kind of job how many there are in each status, and since when the oldest waits;
in as many queries as there are kinds. Must not know: what a kind does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Min
from django.db.models.functions import Coalesce, Greatest

from jobs.lease import kinds
from jobs.models import Status


@dataclass(frozen=True)
class Standing:
    """The jobs of one kind."""

    kind: str
    jobs: dict[str, int]  # by status; every status is there
    waiting_since: datetime | None  # of the oldest that waits

    @property
    def waiting(self) -> int:
        """How many wait for a worker."""
        return self.jobs[Status.WAITING]


def standings() -> list[Standing]:
    """Return how each kind of job stands.

    A row does not say when it was put into the queue. It waits since it was made, or since it was last begun, if that
    is later: a file may lie there for a day before somebody has matched its columns.
    """
    found = []
    for kind in kinds():
        since = Greatest(F("created_at"), Coalesce(F("started_at"), F("created_at")))
        rows = kind._default_manager.order_by().values_list("status").annotate(number=Count("pk"), since=Min(since))
        counted = {status: (number, oldest) for status, number, oldest in rows}
        found.append(
            Standing(
                kind=str(kind._meta.model_name).removesuffix("job"),
                jobs={status.value: counted.get(status.value, (0, None))[0] for status in Status},
                waiting_since=counted.get(Status.WAITING.value, (0, None))[1],
            )
        )
    return found


def waiting_since(found: Iterable[Standing]) -> datetime | None:
    """Return since when the oldest waiting job of all kinds waits."""
    return min((each.waiting_since for each in found if each.waiting_since), default=None)
