"""The Activity page: every change set in words and numbers, filters, pages, undo, and the export for Admins."""

import csv
import io
import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels.models import Channel
from imports.models import ImportJob
from people.models import Person
from segments import changes
from segments.activity.sets import PAGE, for_pages, is_undone, page_of
from segments.models import ChangeSet, ChangeSetChannel, Segment, Source
from segments.values import SegmentValues
from tests.factories import SegmentFactory

pytestmark = pytest.mark.django_db

ACTIVITY = "/activity/"


@pytest.fixture
def email() -> Channel:
    """The first channel."""
    return Channel.objects.get(slug="email")


def imported(*names: str, slugs: tuple[str, ...] = ("email",), by: Person | None = None) -> ChangeSet:
    """Import segments of these names, and return the change set."""
    rows = [(line, SegmentValues(name, f"id-{name}")) for line, name in enumerate(names, start=2)]
    channels = Channel.objects.filter(slug__in=slugs)
    with changes.stage(rows) as staged:
        result = changes.apply(
            staged,
            channels,
            changes.Rule.UPDATE,
            kind=ChangeSet.Kind.IMPORT,
            source=Source.CSV,
            by=changes.By(by),
            label="core.csv",
        )
    return result.change_set


def titles(client: Client, **query: str) -> list[str]:
    """The titles that the page shows, in its order."""
    html = client.get(ACTIVITY, query).content.decode()
    return re.findall(r'<a class="nm" href="[^"]*" dir="auto">([^<]*)</a>', html)


def test_each_kind_of_change_is_told_in_words(as_viewer: Client, email: Channel) -> None:
    segment = changes.add(email, SegmentValues("VIP"), changes.By())
    changes.edit(segment, SegmentValues("VIPs", "", "", True), changes.By())
    changes.edit(segment, SegmentValues("VIPs", "v-1", "https://a.example", True), changes.By())
    changes.set_active(segment, False, changes.By())
    changes.set_active(segment, True, changes.By())
    segment.refresh_from_db()
    changes.undo(changes.delete(segment, changes.By()), changes.By())
    changes.undo(imported("A", "B"), changes.By())
    assert titles(as_viewer) == [
        "Undid the import of core.csv",
        "Imported core.csv",
        "Undid the deletion of “VIPs”",
        "Deleted “VIPs”",
        "Activated “VIPs”",
        "Deactivated “VIPs”",
        "Edited “VIPs”",
        "Renamed “VIPs”",
        "Added “VIP”",
    ]
    html = as_viewer.get(ACTIVITY).content.decode()
    assert "was “VIP”" in html
    assert "Segment ID, Link" in html
    assert "<b>2</b> removed" in html


def test_an_import_says_what_it_left_out(as_viewer: Client) -> None:
    made = imported("A", "A", "B")
    made.channels.update(errors=1_200)
    html = as_viewer.get(ACTIVITY).content.decode()
    assert "1,200 rows with errors left out, 1 skipped" in html
    assert "<b>2</b> created" in html


def test_an_import_into_several_channels_says_what_each_left_out(as_viewer: Client) -> None:
    made = imported("A")
    made.channels.update(errors=2, skipped=1)
    ChangeSetChannel.objects.create(change_set=made, channel=Channel.objects.get(slug="meta"), errors=1)
    ChangeSetChannel.objects.create(change_set=made, channel=Channel.objects.get(slug="sms"))
    html = as_viewer.get(ACTIVITY).content.decode()
    assert "Email: 2 rows with errors left out, 1 skipped · Meta: 1 row with errors left out<" in html


def test_lines_lead_to_the_import_the_segment_or_the_change_itself(as_viewer: Client, email: Channel) -> None:
    there = changes.add(email, SegmentValues("there"), changes.By())
    gone = changes.add(email, SegmentValues("gone"), changes.By())
    deletion = changes.delete(gone, changes.By())
    made = imported("A")
    ImportJob.objects.create(file_name="core.csv", change_set=made, status="done")
    html = as_viewer.get(ACTIVITY).content.decode()
    assert f'<a class="nm" href="{there.get_absolute_url()}" dir="auto">Added “there”' in html
    assert f'<a class="nm" href="/activity/{gone.created_in_id}/" dir="auto">Added “gone”' in html
    assert f'<a class="nm" href="/activity/{deletion.pk}/" dir="auto">Deleted “gone”' in html
    response = as_viewer.get(f"/data/imports/of/{made.pk}/")
    assert response["Location"] == ImportJob.objects.get().get_absolute_url()
    assert as_viewer.get("/data/imports/of/999/").status_code == 404


def test_filters_by_who_kind_channel_and_name(
    as_viewer: Client, email: Channel, marketer: Person, admin_person: Person
) -> None:
    segment = changes.add(email, SegmentValues("Über VIP"), changes.By(marketer))
    changes.set_active(segment, False, changes.By(admin_person))
    imported("A", slugs=("sms",))
    assert titles(as_viewer, who=str(marketer.pk)) == ["Added “Über VIP”"]
    assert titles(as_viewer, who="nobody") == ["Imported core.csv"]
    assert titles(as_viewer, kind="edits") == ["Deactivated “Über VIP”"]
    assert titles(as_viewer, channel="sms") == ["Imported core.csv"]
    assert titles(as_viewer, q="vip") == ["Deactivated “Über VIP”", "Added “Über VIP”"]
    assert titles(as_viewer, q="vip", kind="imports") == []
    assert titles(as_viewer, q="ÜBER  vip") == titles(as_viewer, q="u\u0308BER") == titles(as_viewer, q="vip")
    assert len(titles(as_viewer, who="x", kind="y", channel="%", when="z", older="9" * 30)) == 3
    assert "No change matches" in as_viewer.get(ACTIVITY, {"q": "nothing"}).content.decode()


def test_filters_by_time(as_viewer: Client, email: Channel) -> None:
    now = timezone.localtime()
    for days, name in ((0, "today"), (5, "this week"), (20, "this month"), (400, "long ago")):
        made = changes.add(email, SegmentValues(name), changes.By()).created_in
        ChangeSet.objects.filter(pk=made.pk).update(at=now - timedelta(days=days))
    assert titles(as_viewer, when="today") == ["Added “today”"]
    assert len(titles(as_viewer, when="week")) == 2
    assert len(titles(as_viewer, when="month")) == 3
    day = (now - timedelta(days=400)).date().isoformat()
    assert titles(as_viewer, when="dates", since=day, until=day) == ["Added “long ago”"]
    assert len(titles(as_viewer, when="dates", until=day)) == 1
    assert len(titles(as_viewer, since=day, until=day)) == 4, "dates count only where they are asked for"


@pytest.mark.parametrize("day", ["0001-01-01", "0001-01-02", "9999-12-29", "9999-12-31"])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_a_day_at_the_end_of_the_calendar_is_no_error(as_viewer: Client, zone: str, day: str) -> None:
    as_viewer.post("/accounts/time-zone/", {"time_zone": zone})
    for field in ("since", "until"):
        assert as_viewer.get(ACTIVITY, {"when": "dates", field: day}).status_code == 200


def test_pages_hold_every_change_once_in_both_directions() -> None:
    for _ in range(12):
        SegmentFactory()
    sets = ChangeSet.objects.all()
    expected = list(sets.order_by("-pk").values_list("pk", flat=True))
    first = page_of(sets, size=5)
    second = page_of(sets, older_than=first.older_than, size=5)
    third = page_of(sets, older_than=second.older_than, size=5)
    shown = [deed.change_set.pk for page in (first, second, third) for deed in page.deeds]
    assert shown == expected
    assert (first.newer_than, third.older_than) == (0, 0)
    assert page_of(sets, newer_than=third.newer_than, size=5).deeds == second.deeds
    assert page_of(sets, newer_than=second.newer_than, size=5).deeds == first.deeds


def test_number_of_queries_does_not_grow_with_activity(as_admin: Client, email: Channel, marketer: Person) -> None:
    counts = []
    for more in (1, PAGE):
        for number in range(more):
            segment = changes.add(email, SegmentValues(f"Segment {more} {number}"), changes.By(marketer))
            changes.set_active(segment, False, changes.By(marketer))
            changes.undo(imported(f"{more} {number}", slugs=("email", "sms")), changes.By(marketer))
        as_admin.get(ACTIVITY)
        with CaptureQueriesContext(connection) as queries:
            assert as_admin.get(ACTIVITY).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8


def test_undone_follows_undos_of_undos(email: Channel) -> None:
    added = changes.add(email, SegmentValues("VIP"), changes.By()).created_in
    last, states = added, []
    for _ in range(4):
        last = changes.undo(last, changes.By())
        assert last
        states.append(ChangeSet.objects.filter(is_undone(), pk=added.pk).exists())
    assert states == [True, False, True, False]


def test_change_of_one_segment_is_undone_at_once_and_comes_back_here(as_marketer: Client, email: Channel) -> None:
    deleted = changes.delete(changes.add(email, SegmentValues("VIP", "v-1"), changes.By()), changes.By())
    html = as_marketer.get(ACTIVITY, {"kind": "deletes"}).content.decode()
    assert f'action="/activity/{deleted.pk}/undo/"' in html
    token = re.search(r'name="form_token" value="([^"]+)"', html)
    assert token
    sent = {"form_token": token[1], "next": "/activity/?kind=deletes"}
    for _ in range(3):
        response = as_marketer.post(f"/activity/{deleted.pk}/undo/", sent)
        assert response["Location"] == "/activity/?kind=deletes"
    assert Segment.objects.get().segment_id == "v-1"
    assert ChangeSet.objects.filter(undoes=deleted).count() == 1
    html = as_marketer.get(ACTIVITY, {"kind": "deletes"}).content.decode()
    assert "Undone" in html
    assert f'action="/activity/{deleted.pk}/undo/"' not in html.partition('id="toasts"')[0]


def test_change_of_several_segments_is_undone_by_way_of_the_page_that_asks(as_marketer: Client) -> None:
    made = imported("A", "B")
    html = as_marketer.get(ACTIVITY).content.decode()
    assert f'href="/activity/{made.pk}/undo/?next={quote("/activity/", safe="")}"' in html


def test_viewer_is_offered_no_undo_and_only_an_admin_the_export(as_viewer: Client, as_admin: Client) -> None:
    SegmentFactory()
    shown = as_viewer.get(ACTIVITY).content.decode()
    assert "/undo/" not in shown
    assert "/activity/export/" not in shown
    assert "/activity/export/" in as_admin.get(ACTIVITY).content.decode()


def test_export_holds_what_the_filters_show_and_no_formula(
    as_admin: Client, admin_person: Person, email: Channel
) -> None:
    changes.add(email, SegmentValues("=cmd|'/c calc'!A1"), changes.By(admin_person))
    made = imported("A", "B", slugs=("email", "sms"))
    undo = changes.undo(made, changes.By(admin_person))
    assert undo
    response = as_admin.get("/activity/export/")
    assert response["Content-Disposition"] == 'attachment; filename="activity.csv"'
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["Kind"], row["Channel"]) for row in rows] == [
        ("Undo", "Email"),
        ("Undo", "SMS"),
        ("Import", "Email"),
        ("Import", "SMS"),
        ("Added", "Email"),
    ]
    assert rows[4]["What"] == "'=cmd|'/c calc'!A1"
    assert (rows[2]["Created"], rows[2]["Undone"], rows[0]["Undoes"], rows[0]["Who"]) == (
        "2",
        "Yes",
        str(made.pk),
        "Admin Person",
    )
    only = b"".join(as_admin.get("/activity/export/?kind=additions").streaming_content).decode()
    assert len(only.splitlines()) == 2


def test_hostile_text_is_shown_as_text(as_marketer: Client, email: Channel) -> None:
    segment = changes.add(email, SegmentValues("<script>alert(1)</script>"), changes.By())
    changes.edit(segment, SegmentValues('"><img src=x>', "", "", True), changes.By())
    html = as_marketer.get(ACTIVITY).content.decode()
    assert "<script>alert" not in html
    assert "<img" not in html


def test_htmx_gets_the_list_alone(as_viewer: Client) -> None:
    html = as_viewer.get(ACTIVITY, headers={"HX-Request": "true"}).content.decode().strip()
    assert html.startswith('<div id="activity"')
    assert "Nothing has happened yet" in html
    assert 'hx-swap-oob="true"' in html


def test_navigation_names_activity(as_viewer: Client) -> None:
    assert '<a href="/activity/" aria-current="page">' in as_viewer.get(ACTIVITY).content.decode()


@pytest.mark.django_db(transaction=True)
def test_it_is_soon_known_which_sets_are_undone_where_the_database_expects_one(email: Channel) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite does not plan by the number of rows")
    first = ChangeSet.objects.create(kind=ChangeSet.Kind.IMPORT)
    job = ImportJob.objects.create(file_name="a.csv", change_set=first)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE segments_changeset")
    ChangeSet.objects.bulk_create(ChangeSet(kind=ChangeSet.Kind.ADD) for _ in range(100))
    ChangeSet.objects.create(kind=ChangeSet.Kind.UNDO, undoes=first)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '60s'")  # it took hours
        assert [each.undone for each in ImportJob.objects.for_list()] == [True]
        assert list(ImportJob.objects.undone()) == [job]
        assert ChangeSet.objects.filter(is_undone()).get() == first
        assert len(for_pages(ChangeSet.objects.all())) == 102
