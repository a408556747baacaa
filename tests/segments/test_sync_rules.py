"""What a sync may and may not do to segments: DESIGN section 2, rule by rule."""

import pytest

from channels.models import Channel
from segments import changes
from segments.changes import By, Fetched, Rule
from segments.models import Change, ChangeSet, Segment, Source
from segments.values import SegmentValues

pytestmark = pytest.mark.django_db

ACCOUNT = 7


@pytest.fixture
def email():
    return Channel.objects.get(slug="email")


def klaviyo(name, key, kind="segment", state="", active=True):
    return Fetched(SegmentValues(name, key, f"https://www.klaviyo.com/lists/{key}", active), kind, state)


def sync(channel, *objects, account=ACCOUNT):
    with changes.stage_sync(enumerate(objects, 1)) as staged:
        with changes.plan_sync(staged, channel, account) as plan:
            previewed = [(row.outcome, row.reason) for row in plan.rows()]
        result = changes.apply_sync(staged, channel, account, by=By(), label="Fernhill Coffee")
    assert result.counts == plan.counts
    assert len(previewed) == result.counts.fetched + result.counts.missing
    return result.counts, sorted(previewed), result.change_set


def whole(channel):
    fields = [f.attname for f in Segment._meta.concrete_fields if f.name != "updated_at"]
    rows = Segment.objects.filter(channel=channel).order_by("pk").values_list(*fields)
    return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in rows]


def test_everything_arrives_active_with_its_link_and_badge(email):
    counts, _, change_set = sync(email, klaviyo("VIP", "k1"), klaviyo("News", "k2", "list", "starred"))
    assert (counts.created, counts.fetched) == (2, 2)
    news = Segment.objects.get(klaviyo_id="k2")
    assert (news.active, news.segment_id, news.klaviyo_kind, news.klaviyo_state) == (True, "k2", "list", "starred")
    assert (news.source, news.link) == ("klaviyo", "https://www.klaviyo.com/lists/k2")
    assert change_set.kind == ChangeSet.Kind.SYNC
    email.refresh_from_db()
    assert email.segment_count == 2


def test_a_second_sync_with_nothing_changed_writes_no_segment_and_no_change(email):
    sync(email, klaviyo("VIP", "k1"), klaviyo("News", "k2", "list"))
    before = list(Segment.objects.order_by("pk").values())
    counts, _, _ = sync(email, klaviyo("VIP", "k1"), klaviyo("News", "k2", "list"))
    assert (counts.unchanged, counts.fetched) == (2, 2)
    assert list(Segment.objects.order_by("pk").values()) == before
    assert not Change.objects.exists()


def test_a_name_that_changed_in_klaviyo_follows(email):
    sync(email, klaviyo("VIP", "k1"))
    counts, _, _ = sync(email, klaviyo("VIP gold", "k1"))
    segment = Segment.objects.get()
    assert (counts.updated, segment.name, segment.name_key, segment.synced_name) == (
        1,
        "VIP gold",
        "vip gold",
        "VIP gold",
    )
    assert Change.objects.get().before_name == "VIP"


def test_inactive_segment_is_not_overridden_by_sync(email):
    sync(email, klaviyo("VIP", "k1"))
    changes.set_active(Segment.objects.get(), False, By())
    counts, rows, _ = sync(email, klaviyo("VIP gold", "k1", state="starred"))
    segment = Segment.objects.get()
    assert (counts.protected, rows) == (1, [("protected", "inactive")])
    assert (segment.name, segment.active) == ("VIP", False)
    assert (segment.synced_name, segment.klaviyo_state) == ("VIP gold", "starred")


def test_deleted_segment_returns_and_is_counted_as_returned(email):
    sync(email, klaviyo("VIP", "k1"))
    changes.delete(Segment.objects.get(), By())
    counts, rows, _ = sync(email, klaviyo("VIP", "k1"))
    assert (counts.created, counts.returned, rows) == (1, 1, [("created", "returns")])


def test_an_edited_name_survives_the_sync(email):
    sync(email, klaviyo("VIP", "k1"))
    changes.edit(Segment.objects.get(), SegmentValues("Our VIP", "k1", "https://www.klaviyo.com/lists/k1", True), By())
    counts, rows, _ = sync(email, klaviyo("VIP gold", "k1"))
    assert (counts.protected, rows) == (1, [("protected", "override")])
    assert Segment.objects.get().name == "Our VIP"


def test_an_override_ends_when_klaviyos_value_becomes_ours(email):
    sync(email, klaviyo("VIP", "k1"))
    changes.edit(Segment.objects.get(), SegmentValues("VIP gold", "k1", "https://www.klaviyo.com/lists/k1", True), By())
    counts, _, _ = sync(email, klaviyo("VIP gold", "k1"))
    assert counts.unchanged == 1
    counts, _, _ = sync(email, klaviyo("VIP platinum", "k1"))
    assert (counts.updated, Segment.objects.get().name) == (1, "VIP platinum")


def test_a_segment_with_that_id_is_adopted_keeping_its_values(email):
    changes.add(email, SegmentValues("Our VIP", "k1"), By())
    counts, rows, _ = sync(email, klaviyo("VIP", "k1"))
    segment = Segment.objects.get()
    assert (counts.updated, counts.adopted, rows) == (1, 1, [("updated", "adopted")])
    assert (segment.name, segment.klaviyo_id, segment.link) == ("Our VIP", "k1", "https://www.klaviyo.com/lists/k1")
    assert segment.source == "manual"


def test_an_inactive_segment_is_adopted_and_otherwise_untouched(email):
    changes.add(email, SegmentValues("Our VIP", "k1", active=False), By())
    sync(email, klaviyo("VIP", "k1"))
    segment = Segment.objects.get()
    assert (segment.name, segment.link, segment.active, segment.klaviyo_id) == ("Our VIP", "", False, "k1")


def test_a_segment_of_the_same_name_is_not_adopted(email):
    changes.add(email, SegmentValues("VIP"), By())
    counts, _, _ = sync(email, klaviyo("VIP", "k1"))
    assert (counts.created, Segment.objects.count()) == (1, 2)


def test_a_label_is_not_adopted(email):
    with changes.stage([(2, SegmentValues("VIP", "k1"))], label=True) as staged:
        changes.apply(staged, [email], Rule.UPDATE, kind=ChangeSet.Kind.IMPORT, source=Source.CSV, by=By())
    counts, _, _ = sync(email, klaviyo("VIP", "k1"))
    assert counts.created == 1


def test_what_is_gone_from_klaviyo_is_flagged_once_and_never_deactivated(email):
    sync(email, klaviyo("VIP", "k1"), klaviyo("News", "k2"))
    counts, rows, _ = sync(email, klaviyo("VIP", "k1"))
    gone = Segment.objects.get(klaviyo_id="k2")
    assert (counts.missing, counts.known, ("missing", "") in rows) == (1, 2, True)
    assert (gone.active, gone.missing_since is None) == (True, False)
    counts, _, _ = sync(email, klaviyo("VIP", "k1"))
    assert counts.missing == 0


def test_what_is_back_in_klaviyo_loses_its_flag(email):
    sync(email, klaviyo("VIP", "k1"), klaviyo("News", "k2"))
    sync(email, klaviyo("VIP", "k1"))
    counts, _, _ = sync(email, klaviyo("VIP", "k1"), klaviyo("News", "k2"))
    assert (counts.unchanged, Segment.objects.get(klaviyo_id="k2").missing_since) == (2, None)


def test_an_edited_segment_id_does_not_lose_its_klaviyo_segment(email):
    sync(email, klaviyo("VIP", "k1"))
    changes.edit(Segment.objects.get(), SegmentValues("VIP", "ours", "https://www.klaviyo.com/lists/k1", True), By())
    counts, _, _ = sync(email, klaviyo("VIP gold", "k1"))
    segment = Segment.objects.get()
    assert (counts.updated, segment.name, segment.segment_id) == (1, "VIP gold", "ours")


def test_a_list_and_a_segment_of_one_name_are_two(email):
    counts, _, _ = sync(email, klaviyo("VIP", "k1", "list"), klaviyo("VIP", "k2", "segment"))
    assert counts.created == 2


def test_an_id_that_another_account_has_here_is_an_error_and_the_others_arrive(email):
    sync(email, klaviyo("VIP", "k1"), account=1)
    counts, rows, _ = sync(email, klaviyo("VIP", "k1"), klaviyo("News", "k2"), account=2)
    assert (counts.errors, counts.created) == (1, 1)
    assert ("error", "id_taken") in rows


def test_another_account_is_not_missing_here(email):
    sync(email, klaviyo("VIP", "k1"), account=1)
    counts, _, _ = sync(email, klaviyo("News", "k2"), account=2)
    assert (counts.missing, counts.known) == (0, 0)


def test_a_segment_may_arrive_inactive_and_stays_so(email):
    sync(email, klaviyo("SMS only", "k1", active=False))
    sync(email, klaviyo("SMS only", "k1", active=True))
    assert Segment.objects.get().active is False


def test_what_klaviyo_called_a_segment_comes_back_with_it(email):
    _, _, synced = sync(email, klaviyo("VIP", "k1", state="starred"), klaviyo("News", "k2", "list", "processing"))
    before = whole(email)
    deleted = changes.delete(Segment.objects.get(klaviyo_id="k1"), By())
    changes.undo(deleted, By())
    assert whole(email) == before
    undo = changes.undo(changes.delete_all(email.segments.all(), email, By()), By())
    assert whole(email) == before
    changes.undo(changes.undo(undo, By()), By())
    assert whole(email) == before
    changes.undo(changes.undo(synced, By()), By())
    assert whole(email) == before


def test_undoing_a_sync_puts_everything_back(email):
    changes.add(email, SegmentValues("Our VIP", "k1"), By())
    states, sets = [whole(email)], []
    for objects in ([klaviyo("VIP", "k1"), klaviyo("News", "k2")], [klaviyo("VIP", "k1"), klaviyo("Newsletter", "k2")]):
        sets.append(sync(email, *objects)[2])
        states.append(whole(email))
    undo = changes.undo(sets[1], By())
    assert Segment.objects.get(klaviyo_id="k2").name == "News"
    changes.undo(undo, By())
    assert whole(email) == states[2]
    changes.undo(sets[1], By())
    changes.undo(sets[0], By())
    assert whole(email) == states[0]


def test_an_undone_rename_is_not_made_again_by_the_next_sync(email):
    sync(email, klaviyo("VIP", "k1"))
    changes.undo(sync(email, klaviyo("VIP gold", "k1"))[2], By())
    counts, _, _ = sync(email, klaviyo("VIP gold", "k1"))
    assert (counts.protected, Segment.objects.get().name) == (1, "VIP")


def test_a_guard_that_raises_writes_nothing(email):
    sync(email, klaviyo("VIP", "k1"))
    before = whole(email)

    def guard(plan):
        raise RuntimeError(f"{plan.counts.missing} of {plan.counts.known} would be gone")

    with changes.stage_sync(iter(())) as staged, pytest.raises(RuntimeError, match="1 of 1 would be gone"):
        changes.apply_sync(staged, email, ACCOUNT, by=By(), report=guard)
    assert whole(email) == before


def test_what_klaviyo_has_but_cannot_be_cleaned_is_an_error_and_not_gone(email):
    sync(email, klaviyo("VIP", "k1"), klaviyo("News", "k2", "list"))
    before = whole(email)
    with changes.stage_sync([(1, klaviyo("VIP", "k1"))], unusable=[("list", "k2"), ("segment", "")]) as staged:
        result = changes.apply_sync(staged, email, ACCOUNT, by=By())
    assert (result.counts.errors, result.counts.unchanged, result.counts.missing) == (2, 1, 0)
    assert whole(email) == before
