"""One segment changed by a person: what is written, what is refused, and what a second submit does."""

import threading
import uuid

import pytest
from django.db import connection

from channels.models import Channel
from segments import changes
from segments.changes import By
from segments.changes.lock import locked
from segments.models import Change, ChangeSet, Segment, Source
from segments.values import SegmentValues

pytestmark = pytest.mark.django_db


@pytest.fixture
def email():
    return Channel.objects.get(slug="email")


@pytest.fixture
def vip(email):
    return changes.add(email, SegmentValues("VIP", "v-1", "https://example.com/1", True), By())


def test_adding_writes_one_change_set_and_counts_the_segment(email):
    segment = changes.add(email, SegmentValues("VIP"), By())
    email.refresh_from_db()
    assert (segment.active, segment.source, email.segment_count) == (True, "manual", 1)
    assert segment.created_in == segment.last_change == ChangeSet.objects.get()


def test_adding_an_id_twice_is_refused_and_names_the_segment_that_has_it(email, vip):
    with pytest.raises(changes.IdentityTaken) as refused:
        changes.add(email, SegmentValues("Other", "v-1"), By())
    assert refused.value.existing == vip
    assert ChangeSet.objects.count() == 1


def test_the_same_id_in_another_channel_is_another_segment(vip):
    sms = Channel.objects.get(slug="sms")
    assert changes.add(sms, SegmentValues("VIP", "v-1"), By()).pk != vip.pk


def test_an_edit_keeps_before_and_after(vip):
    change_set = changes.edit(vip, SegmentValues("VIP gold", "v-1", "", False), By())
    change = Change.objects.get(change_set=change_set)
    assert (change.before_name, change.before_link, change.before_active) == ("VIP", "https://example.com/1", True)
    assert (change.after_name, change.after_link, change.after_active) == ("VIP gold", "", False)


def test_an_edit_that_changes_nothing_writes_nothing(vip):
    assert changes.edit(vip, SegmentValues("VIP", "v-1", "https://example.com/1", True), By()) is None
    assert ChangeSet.objects.count() == 1


def test_clearing_the_id_makes_the_name_the_identity(vip):
    changes.edit(vip, SegmentValues("VIP", "", "", True), By())
    vip.refresh_from_db()
    assert (vip.segment_id, bytes(vip.identity_key[:1])) == ("", b"n")


def test_clearing_the_id_of_a_klaviyo_segment_puts_the_klaviyo_id_back(vip):
    Segment.objects.update(klaviyo_id="k-1", klaviyo_account=1, klaviyo_kind="list")
    changes.edit(vip, SegmentValues("VIP", "", "", True), By())
    vip.refresh_from_db()
    assert vip.segment_id == "k-1"


def test_a_label_stays_a_label_until_it_is_changed(email):
    with changes.stage([(2, SegmentValues("VIP", "spring"))], label=True) as staged:
        changes.apply(staged, [email], changes.Rule.UPDATE, kind=ChangeSet.Kind.IMPORT, source=Source.CSV, by=By())
    segment = Segment.objects.get()
    assert segment.has_label
    changes.edit(segment, SegmentValues("VIP gold", "spring", "", True), By())
    segment.refresh_from_db()
    assert segment.has_label
    changes.edit(segment, SegmentValues("VIP gold", "autumn", "", True), By())
    segment.refresh_from_db()
    assert not segment.has_label


def test_an_edit_of_what_somebody_changed_meanwhile_is_refused(vip):
    seen = vip.last_change_id
    changes.set_active(vip, False, By())
    with pytest.raises(changes.EditedMeanwhile) as refused:
        changes.edit(vip, SegmentValues("VIP gold", "v-1"), By(), expected_change=seen)
    assert refused.value.segment.active is False
    vip.refresh_from_db()
    assert vip.name == "VIP"


def test_an_edit_of_what_somebody_deleted_meanwhile_is_refused(vip):
    changes.delete(vip, By())
    with pytest.raises(changes.EditedMeanwhile) as refused:
        changes.set_active(vip, False, By())
    assert refused.value.segment is None


def test_a_form_sent_again_does_nothing_again(email):
    token = uuid.uuid4()
    changes.add(email, SegmentValues("VIP"), By(form_token=token))
    with pytest.raises(changes.AlreadyDone) as refused:
        changes.add(email, SegmentValues("VIP"), By(form_token=token))
    assert refused.value.change_set == ChangeSet.objects.get()


def test_a_deleted_segment_comes_back_whole(email, vip):
    Segment.objects.update(klaviyo_id="k-1", klaviyo_account=1, klaviyo_kind="list", synced_name="VIP in Klaviyo")
    fields = [field.attname for field in Segment._meta.concrete_fields if field.name != "updated_at"]
    before = Segment.objects.values(*fields).get()
    changes.undo(changes.delete(vip, By()), By())
    assert Segment.objects.values(*fields).get() == before
    email.refresh_from_db()
    assert email.segment_count == 1


@pytest.mark.django_db(transaction=True)
def test_twenty_people_adding_one_id_at_once_make_one_segment():
    email = Channel.objects.create(name="Race", slug="race")
    outcomes = []

    def add(token=None):
        try:
            changes.add(email, SegmentValues("VIP", "v-1"), By(form_token=token))
            outcomes.append("added")
        except (changes.IdentityTaken, changes.AlreadyDone, changes.ChannelBusy) as error:
            outcomes.append(type(error).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=add, args=(token,)) for token in [None] * 10 + [uuid.uuid4()] * 10]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("added") == 1
    assert Segment.objects.filter(channel=email).count() == 1
    email.refresh_from_db()
    assert email.segment_count == 1


@pytest.mark.django_db(transaction=True)
def test_a_person_is_told_when_an_import_holds_the_channel():
    email = Channel.objects.create(name="Busy", slug="busy")
    held, tried = threading.Event(), threading.Event()

    def hold():
        with locked([email]):
            held.set()
            tried.wait(30)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    try:
        who = "Something else" if connection.vendor == "sqlite" else "An import"  # SQLite's one lock says not more
        with pytest.raises(changes.ChannelBusy, match=f"{who} is being written here; try again in a moment."):
            changes.add(email, SegmentValues("VIP"), By())
    finally:
        tried.set()
        holder.join()
    assert not Segment.objects.filter(channel=email).exists()
