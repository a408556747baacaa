"""The writer against RULES.md "Matching": a small oracle in plain Python, and random channels and files."""

import random
from dataclasses import dataclass
from importlib import import_module

import pytest
from django.db import connection

from channels.models import Channel
from people.models import Person
from segments import changes
from segments.changes import By, Rule
from segments.models import Change, ChangeSet, Segment, Source
from segments.values import SegmentValues, fold, folded_key, identity_key

pytestmark = pytest.mark.django_db

NAMES = ("VIP", "vip", "Lapsed", "New", "É")
IDS = ("", "a", "b", "c", "A")


@pytest.fixture
def email():
    return Channel.objects.get(slug="email")


def run(rows, channel, rule=Rule.UPDATE, *, label=False, by=None, finish=None):
    """Import `rows` of (line, values) and return the result, its left-out rows on it."""
    left_out = []
    with changes.stage(iter(rows), label=label) as staged:
        result = changes.apply(
            staged,
            [channel],
            rule,
            kind=ChangeSet.Kind.IMPORT,
            source=Source.CSV,
            by=by or By(via=ChangeSet.Via.COMMAND),
            label="test.csv",
            report=lambda _channel, plan: left_out.extend(plan.left_out()),
            finish=finish,
        )
    return result, left_out


def lines(*values):
    return list(enumerate((SegmentValues(*v) if isinstance(v, tuple) else SegmentValues(v) for v in values), 2))


def held(channel):
    """What the channel holds: name, ID, link, active, whether the ID is a label."""
    return sorted(
        (s.name, s.segment_id, s.link, s.active, s.has_label) for s in Segment.objects.filter(channel=channel)
    )


def whole(channel):
    """Every stored field of every segment, by primary key; `updated_at` aside, which tells when."""
    fields = [f.attname for f in Segment._meta.concrete_fields if f.name != "updated_at"]
    rows = Segment.objects.filter(channel=channel).order_by("pk").values_list(*fields)
    return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in rows]


# ── the oracle ──────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Known:
    """A segment as the oracle keeps it."""

    name: str
    segment_id: str = ""
    link: str = ""
    active: bool = True
    label: bool = False
    klaviyo_id: str | None = None

    @property
    def key(self):
        return ("i", self.segment_id) if self.segment_id and not self.label else ("n", fold(self.name))


def oracle(segments, rows, rule, label):
    """Apply RULES.md row by row, slowly and plainly, to `segments` (oldest first); return outcomes by line."""
    outcomes, first_of = {}, {}
    staged = []
    for line, row in rows:
        key = ("i", row.segment_id) if row.segment_id and not label else ("n", fold(row.name))
        if key in first_of:
            outcomes[line] = ("skipped", "duplicate_in_file", first_of[key])
        else:
            first_of[key] = line
            staged.append((line, key, row))
    by_key = {s.key: s for s in segments}
    match = {line: by_key[key] for line, key, _ in staged if key in by_key}
    taken = {id(s): line for line, s in match.items()}
    for line, key, row in staged:  # by Klaviyo ID
        if line in match or key[0] == "n":
            continue
        found = next((s for s in segments if s.klaviyo_id == row.segment_id), None)
        if found is None:
            continue
        holder = first_of.get(found.key)
        if holder is not None:
            outcomes[line] = ("skipped", "duplicate_in_file", holder)
        else:
            match[line] = found
    taken = {id(s): line for line, s in match.items()}

    def differs(s, row):
        takes_id = (
            row.segment_id and row.segment_id != s.segment_id and (not s.segment_id or (not label and s.key[0] == "n"))
        )
        return (
            s.name != row.name
            or (row.link and row.link != s.link)
            or (row.active is not None and row.active != s.active)
            or bool(takes_id)
        )

    renamed = {}
    if rule == Rule.UPDATE:
        renamed = {
            id(match[line]): fold(row.name) for line, _, row in staged if line in match and differs(match[line], row)
        }
    for line, key, row in staged:  # rows with an ID take the segment of their name that has none
        if line in match or line in outcomes or key[0] == "n":
            continue
        found = by_key.get(("n", fold(row.name)))
        if found is not None and id(found) not in taken:
            match[line] = found
            taken[id(found)] = line
    for line, key, row in staged:  # rows without one take the only segment of their name
        if line in match or line in outcomes or key[0] == "i":
            continue
        named = [s for s in segments if renamed.get(id(s), fold(s.name)) == fold(row.name)]
        if len(named) > 1:
            outcomes[line] = ("error", "ambiguous_match", None)
        elif named and id(named[0]) in taken:
            outcomes[line] = ("skipped", "duplicate_in_file", taken[id(named[0])])
        elif named:
            match[line] = named[0]
    new = []
    for line, _key, row in staged:
        if line in outcomes:
            continue
        s = match.get(line)
        if s is None:
            outcomes[line] = ("created", "", None)
            new.append(
                Known(row.name, row.segment_id, row.link, row.active is not False, label and bool(row.segment_id))
            )
        elif rule == Rule.SKIP:
            outcomes[line] = ("skipped", "already_exists", None)
        elif not differs(s, row):
            outcomes[line] = ("unchanged", "", None)
        else:
            outcomes[line] = ("updated", "", None)
    for line, _key, row in staged:
        if outcomes[line][0] == "updated":
            s = match[line]
            without = s.key[0] == "n"
            if row.segment_id and row.segment_id != s.segment_id and (not s.segment_id or (not label and without)):
                s.segment_id, s.label = row.segment_id, label
            s.name, s.link = row.name, row.link or s.link
            s.active = s.active if row.active is None else row.active
    segments.extend(new)
    return outcomes


def random_rows(rng):
    return [
        (
            line,
            SegmentValues(
                rng.choice(NAMES),
                rng.choice(IDS + ("k1", "k2")),
                rng.choice(("", "https://a.example/", "https://b.example/")),
                rng.choice((None, True, False)),
            ),
        )
        for line in range(2, 2 + rng.randint(1, 7))
    ]


def random_file(rng):
    rows, label = random_rows(rng), rng.random() < 0.2
    if label:
        rows = [(line, row._replace(segment_id="spring")) for line, row in rows]
    return rows, rng.choice((Rule.UPDATE, Rule.UPDATE, Rule.SKIP)), label


def with_klaviyo(rng, channel, known):
    """Give some segments that have an ID a Klaviyo ID of their own, as a sync would."""
    for stored in Segment.objects.filter(channel=channel, segment_id__in=("a", "b", "c")).order_by("pk"):
        if not stored.has_label and rng.random() < 0.5:
            klaviyo_id = rng.choice(("k1", "k2"))
            if Segment.objects.filter(klaviyo_id=klaviyo_id).exists():
                continue
            Segment.objects.filter(pk=stored.pk).update(
                klaviyo_id=klaviyo_id, klaviyo_kind="segment", klaviyo_account=1
            )
            next(s for s in known if s.key == ("i", stored.segment_id)).klaviyo_id = klaviyo_id


@pytest.mark.parametrize("seed", range(60))
def test_any_file_into_any_channel_does_what_the_rules_say(email, seed):
    rng = random.Random(seed)
    known = []
    for step in range(3):
        rows, rule, label = random_file(rng)
        with changes.stage(iter(rows), label=label) as staged, changes.plan(staged, email, rule) as plan:
            previewed = {row.line: (row.outcome, row.code, row.of_line) for row in plan.rows()}
            counts = plan.counts
        expected = oracle(known, rows, rule, label)
        assert previewed == expected, f"seed {seed} step {step}"
        result, left_out = run(rows, email, rule, label=label)
        assert result.counts[email.pk] == counts
        assert sum(counts) == len(rows)
        assert {row.line for row in left_out} == {n for n, o in expected.items() if o[0] in ("skipped", "error")}
        assert held(email) == sorted((s.name, s.segment_id, s.link, s.active, s.label) for s in known)
        email.refresh_from_db()
        assert email.segment_count == len(known)
        again, _ = run(rows, email, rule, label=label)
        assert (again.counts[email.pk].created, again.counts[email.pk].updated) == (0, 0), f"seed {seed} step {step}"
        with_klaviyo(rng, email, known)


@pytest.mark.parametrize("seed", range(30))
def test_undoing_backwards_restores_every_state(email, seed):
    rng = random.Random(1000 + seed)
    states, sets = [whole(email)], []
    for _ in range(4):
        rows, rule, label = random_file(rng)
        sets.append(run(rows, email, rule, label=label)[0].change_set)
        states.append(whole(email))
        victim = Segment.objects.filter(channel=email).order_by("pk").first()
        if victim and rng.random() < 0.4:
            sets.append(changes.delete(victim, By()))
            states.append(whole(email))
    undos = []
    for change_set, before in zip(reversed(sets), reversed(states[:-1]), strict=True):
        with changes.undo_plan(change_set) as planned:
            kept = planned.kept
        assert kept == 0
        undos.append(changes.undo(change_set, By()))
        assert whole(email) == before, f"seed {seed}"
        email.refresh_from_db()
        assert email.segment_count == len(before)
    for undo, after in zip(reversed(undos), states[1:], strict=True):
        if undo is not None:
            changes.undo(undo, By())
        assert whole(email) == after, f"seed {seed}: an undo can be undone"


def test_undo_of_the_first_import_of_a_new_database_leaves_nothing(email):
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ALTER SEQUENCE segments_segment_id_seq RESTART")
        else:
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = 'segments_segment'")
    result, _ = run(lines("first", "second"), email)
    changes.undo(result.change_set, By())
    assert not Segment.objects.exists()


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite keeps one table for all sequences")
def test_the_sequence_of_the_keys_may_have_any_name(email):
    with connection.cursor() as cursor:
        cursor.execute('ALTER SEQUENCE segments_segment_id_seq RENAME TO "Keys of segments"')
    result, _ = run(lines("first", "second"), email)
    assert result.change_set.last_pk == max(email.segments.values_list("pk", flat=True))


@pytest.mark.parametrize("others", [1, 9], ids=["most of all", "few of all"])
def test_undo_of_many_leaves_the_indexes_as_they_were(email, monkeypatch, others):
    monkeypatch.setattr(import_module("segments.changes.undo"), "MANY", 2)  # of that name the package has the function
    run(lines(*(f"other {number}" for number in range(others))), email)
    before, indexes = whole(email), indexes_of_segments()
    result, _ = run(lines("VIP", "Lapsed", "New"), email)
    changes.undo(result.change_set, By())
    assert whole(email) == before
    assert indexes_of_segments() == indexes
    assert "segments_by_id" in indexes
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA integrity_check")
            assert cursor.fetchall() == [("ok",)]


def indexes_of_segments():
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "segments_segment")
    return {name: (one["columns"], one["unique"], one.get("definition")) for name, one in found.items() if one["index"]}


def test_undo_keeps_what_was_edited_since_and_names_who(email):
    result, _ = run(lines("VIP", "Lapsed"), email)
    vip = Segment.objects.get(name="VIP")
    maya = Person.objects.create_user("maya@example.com", first_name="Maya")
    changes.edit(vip, SegmentValues("VIP gold", active=True), By(user=maya))
    with changes.undo_plan(result.change_set) as planned:
        assert (planned.removed, planned.restored, planned.kept) == (1, 0, 1)
        (kept,) = planned.names("kept")
        assert kept.now.name == "VIP gold"
        assert kept.before.name == "VIP"
        assert (kept.reason, kept.since.user) == ("edited since", maya)
        assert [row.now.name for row in planned.names("removed")] == ["Lapsed"]
    changes.undo(result.change_set, By())
    assert [name for name, *_ in held(email)] == ["VIP gold"]


def test_undo_says_what_was_deleted_since(email):
    result, _ = run(lines("VIP", "Lapsed"), email)
    changes.delete(Segment.objects.get(name="VIP"), By())
    with changes.undo_plan(result.change_set) as planned:
        assert (planned.removed, planned.kept, planned.total) == (1, 1, 2)
        (kept,) = planned.names("kept")
        assert (kept.now.name, kept.reason) == ("VIP", "deleted since")


def test_undo_of_a_delete_keeps_it_deleted_where_its_name_is_taken(email):
    first = changes.add(email, SegmentValues("VIP"), By())
    deleted = changes.delete(first, By())
    changes.add(email, SegmentValues("vip"), By())
    with changes.undo_plan(deleted) as planned:
        assert (planned.restored, planned.kept) == (0, 1)
        assert planned.names("kept")[0].reason == "its ID or name belongs to another segment now"
    assert changes.undo(deleted, By()) is None
    assert not ChangeSet.objects.filter(kind=ChangeSet.Kind.UNDO).exists()


def test_undo_of_exchanged_identities_gives_each_its_own_back(email):
    run(lines(("One", "a"), ("Two", "b")), email)
    one, two = Segment.objects.order_by("pk")
    before = whole(email)
    exchange = ChangeSet.objects.create(kind=ChangeSet.Kind.BULK)
    for segment, other in ((one, two), (two, one)):
        Change.objects.create(
            change_set=exchange, channel=email, segment=segment.pk, kind="u",
            before_name=segment.name, before_segment_id=segment.segment_id, before_link="", before_active=True,
            before_identity_key=segment.identity_key, before_name_key=segment.name_key,
            before_id_key=segment.id_key, before_change=segment.last_change_id,
            after_name=segment.name, after_segment_id=other.segment_id, after_link="", after_active=True,
            after_change=exchange.pk,
        )  # fmt: skip
    Segment.objects.filter(pk=one.pk).update(identity_key=b"parked")
    Segment.objects.filter(pk=two.pk).update(
        identity_key=one.identity_key, segment_id="a", id_key="a", last_change=exchange
    )
    Segment.objects.filter(pk=one.pk).update(
        identity_key=two.identity_key, segment_id="b", id_key="b", last_change=exchange
    )
    exchange.channels.create(channel=email, updated=2)
    changes.undo(exchange, By())
    assert whole(email) == before


def test_a_finish_that_fails_leaves_nothing_behind(email):
    def lost(_result):
        raise RuntimeError("lease lost")

    before = ChangeSet.objects.count()
    with pytest.raises(RuntimeError, match="lease lost"):
        run(lines("VIP"), email, finish=lost)
    assert (held(email), ChangeSet.objects.count()) == ([], before)


def test_a_plan_writes_nothing(email):
    run(lines(("VIP", "a")), email)
    before, sets = whole(email), ChangeSet.objects.count()
    with changes.stage(lines(("VIP gold", "a"), "New")) as staged, changes.plan(staged, email, Rule.UPDATE) as plan:
        rows = list(plan.rows())
    assert [(row.outcome, row.before and row.before.name, row.after.name) for row in rows] == [
        ("updated", "VIP", "VIP gold"),
        ("created", None, "New"),
    ]
    assert (whole(email), ChangeSet.objects.count()) == (before, sets)


def test_one_staging_serves_several_channels(email):
    sms = Channel.objects.get(slug="sms")
    run(lines("VIP"), sms)
    with changes.stage(lines("VIP", "New")) as staged:
        result = changes.apply(
            staged, [sms, email], Rule.UPDATE, kind=ChangeSet.Kind.IMPORT, source=Source.CSV, by=By()
        )
    assert result.counts[email.pk] == changes.Counts(created=2)
    assert result.counts[sms.pk] == changes.Counts(created=1, unchanged=1)
    assert ChangeSet.objects.filter(pk=result.change_set.pk, channels__channel=sms).exists()
    changes.undo(result.change_set, By())
    assert [name for name, *_ in held(sms)] == ["VIP"]
    assert held(email) == []


@pytest.mark.parametrize("name", ["tab\\tslash\\", "line \u2028 two", "café \\N", "\\.", "ﬁ" * 255, "İ" * 255])
def test_every_name_arrives_as_it_was(email, name):
    run(lines((name, "i\td\\n")), email)
    stored = Segment.objects.get()
    assert (stored.name, stored.segment_id, stored.name_key) == (name, "i\td\\n", folded_key(name))
    assert bytes(stored.identity_key) == identity_key(name, "i\td\\n")


@pytest.mark.django_db(transaction=True)
def test_staging_twice_on_one_connection_leaves_no_table_behind():
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), changes.stage(lines("VIP"), on_batch=lambda _n: 1 / 0):
            pass
    with changes.stage(lines("VIP")) as staged:
        assert staged.rows == 1
