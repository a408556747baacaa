"""Forms of a sync that are sent twice, by a double click or by going back: one change, and no word of a fault."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from channels.models import Channel
from integrations.models import KlaviyoAccount, SyncJob
from jobs.models import Status
from segments import changes
from segments.models import ChangeSet, Segment
from segments.values import SegmentValues
from tests.klaviyo.fake import FakeKlaviyo

pytestmark = pytest.mark.django_db(transaction=True)

TAB = "/channels/email/segments/"
BEGIN = f"{TAB}sync/"
Sync = Callable[..., SyncJob]


def text_of(response: Any) -> str:
    return " ".join(response.content.decode().split())


def forms_of(page: Any, action: str) -> list[str]:
    """Return the forms of a page that are sent to `action`."""
    return [
        form
        for form in re.findall(r"<form.*?</form>", page.content.decode(), re.DOTALL)
        if f'action="{action}"' in form
    ]


def token_in(form: str) -> dict[str, str]:
    """Return the one-time token of a form, as a browser would send it."""
    found = re.search(r'name="form_token" value="([0-9a-f-]{36})" autocomplete="off"', form)
    assert found, form
    return {"form_token": found[1]}


@pytest.fixture
def done(sync: Sync, klaviyo: FakeKlaviyo) -> SyncJob:
    """A sync of Email that is through."""
    klaviyo.add_many(3, 0)
    return sync()


@pytest.mark.parametrize("path", [BEGIN, f"{BEGIN}preview/"])
def test_one_form_starts_one_sync_also_after_that_has_ended(
    as_marketer: Client, account: KlaviyoAccount, work: Callable[[], int], path: str
) -> None:
    page = as_marketer.get(TAB if path == BEGIN else path)
    sent = token_in(forms_of(page, path)[0])
    for _ in range(2):
        assert as_marketer.post(path, sent).status_code == 302
        work()
    assert SyncJob.objects.count() == 1
    as_marketer.post(path, token_in(forms_of(as_marketer.get(TAB), BEGIN)[0]))
    assert SyncJob.objects.count() == 2


def test_every_form_that_starts_a_sync_has_a_token(
    as_marketer: Client, klaviyo: FakeKlaviyo, done: SyncJob, sync: Sync
) -> None:
    klaviyo.allow()
    failed = sync()
    klaviyo.behave()
    klaviyo.allow("accounts:read", "lists:read", "segments:read")
    preview = sync(goal="check")
    for job in (failed, preview):
        assert token_in(forms_of(as_marketer.get(job.get_absolute_url()), BEGIN)[0])
    assert token_in(forms_of(as_marketer.get("/channels/sms/segments/"), "/channels/sms/segments/sync/")[0])


@pytest.mark.parametrize("token", ["", "nonsense", "0"])
def test_a_client_without_a_token_starts_a_sync_too(as_marketer: Client, account: KlaviyoAccount, token: str) -> None:
    as_marketer.post(BEGIN, {"form_token": token})
    assert SyncJob.objects.count() == 1


def test_the_token_of_another_channels_sync_starts_nothing(
    as_marketer: Client, account: KlaviyoAccount, done: SyncJob
) -> None:
    answer = as_marketer.post("/channels/sms/segments/sync/", {"form_token": str(done.pk)})
    assert answer.status_code == 302
    assert SyncJob.objects.count() == 1


def test_stopping_twice_is_stopping_once(as_marketer: Client, account: KlaviyoAccount) -> None:
    as_marketer.post(BEGIN)
    job = SyncJob.objects.get()
    for _ in range(2):
        shown = text_of(as_marketer.post(f"{BEGIN}{job.pk}/stop/", follow=True))
        assert "Stopped. None of your segments were changed." in shown
        assert "too late" not in shown


def test_stopping_what_is_done_says_that_it_can_be_undone(as_marketer: Client, done: SyncJob) -> None:
    assert "You can undo it instead." in text_of(as_marketer.post(f"{BEGIN}{done.pk}/stop/", follow=True))


@pytest.mark.parametrize("meanwhile", [False, True])
def test_an_answer_sent_twice_is_one_answer(
    as_marketer: Client,
    as_admin: Client,
    klaviyo: FakeKlaviyo,
    done: SyncJob,
    sync: Sync,
    work: Callable[[], int],
    meanwhile: bool,
) -> None:
    klaviyo.remove("S00000")
    klaviyo.remove("S00001")
    job = sync()
    assert job.status == Status.NEEDS_ANSWER
    path = f"{BEGIN}{job.pk}/answer/"
    as_marketer.post(path, {"sure": "on"})
    if meanwhile:
        assert work() == 1
    shown = text_of(as_marketer.post(path, {"sure": "on"}, follow=True))
    assert "answered meanwhile" not in shown
    assert "Tick the box" not in shown
    assert "answered meanwhile" in text_of(as_admin.post(path, {"sure": "on"}, follow=True))
    assert work() == (0 if meanwhile else 1)
    assert ChangeSet.objects.count() == 2


def test_link_to_this_sent_twice_links_once(
    as_marketer: Client, klaviyo: FakeKlaviyo, email: Channel, sync: Sync
) -> None:
    changes.add(email, SegmentValues("VIP"), changes.By())
    klaviyo.add_segment("Vip123", "VIP")
    job = sync(goal="check")
    path = f"{BEGIN}{job.pk}/link/{job.lines.get().pk}/"
    sent = token_in(forms_of(as_marketer.get(job.get_absolute_url()), path)[0])
    assert "is linked" in text_of(as_marketer.post(path, sent, follow=True))
    assert "without an ID here any more" not in text_of(as_marketer.post(path, sent, follow=True))
    assert Segment.objects.get().segment_id == "Vip123"
    assert ChangeSet.objects.count() == 2


def test_use_klaviyos_value_sent_again_leaves_a_later_edit_alone(as_marketer: Client, done: SyncJob) -> None:
    segment = Segment.objects.get(segment_id="S00000")
    path = f"{TAB}{segment.pk}/klaviyo/"

    def rename(name: str) -> None:
        segment.refresh_from_db()
        changes.edit(segment, SegmentValues(name, "S00000", segment.link, True), changes.By())

    rename("Ours")
    sent = {"field": "name", **token_in(forms_of(as_marketer.get(segment.get_absolute_url()), path)[0])}
    as_marketer.post(path, sent)
    segment.refresh_from_db()
    assert segment.name == "Segment 0"
    rename("Ours again")
    as_marketer.post(path, sent)
    segment.refresh_from_db()
    assert segment.name == "Ours again"
    as_marketer.post(path, sent | {"form_token": str(uuid4())})
    segment.refresh_from_db()
    assert segment.name == "Segment 0"


# What stands above the table, and in the head


def test_a_result_can_be_hidden_by_each_for_themselves(as_marketer: Client, as_viewer: Client, done: SyncJob) -> None:
    assert "Hide this summary" in text_of(as_viewer.get(TAB))
    as_viewer.post(f"{BEGIN}{done.pk}/hide/")
    assert "is up to date with Klaviyo" not in text_of(as_viewer.get(TAB))
    assert "is up to date with Klaviyo" in text_of(as_marketer.get(TAB))


def test_the_next_result_is_shown_again_and_a_failure_cannot_be_hidden(
    as_viewer: Client, klaviyo: FakeKlaviyo, done: SyncJob, sync: Sync
) -> None:
    as_viewer.post(f"{BEGIN}{done.pk}/hide/")
    again = sync()
    assert "is up to date with Klaviyo" in text_of(as_viewer.get(TAB))
    klaviyo.allow()
    failed = sync()
    for job in (again, failed):
        as_viewer.post(f"{BEGIN}{job.pk}/hide/")
    shown = text_of(as_viewer.get(TAB))
    assert "didn&#x27;t accept our key" in shown or "didn't accept our key" in shown


def test_the_head_of_the_channel_names_the_account_and_the_last_sync(
    as_viewer: Client, as_marketer: Client, done: SyncJob, work: Callable[[], int]
) -> None:
    assert re.search(r"<bdi>Fernhill</bdi>, last synced <time [^>]*>just now</time></a>", text_of(as_viewer.get(TAB)))
    as_marketer.post(BEGIN)
    work()
    shown = text_of(as_viewer.get(TAB))
    assert "just now</time> by Marketer Person</a>" in shown
    assert "last synced" not in text_of(as_viewer.get("/channels/sms/segments/"))
