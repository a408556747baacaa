"""Many segments changed at once: switched, deleted, added to other channels; each one change, and undone as one."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from channels.models import Channel
from segments import changes
from segments.changes import By
from segments.models import Change, ChangeSet, Segment
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db

SEEN = ("id", "name", "segment_id", "link", "active", "identity_key", "klaviyo_id", "missing_since", "created_in_id")


@pytest.fixture
def email() -> Channel:
    return Channel.objects.get(slug="email")


@pytest.fixture
def sms() -> Channel:
    return Channel.objects.get(slug="sms")


def seen(channel: Channel) -> list[tuple[Any, ...]]:
    """All that a person, a sync or an import sees of the channel's segments."""
    rows = channel.segments.order_by("id").values_list(*SEEN)
    return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in rows]


def counts(change_set: ChangeSet | None) -> dict[str, int]:
    assert change_set
    [found] = change_set.channels.values("created", "updated", "deleted", "skipped", "kept")
    return {name: number for name, number in found.items() if number}


@pytest.fixture
def segments(email: Channel) -> list[Segment]:
    made = [SegmentFactory(name=f"VIP {n}", segment_id=f"v-{n}", active=n % 3 != 0) for n in range(6)]
    made.append(SegmentFactory(name="Labelled", segment_id="label", is_label=True))
    made.append(
        SegmentFactory(name="From Klaviyo", segment_id="kx", klaviyo_id="kx", klaviyo_account=1, klaviyo_kind="list")
    )
    made.append(SegmentFactory(name="Nameless ID", link="https://example.com/1"))
    return made


def test_only_those_that_differ_are_switched(email: Channel, segments: list[Segment]) -> None:
    before = seen(email)
    done = changes.set_active_all(email.segments.search("vip"), email, False, By())
    assert counts(done) == {"updated": 4}
    assert done
    assert done.label == "Deactivated 4 segments"
    assert not email.segments.search("vip").filter(active=True).exists()
    assert email.segments.filter(active=True).count() == 3
    assert Change.objects.filter(change_set=done, before_active=True, after_active=False).count() == 4
    assert counts(changes.undo(done, By())) == {"updated": 4}
    assert seen(email) == before


def test_nothing_to_switch_is_no_change(email: Channel, segments: list[Segment]) -> None:
    sets = ChangeSet.objects.count()
    assert changes.set_active_all(email.segments.filter(active=True), email, True, By()) is None
    assert ChangeSet.objects.count() == sets


def test_all_that_were_deleted_come_back_as_they_were(email: Channel, segments: list[Segment]) -> None:
    before = seen(email)
    done = changes.delete_all(email.segments.all(), email, By())
    assert counts(done) == {"deleted": 9}
    assert not email.segments.exists()
    email.refresh_from_db()
    assert email.segment_count == 0
    assert done
    undone = changes.undo(done, By())
    assert seen(email) == before
    assert undone
    assert counts(changes.undo(undone, By())) == {"deleted": 9}
    assert not email.segments.exists()


def test_an_undo_keeps_what_was_changed_since(email: Channel, segments: list[Segment]) -> None:
    done = changes.set_active_all(email.segments.filter(pk__in=[segments[1].pk, segments[2].pk]), email, False, By())
    segments[1].refresh_from_db()
    changes.set_active(segments[1], True, By())
    assert done
    assert counts(changes.undo(done, By())) == {"updated": 1, "kept": 1}


def test_adding_says_first_what_is_already_there(email: Channel, sms: Channel, segments: list[Segment]) -> None:
    SegmentFactory(channel=sms, name="Other name", segment_id="v-1")
    SegmentFactory(channel=sms, name="nameless id")
    chosen = email.segments.all()
    would = changes.adding_to(chosen, [sms])[sms.pk]
    assert (would.created, would.skipped, would.errors) == (7, 2, 0)
    before = seen(sms)
    done = changes.add_to(chosen, [sms], By())
    assert counts(done) == {"created": 7, "skipped": 2}
    assert done
    assert done.label == "Added 7 segments to SMS"
    assert sms.segments.get(segment_id="v-1").name == "Other name"
    label = sms.segments.get(name="Labelled")
    assert label.has_label
    assert not sms.segments.get(name="VIP 0").active
    assert sms.segments.get(name="From Klaviyo").klaviyo_id is None
    assert label.created_line is None
    changes.undo(done, By())
    assert seen(sms) == before


def test_adding_twice_adds_nothing(email: Channel, sms: Channel, segments: list[Segment]) -> None:
    meta = Channel.objects.get(slug="meta")
    changes.add_to(email.segments.all(), [sms, meta], By())
    sets = ChangeSet.objects.count()
    assert changes.add_to(email.segments.all(), [sms, meta], By()) is None
    assert ChangeSet.objects.count() == sets
    assert email.segments.count() == sms.segments.count() == meta.segments.count()


def test_a_form_sent_twice_acts_once(email: Channel, segments: list[Segment]) -> None:
    token = uuid4()
    changes.delete_all(email.segments.filter(name="VIP 1"), email, By(form_token=token))
    with pytest.raises(changes.AlreadyDone):
        changes.delete_all(email.segments.all(), email, By(form_token=token))
    assert email.segments.count() == 8


def test_what_fails_at_the_end_leaves_everything_as_it_was(email: Channel, segments: list[Segment]) -> None:
    before = seen(email)
    for action in (
        changes.delete_all,
        lambda *args, **given: changes.set_active_all(*args[:2], False, *args[2:], **given),
    ):
        with pytest.raises(ZeroDivisionError):
            action(email.segments.all(), email, By(), how=changes.How(finish=lambda _done: 1 / 0))  # type: ignore[operator]
        assert seen(email) == before
        assert Change.objects.count() == 0


def test_the_number_of_statements_does_not_grow_with_the_segments(email: Channel) -> None:
    numbers = []
    for _ in range(2):
        for _ in range(20):
            SegmentFactory()
        with CaptureQueriesContext(connection) as queries:
            changes.set_active_all(email.segments.filter(active=True), email, False, By())
        numbers.append(len(queries))
    assert numbers[0] == numbers[1]
