"""The index of the search: it never leaves out a segment, whatever the workers have caught up with."""

import random
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from channels.models import Channel
from jobs.worker import Worker
from segments import changes
from segments.changes import By
from segments.models import ChangeSet, SearchBacklog, SearchText, Segment, Source
from segments.search import index
from segments.search.index import Candidates
from segments.search.search import Search
from segments.values import SegmentValues, words

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def kept() -> None:
    if not SearchBacklog.is_kept():
        pytest.skip("SQLite searches in its index of names, and keeps no other")


@pytest.fixture
def email() -> Channel:
    return Channel.objects.get(slug="email")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "BATCH", 2)


def add(channel: Channel, *names: str) -> list[Segment]:
    return [changes.add(channel, SegmentValues(name, "", "", True), By()) for name in names]


def catch_up() -> None:
    while index.catch_up():
        pass


def found(channel: Channel, text: str) -> set[str]:
    """The names of those that the index offers and that match; of all that match where it cannot say."""
    return set(Search(channel.segments.all(), [channel], text).rows.values_list("name", flat=True))


def known(channel: Channel, text: str) -> Candidates:
    return index.candidates([channel], words(text))


def test_a_new_segment_is_found_before_and_after_it_is_indexed(email: Channel) -> None:
    add(email, "Café regulars", "Lapsed")
    assert SearchBacklog.objects.count() == 2
    assert found(email, "CAFÉ") == {"Café regulars"}
    catch_up()
    assert not SearchBacklog.objects.exists()
    assert SearchText.objects.count() == 2
    assert found(email, "CAFÉ") == {"Café regulars"}
    assert found(email, "fé") == {"Café regulars"}
    assert found(email, "é r") == {"Café regulars"}
    assert found(email, "nobody") == set()


def test_a_segment_is_found_by_its_new_name_and_no_more_by_its_old(email: Channel) -> None:
    [segment] = add(email, "Winter sale")
    catch_up()
    changes.edit(segment, SegmentValues("Summer sale", "S-1", "", True), By())
    for _ in range(2):
        assert found(email, "winter") == set()
        assert found(email, "summer") == found(email, "s-1") == {"Summer sale"}
        catch_up()


def test_a_deleted_segment_is_forgotten_and_found_again_when_that_is_undone(email: Channel) -> None:
    [segment] = add(email, "Winter sale")
    catch_up()
    deleted = changes.delete(segment, By())
    catch_up()
    assert not SearchText.objects.exists()
    changes.undo(deleted, By())
    assert found(email, "winter") == {"Winter sale"}
    catch_up()
    assert found(email, "winter") == {"Winter sale"}


def test_signs_that_mean_something_to_like_are_text(email: Channel) -> None:
    add(email, "100% wool", "100 wool", "snake_case", "snakeXcase", "back\\slash")
    catch_up()
    assert found(email, "0%") == {"100% wool"}
    assert found(email, "e_c") == {"snake_case"}
    assert found(email, "k\\s") == {"back\\slash"}


def test_words_without_a_trigram_are_found_by_their_pairs_of_letters(email: Channel) -> None:
    add(email, "Loyalty c++", "会员 VIP", "会议", "c+ v+i+p", "Loyal vi p")
    catch_up()
    with connection.cursor() as cursor:
        has_words, parameters = index._has_words([email], words("C++ lo"))
        cursor.execute(f"EXPLAIN SELECT segment FROM segments_searchtext WHERE {has_words}", parameters)
        assert "segments_search_bigrams" in str(cursor.fetchall())
    for text in ("c++", "c+", "会员", "lo c++", "vi", "p vi", "v", "会"):
        matching = email.segments.search(text)
        assert found(email, text) == set(matching.values_list("name", flat=True)) != set()
        assert len(known(email, text).keys or []) == matching.count()


def test_no_time_is_spent_on_compiling_a_query() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW jit")
        assert cursor.fetchone() == ("off",)


def test_where_too_many_match_the_list_is_read_in_its_order(email: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    add(email, "VIP 1", "VIP 2", "VIP 3", "Lapsed")
    monkeypatch.setattr(index, "MOST", 2)
    assert known(email, "lapsed") == Candidates()  # four in the backlog
    catch_up()
    assert known(email, "vip") == Candidates(too_many=True, outdated=[])
    assert len(known(email, "lapsed").keys or []) == 1


def test_a_large_change_is_caught_up_with_in_small_steps(email: Channel, small_batches: None) -> None:
    rows = [(line, SegmentValues(f"Segment {line}", "", "", None)) for line in range(2, 9)]
    with changes.stage(iter(rows)) as staged:
        changes.apply(
            staged,
            [email],
            changes.Rule.UPDATE,
            kind=ChangeSet.Kind.IMPORT,
            source=Source.CSV,
            by=By(),
        )
    sizes = []
    while index.catch_up():
        sizes.append(SearchText.objects.count())
    assert sizes == [2, 4, 6, 7]


def test_another_channels_segments_are_no_candidates(email: Channel) -> None:
    add(Channel.objects.get(slug="sms"), "VIP by phone")
    add(email, "VIP by mail")
    catch_up()
    assert len(known(email, "vip").keys or []) == 1


def test_no_segment_is_ever_left_out(email: Channel, small_batches: None) -> None:
    """Random changes, with the workers now behind and now not: what the index offers holds every match."""
    seed = random.randrange(10**6)
    print("seed", seed)
    chance = random.Random(seed)
    words = ("vip", "lapsed", "é", "50%", "_x")
    sets = []
    for number in range(60):
        segment = email.segments.order_by("?").first()
        step = chance.choice(("add", "add", "edit", "delete", "undo", "catch up", "catch up"))
        name = f"{chance.choice(words)} {chance.choice(words)} {number}"
        if step == "add":
            add(email, name)
        elif step == "edit" and segment:
            sets.append(changes.edit(segment, SegmentValues(name, "", "", True), By()))
        elif step == "delete" and segment:
            sets.append(changes.delete(segment, By()))
        elif step == "undo" and sets:
            changes.undo(sets.pop() or sets[0], By())
        else:
            index.catch_up()
        for word in words:
            assert found(email, word) == set(email.segments.search(word).values_list("name", flat=True))


def test_the_command_indexes_everything_anew(email: Channel, small_batches: None) -> None:
    add(email, "A", "B", "C")
    catch_up()
    SearchText.objects.filter(text__startswith="a").delete()
    SearchText.objects.create(segment=10**9, channel=email, text="gone long ago")
    out = StringIO()
    how = "with" if index.make_trigrams() else "without"  # not every PostgreSQL has the extension
    call_command("index_search", stdout=out)
    assert out.getvalue() == f"3 segments are indexed, {how} trigrams.\n"
    assert not SearchText.objects.filter(segment=10**9).exists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_without_a_job_catches_up(email: Channel) -> None:
    add(email, "Winter sale")
    Worker("idle").work(drain=True)
    assert SearchText.objects.count() == 1


def test_the_page_finds_by_the_index(as_viewer: Client, email: Channel) -> None:
    add(email, "Winter sale", "Summer sale", "Lapsed")
    catch_up()
    response = as_viewer.get("/channels/email/segments/?q=SALE&status=active")
    assert [segment.name for segment in response.context["page"].rows] == ["Summer sale", "Winter sale"]
