"""Undoing: what it would do, with names, before it does it; at once from a message about one segment."""

import json
import uuid

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from channels.models import Channel
from people.models import Person
from segments import changes
from segments.models import ChangeSet, Segment, Source
from segments.values import SegmentValues
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db

LIST = "/channels/email/segments/"


def url(change_set: ChangeSet) -> str:
    return f"/activity/{change_set.pk}/undo/"


def token() -> str:
    return str(uuid.uuid4())


def imported(names: list[str], by: Person | None = None, file: str = "attentive.csv") -> ChangeSet:
    """Import rows of these names into Email, each with a link."""
    rows = [(line, SegmentValues(name, link="https://a.example/new")) for line, name in enumerate(names, start=2)]
    with changes.stage(rows) as staged:
        return changes.apply(
            staged,
            [Channel.objects.get(slug="email")],
            changes.Rule.UPDATE,
            kind=ChangeSet.Kind.IMPORT,
            source=Source.CSV,
            by=changes.By(by),
            label=file,
        ).change_set


@pytest.fixture
def import_of_four(marketer: Person) -> ChangeSet:
    """An import that created three and changed one; of the created, one was renamed since and one deleted."""
    SegmentFactory(name="was here", link="https://a.example/old")
    change_set = imported(["was here", "a", "b <i>", "c"], marketer)
    changes.edit(Segment.objects.get(name="b <i>"), SegmentValues("b <u>", "", "", True), changes.By(marketer))
    changes.delete(Segment.objects.get(name="c"), changes.By(marketer))
    return change_set


def test_shows_counts_that_add_up(as_marketer: Client, import_of_four: ChangeSet) -> None:
    response = as_marketer.get(url(import_of_four))
    html = " ".join(response.content.decode().split())
    assert response.context["counts"] == {"kept": 2, "restored": 1, "removed": 1}
    assert "Undo this import?" in html
    assert "attentive.csv" in html
    assert "4 segments in Email" in html
    assert "by Marketer Person" in html
    assert "1 + 1 + 2 = 4 segments of this import" in html
    assert 'Remove 1<span class="no-m"> segment</span>, restore 1' in html


def test_names_those_kept_and_who_changed_what(as_marketer: Client, import_of_four: ChangeSet) -> None:
    html = as_marketer.get(url(import_of_four)).content.decode()
    assert "b &lt;u&gt;" in html
    assert '<del dir="auto">b &lt;i&gt;</del>' in html
    assert "edited since" in html
    assert "deleted since" in html
    assert "<u>" not in html


def test_names_those_restored_and_removed(as_marketer: Client, import_of_four: ChangeSet) -> None:
    restored = as_marketer.get(url(import_of_four), {"show": "restored"}).content.decode()
    assert '<del dir="auto">https://a.example/new</del>' in restored
    assert '<ins dir="auto">https://a.example/old</ins>' in restored
    removed = as_marketer.get(url(import_of_four), {"show": "removed"})
    assert [row.now.name for row, *_ in removed.context["rows"]] == ["a"]


@pytest.mark.parametrize("query", [{"show": "x"}, {"page": "x"}, {"page": "99"}, {"show": "kept", "page": "-1"}])
def test_what_is_not_understood_is_left_out(
    as_marketer: Client, import_of_four: ChangeSet, query: dict[str, str]
) -> None:
    assert as_marketer.get(url(import_of_four), query).status_code == 200


def test_of_several_channels_each_name_has_its_own(as_marketer: Client) -> None:
    channels = [Channel.objects.get(slug=slug) for slug in ("email", "sms")]
    with changes.stage([(2, SegmentValues("VIP"))]) as staged:
        done = changes.apply(
            staged, channels, changes.Rule.UPDATE, kind=ChangeSet.Kind.IMPORT, source=Source.CSV, by=changes.By()
        )
    html = as_marketer.get(url(done.change_set)).content.decode()
    assert [f'data-l="Channel">{channel}<' in html for channel in channels] == [True, True]


def test_names_come_in_pages(as_marketer: Client) -> None:
    change_set = imported([f"s {number:03}" for number in range(120)])
    first = as_marketer.get(url(change_set))
    assert "Page 1 of 3" in first.content.decode()
    last = as_marketer.get(url(change_set), {"page": "3"})
    assert [row.now.name for row, *_ in last.context["rows"]][-1] == "s 119"


def test_looking_writes_nothing(as_marketer: Client, import_of_four: ChangeSet) -> None:
    before = ChangeSet.objects.count()
    as_marketer.get(url(import_of_four))
    assert ChangeSet.objects.count() == before


def test_does_what_it_showed_and_can_be_undone(as_marketer: Client, import_of_four: ChangeSet) -> None:
    response = as_marketer.post(url(import_of_four), {"form_token": token(), "next": LIST})
    assert (response.status_code, response["Location"]) == (302, LIST)
    names = dict(Segment.objects.values_list("name", "link"))
    assert names == {"was here": "https://a.example/old", "b <u>": ""}
    undone = ChangeSet.objects.filter(kind=ChangeSet.Kind.UNDO).get()
    assert undone.undoes == import_of_four
    assert f'action="/activity/{undone.pk}/undo/"' in as_marketer.get(LIST).content.decode()


def test_what_it_left_alone_is_said(as_marketer: Client, import_of_four: ChangeSet) -> None:
    as_marketer.post(url(import_of_four), {"form_token": token(), "next": LIST})
    html = as_marketer.get(LIST).content.decode()
    assert "The import of attentive.csv is undone; 2 of 4 were changed since, and left alone." in html


def test_pressed_twice_in_a_message_it_says_that_it_is_undone(as_marketer: Client) -> None:
    change_set = changes.delete(SegmentFactory(name="VIP"), changes.By())
    for _ in range(2):
        as_marketer.post(url(change_set))
    html = as_marketer.get(LIST).content.decode()
    assert "This was undone already." in html
    assert "Nothing was undone" not in html


def test_sent_twice_it_undoes_once(as_marketer: Client, import_of_four: ChangeSet) -> None:
    data = {"form_token": token()}
    for _ in range(2):
        assert as_marketer.post(url(import_of_four), data)["Location"] == LIST
    assert ChangeSet.objects.filter(kind=ChangeSet.Kind.UNDO).count() == 1


def test_message_about_one_segment_undoes_at_once(as_marketer: Client) -> None:
    segment = SegmentFactory(name="VIP")
    change_set = changes.delete(segment, changes.By())
    response = as_marketer.post(url(change_set), {"next": f"{LIST}?q=v"})
    assert (response.status_code, response["Location"]) == (302, f"{LIST}?q=v")
    assert Segment.objects.get().pk == segment.pk
    assert "The deletion of “VIP” is undone." in as_marketer.get(LIST).content.decode()


def test_change_of_many_segments_asks_first(as_marketer: Client) -> None:
    change_set = imported(["a", "b"])
    response = as_marketer.post(url(change_set))
    assert response.status_code == 200
    assert "Undo this import?" in response.content.decode()
    assert Segment.objects.count() == 2


def test_nothing_left_to_undo_says_so(as_marketer: Client) -> None:
    segment = SegmentFactory()
    change_set = changes.set_active(segment, False, changes.By())
    assert change_set
    changes.set_active(segment, True, changes.By())
    html = as_marketer.get(url(change_set)).content.decode()
    assert "There is nothing left to undo." in html
    assert "Restore" not in html.split('class="stick"')[1]
    as_marketer.post(url(change_set))
    assert "Nothing was undone" in as_marketer.get(LIST).content.decode()


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_next_leads_to_no_other_host(as_marketer: Client, elsewhere: str) -> None:
    change_set = changes.delete(SegmentFactory(), changes.By())
    assert elsewhere not in as_marketer.get(url(change_set), {"next": elsewhere}).content.decode().split("<main")[1]
    assert as_marketer.post(url(change_set), {"next": elsewhere})["Location"] == LIST


def test_busy_channel_changes_nothing_and_says_why(as_marketer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*args: object) -> None:
        raise changes.ChannelBusy

    change_set = changes.delete(SegmentFactory(), changes.By())
    monkeypatch.setattr(changes, "undo", busy)
    as_marketer.post(url(change_set))
    assert "is being written here; try again in a moment." in as_marketer.get(LIST).content.decode()


def test_only_marketers_undo(as_viewer: Client, client: Client) -> None:
    change_set = changes.delete(SegmentFactory(), changes.By())
    assert as_viewer.get(url(change_set)).status_code == 403
    assert as_viewer.post(url(change_set)).status_code == 403
    assert client.post(url(change_set)).status_code == 302
    assert not Segment.objects.exists()


def test_unknown_change_set_and_other_methods(as_marketer: Client) -> None:
    assert as_marketer.get("/activity/999/undo/").status_code == 404
    assert as_marketer.put(url(changes.delete(SegmentFactory(), changes.By()))).status_code == 405


def test_number_of_queries_does_not_grow_with_names(as_marketer: Client, marketer: Person) -> None:
    counts = []
    for total in (1, 30):
        change_set = imported([f"{total} {number}" for number in range(total)], marketer)
        for segment in Segment.objects.filter(created_in=change_set):
            changes.set_active(segment, False, changes.By(marketer))
        as_marketer.get(url(change_set))
        with CaptureQueriesContext(connection) as queries:
            as_marketer.get(url(change_set))
        counts.append([query["sql"][:60] for query in queries])
    assert len(counts[0]) == len(counts[1])


# ── the command ──


def run(capsys: pytest.CaptureFixture[str], change_set: ChangeSet, *options: str) -> str:
    call_command("undo_change", str(change_set.pk), *options)
    return capsys.readouterr().out


def test_command_undoes(import_of_four: ChangeSet, capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(run(capsys, import_of_four, "--json"))
    undone = ChangeSet.objects.get(kind=ChangeSet.Kind.UNDO)
    assert undone.via == ChangeSet.Via.COMMAND
    assert said == {
        "change_set": import_of_four.pk,
        "undo": undone.pk,
        "removed": 1,
        "restored": 1,
        "kept": 2,
        "kept_segments": [
            {"name": "b <u>", "segment_id": "", "reason": "edited since"},
            {"name": "c", "segment_id": "", "reason": "deleted since"},
        ],
    }


def test_command_rehearses(import_of_four: ChangeSet, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, import_of_four, "--dry-run")
    assert said.strip() == (
        f"Undoing change set {import_of_four.pk} would have removed 1, restored 1, kept 2. Nothing was changed."
    )
    assert not ChangeSet.objects.filter(kind=ChangeSet.Kind.UNDO).exists()


def test_command_a_second_time_changes_nothing(import_of_four: ChangeSet, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, import_of_four)
    said = json.loads(run(capsys, import_of_four, "--json"))
    assert (said["undo"], said["removed"], said["restored"]) == (None, 0, 0)
    assert "nothing left to undo" in run(capsys, import_of_four)


def test_command_knows_no_such_change_set() -> None:
    with pytest.raises(CommandError, match="There is no change set 999.") as refused:
        call_command("undo_change", "999")
    assert refused.value.returncode == 1


def test_what_was_undone_already_is_said_to_be(as_marketer: Client) -> None:
    change_set = changes.delete(SegmentFactory(), changes.By())
    changes.undo(change_set, changes.By())
    response = as_marketer.get(url(change_set), follow=True)
    assert response.redirect_chain == [(f"/activity/{change_set.pk}/", 302)]
    assert "This was undone already." in response.content.decode()
