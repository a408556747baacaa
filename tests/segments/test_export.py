"""Exports: the same for page and command, safe in a spreadsheet, in bounded memory, and importable without a change."""

import csv
import io
import os
import sys
import threading
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from channels.models import Channel
from people.models import AccessEvent
from segments.export import RowWriter, csv_pieces, formula_safe
from segments.models import Segment
from tests.factories import SegmentFactory

URL = "/channels/email/segments/export/"


def content(client: Client, query: str = "") -> bytes:
    response = client.get(URL + query)
    assert response.status_code == 200
    return b"".join(response.streaming_content)  # type: ignore[attr-defined]


def rows(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("plain", "plain"),
        ("", ""),
        ("'quoted", "'quoted"),
        ("''", "''"),
        ("a=1", "a=1"),
        ("=1+1", "'=1+1"),
        ("'=1+1", "''=1+1"),
        ("''@x", "'''@x"),
        *((f"{sign}x", f"'{sign}x") for sign in "=+-@\t\r\n\0＝＋－＠"),  # noqa: RUF001
        ("-", "'-"),
    ],
)
def test_formulas_get_one_more_apostrophe(cell: str, written: str) -> None:
    assert formula_safe(cell) == written


@pytest.mark.parametrize(
    ("delimiter", "row", "written"),
    [
        (",", ["VIP", "", "x y"], "VIP,,x y"),
        (",", ["a,b", "c"], '"a,b",c'),
        (",", ["VIP", "a;=1+1"], '"VIP","a;=1+1"'),
        (",", ["a\t=1+1", ""], '"a\t=1+1",""'),
        (";", ["a;b", "c"], '"a;b";c'),
        (";", ["VIP", "a,=1+1"], '"VIP";"a,=1+1"'),
        ("\t", ["a|@x", "c"], '"a|@x"\t"c"'),
        (",", ["VIP", "b\n=2"], '"VIP","b\n=2"'),
    ],
)
def test_row_that_another_spreadsheet_would_split_is_quoted(delimiter: str, row: list[str], written: str) -> None:
    text = io.StringIO(newline="")
    RowWriter(text, delimiter).write(row)
    assert text.getvalue() == f"{written}\r\n"


@pytest.mark.django_db
def test_file_is_utf8_with_mark_and_crlf(as_viewer: Client) -> None:
    SegmentFactory(name="Ärzte, „VIP“", segment_id="007", link="https://a.example/?a=1,2", active=False)
    assert content(as_viewer) == (
        b"\xef\xbb\xbfSegment name,Segment ID,Link,Active status\r\n"
        + '"Ärzte, „VIP“",007,"https://a.example/?a=1,2",Inactive\r\n'.encode()
    )


@pytest.mark.django_db
def test_download_is_an_attachment_that_is_not_guessed_at(as_viewer: Client) -> None:
    response = as_viewer.get(URL)
    assert response["Content-Disposition"] == 'attachment; filename="email-segments.csv"'
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.django_db
def test_labelled_segments_come_last(as_viewer: Client) -> None:
    SegmentFactory(name="a", segment_id="label", is_label=True)
    SegmentFactory(name="b", segment_id="label")
    SegmentFactory(name="c")
    SegmentFactory(name="d", segment_id="label", is_label=True)
    assert [row[0] for row in rows(content(as_viewer))[1:]] == ["b", "c", "a", "d"]


@pytest.mark.django_db
def test_search_and_filters_of_the_list_hold(as_viewer: Client) -> None:
    SegmentFactory(name="vip a")
    SegmentFactory(name="vip b", active=False)
    SegmentFactory(name="other")
    SegmentFactory(name="vip c", channel=Channel.objects.get(slug="sms"))
    assert [row[0] for row in rows(content(as_viewer, "?q=VIP&status=active&sort=-name"))[1:]] == ["vip a"]


@pytest.mark.django_db
def test_empty_channel_gives_the_header(as_viewer: Client) -> None:
    assert rows(content(as_viewer)) == [["Segment name", "Segment ID", "Link", "Active status"]]


@pytest.mark.django_db
def test_stranger_is_refused_and_nothing_is_put_there(as_marketer: Client, client: Client) -> None:
    assert client.get(URL).status_code == 302
    assert as_marketer.put(URL).status_code == 405
    assert as_marketer.get("/channels/fax/segments/export/").status_code == 404


@pytest.mark.django_db
def test_pieces_stay_small_however_many_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segments.export._BATCH", 10)
    for number in range(35):
        SegmentFactory(name=f"s {number:02}")
    pieces = list(csv_pieces(Segment.objects.all()))
    assert max(piece.count("\r\n") for piece in pieces) <= 11
    assert len(rows("".join(pieces).encode())) == 36


# ── the command ──


@pytest.mark.django_db
def test_command_writes_the_same_as_the_page(
    as_viewer: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    SegmentFactory(name="=1+1", segment_id="Ä")
    file = tmp_path / "out.csv"
    call_command("export_segments", channel="email", output=str(file))
    assert file.read_bytes() == content(as_viewer)
    assert list(tmp_path.iterdir()) == [file]
    call_command("export_segments", channel="email")
    assert capsys.readouterr().out.encode() == content(as_viewer)


@pytest.mark.django_db
def test_command_names_the_channels_when_it_does_not_know_one() -> None:
    with pytest.raises(CommandError, match="There is no channel 'fax'. Use one of: email, sms, meta.") as refused:
        call_command("export_segments", channel="fax")
    assert refused.value.returncode == 1


@pytest.mark.django_db
def test_command_leaves_nothing_where_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="could not be written"):
        call_command("export_segments", channel="email", output=str(tmp_path / "no" / "out.csv"))
    assert not list(tmp_path.iterdir())


@pytest.mark.django_db
def test_command_replaces_nothing_but_files(tmp_path: Path) -> None:
    SegmentFactory(name="VIP")
    pipe, link, file = (tmp_path / name for name in ("pipe", "link", "out.csv"))
    os.mkfifo(pipe)
    link.symlink_to(file)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    for path in (pipe, link):
        call_command("export_segments", channel="email", output=str(path))
    reader.join()
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert b"VIP" in file.read_bytes() == read[0]


@pytest.mark.django_db
def test_command_shows_no_progress_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    SegmentFactory()
    call_command("export_segments", channel="email")
    assert capsys.readouterr().err == ""
    assert not sys.stderr.isatty()


@pytest.mark.django_db
def test_an_export_by_command_is_recorded() -> None:
    call_command("export_segments", channel="email", stdout=io.StringIO())
    event = AccessEvent.objects.get()
    assert (str(event), event.user_agent) == ("Exported Segments of Email", "command line")
