"""The bell: a person is told how their jobs ended until they have seen it."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels.models import Channel
from imports.models import ImportChannel, ImportJob
from integrations.models import KlaviyoAccount, SyncJob
from jobs import lease
from jobs.models import Job, JobError, Notice, Status
from jobs.runner import perform
from people.models import Person
from segments import changes
from segments.bulk import acting
from segments.models import BulkJob
from segments.undo import undoing
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db

BELL = {"HX-Request": "true"}


@pytest.fixture
def email() -> Channel:
    return Channel.objects.get(slug="email")


def done_by_a_worker() -> None:
    while claimed := lease.claim("worker of the test"):
        perform(claimed)


def ended(job: Job, status: Status = Status.DONE, **values: object) -> Job:
    """Claim `job` and end it, as a pipeline does."""
    assert lease.claim_this(job, job.goal, (Status.WAITING,))
    lease.finish(job, status, **values)
    return job


def told(person: Person) -> list[str]:
    return [str(notice) for notice in Notice.objects.of(person)]


def text(client: Client, path: str = "/notifications/", **headers: str) -> str:
    return " ".join(client.get(path, headers=headers).content.decode().split())


@pytest.fixture
def bulk_job(email: Channel, marketer: Person) -> BulkJob:
    """An action that a worker has done."""
    SegmentFactory(name="VIP")
    job = acting.begin(BulkJob.Action.DEACTIVATE, email, {"q": "vip"}, [], changes.By(marketer))
    done_by_a_worker()
    return job


def test_a_bulk_action_and_its_undo_are_told_with_what_they_did(marketer: Person, bulk_job: BulkJob) -> None:
    bulk_job.refresh_from_db()
    assert told(marketer) == ["Deactivated 1 segment in Email"]
    assert bulk_job.change_set
    undoing.begin(bulk_job.change_set, changes.By(marketer))
    done_by_a_worker()
    assert told(marketer) == ["Undone: Deactivated 1 segment", "Deactivated 1 segment in Email"]


def test_what_changed_nothing_or_failed_says_so(email: Channel, marketer: Person, bulk_job: BulkJob) -> None:
    acting.begin(BulkJob.Action.DEACTIVATE, email, {"q": "vip"}, [], changes.By(marketer))
    done_by_a_worker()
    assert told(marketer)[0] == "Deactivate in Email: Nothing was changed: they are all inactive already."
    job = BulkJob(channel=email, action=BulkJob.Action.DELETE, status=Status.FAILED, message="It failed three times.")
    assert job.said().tone == "r"


@pytest.mark.parametrize(
    ("errors", "words", "tone"),
    [(0, "shop.csv is imported: 3 segments", "g"), (1, "shop.csv is imported: 3 segments, 1 row with errors", "a")],
)
def test_an_import_is_told_in_numbers(email: Channel, marketer: Person, errors: int, words: str, tone: str) -> None:
    job = ImportJob.objects.create(user=marketer, file_name="shop.csv")
    ImportChannel.objects.create(job=job, channel=email, created=2, unchanged=1, errors=errors)
    ended(job)
    notice = Notice.objects.get()
    assert (str(notice), notice.tone, notice.path) == (words, tone, f"/data/imports/{job.pk}/")


def test_a_check_is_told_and_then_the_import_in_its_place(marketer: Person) -> None:
    job = ImportJob.objects.create(user=marketer, file_name="shop.csv", goal=Job.Goal.CHECK)
    ended(job, Status.READY)
    assert told(marketer) == ["shop.csv is checked and ready to import"]
    Notice.objects.of(marketer).read()
    job.transition(Status.WAITING, of=(Status.READY,), goal=Job.Goal.RUN)
    ended(job, Status.FAILED, **job.changes_on_failure(JobError("no_header", "No header.")))
    assert told(marketer) == ["shop.csv was not imported: No header."]
    assert Notice.objects.unread().count() == 1


def test_syncs_are_told_by_their_channel(email: Channel, marketer: Person) -> None:
    account = KlaviyoAccount.objects.create(account_id="XyZ123", name="Fernhill", encrypted_key="not read here")

    def sync(status: Status, **values: object) -> None:
        ended(SyncJob.objects.create(channel=email, account=account, user=marketer), status, **values)

    sync(Status.DONE, created=12, updated=3)
    sync(Status.FAILED, message="Klaviyo was not reachable.")
    sync(Status.NEEDS_ANSWER, message="40 are gone.")
    assert told(marketer) == [
        "Klaviyo sync of Email stopped and asks: 40 are gone.",
        "Klaviyo sync of Email failed: Klaviyo was not reachable.",
        "Klaviyo sync of Email: 12 new, 3 renamed",
    ]


def test_a_job_of_nobody_tells_nobody_and_a_cancelled_one_neither(email: Channel, marketer: Person) -> None:
    ended(ImportJob.objects.create(file_name="nightly.csv"))
    lease.request_cancel(ImportJob.objects.create(file_name="shop.csv", user=marketer))
    assert not Notice.objects.exists()


def test_a_job_that_lost_its_worker_three_times_is_told(marketer: Person) -> None:
    job = ImportJob.objects.create(user=marketer, file_name="shop.csv")
    lease.claim_this(job, job.goal, (Status.WAITING,), attempt=lease.ATTEMPTS)
    reaper = lease.Reaper(after=0)
    reaper.look()
    assert told(marketer)[0].startswith("shop.csv was not imported: It was interrupted")


def test_nothing_is_told_of_an_end_that_was_rolled_back(marketer: Person) -> None:
    job = ImportJob.objects.create(user=marketer, file_name="shop.csv")
    lease.claim_this(job, job.goal, (Status.WAITING,))
    ImportJob.objects.filter(pk=job.pk).update(lease_token=uuid4())
    with pytest.raises(lease.LeaseLost), transaction.atomic():
        lease.finish(job, Status.DONE)
    assert not Notice.objects.exists()


def test_the_bell_counts_what_is_unread_and_shows_it_to_its_person_alone(
    as_marketer: Client, as_admin: Client, bulk_job: BulkJob
) -> None:
    assert "Notifications, 1 unread" in text(as_marketer, "/")
    assert "unread" not in text(as_admin, "/")
    menu = text(as_marketer, **BELL)
    assert "<html" not in menu
    assert '<b dir="auto">Deactivated 1 segment</b> in Email<span class="vh"> (unread)</span>' in menu
    assert "Nothing yet" in text(as_admin, **BELL)
    assert Notice.objects.unread().count() == 1  # opening the bell reads nothing yet


def test_it_is_read_once_the_page_of_the_job_was_seen(as_marketer: Client, as_admin: Client, bulk_job: BulkJob) -> None:
    page = bulk_job.get_absolute_url()
    text(as_admin, page)
    assert Notice.objects.unread().exists()
    assert "unread" not in text(as_marketer, page)
    assert "unread" not in text(as_marketer)
    assert "Deactivated 1 segment" in text(as_marketer)


def test_all_are_marked_as_read(as_marketer: Client, bulk_job: BulkJob) -> None:
    assert as_marketer.post("/notifications/read/")["Location"] == "/notifications/"
    assert not Notice.objects.unread().exists()
    Notice.objects.update(seen_at=None)
    menu = as_marketer.post("/notifications/read/", headers=BELL).content.decode()
    assert 'id="bell-count" hx-swap-oob="true"' in menu
    assert "unread" not in menu


def test_old_notices_are_forgotten_and_those_of_a_person_who_goes(marketer: Person, bulk_job: BulkJob) -> None:
    Notice.objects.update(at=timezone.now() - Notice.KEPT + timedelta(hours=1))
    Notice.forget_old()
    assert Notice.objects.exists()
    Notice.objects.update(at=timezone.now() - Notice.KEPT)
    Notice.forget_old()
    assert not Notice.objects.exists()


def test_hostile_text_of_a_notice_is_text(as_marketer: Client, marketer: Person) -> None:
    ended(ImportJob.objects.create(user=marketer, file_name="<b>x</b>.csv"))
    assert "&lt;b&gt;x&lt;/b&gt;.csv" in text(as_marketer)


def test_the_number_costs_a_page_no_query(as_marketer: Client, bulk_job: BulkJob) -> None:
    with CaptureQueriesContext(connection) as queries:
        as_marketer.get("/notifications/")
    assert len(queries) == 4  # the session, the person with role and number, the notices, the channels
