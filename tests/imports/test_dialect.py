"""How a file is found to be encoded and separated, and what is refused by its first bytes."""

import codecs
import io
import zipfile

import pytest

from imports.dialect import DELIMITERS, ENCODINGS, Dialect, detect, encoding_named
from imports.unreadable import UnreadableFile

TEXT = "Segment name,Segment ID\nCafé fidélité,fr-1\n"


def found(data: bytes, **chosen: str) -> Dialect:
    return detect(io.BytesIO(data), **chosen)


def refused(data: bytes, **chosen: str) -> UnreadableFile:
    with pytest.raises(UnreadableFile) as caught:
        found(data, **chosen)
    return caught.value


@pytest.mark.parametrize(
    ("data", "encoding", "guessed"),
    [
        (TEXT.encode(), "utf-8", False),
        (b"Segment name\nVIP\n", "utf-8", False),
        (codecs.BOM_UTF8 + TEXT.encode(), "utf-8-bom", False),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), "utf-16-le", False),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "utf-16-be", False),
        (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), "utf-32-le", False),
        (codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"), "utf-32-be", False),
        (TEXT.encode("utf-16-le"), "utf-16-le", True),
        (TEXT.encode("utf-16-be"), "utf-16-be", True),
        (TEXT.encode("utf-32-le"), "utf-32-le", True),
        (TEXT.encode("utf-32-be"), "utf-32-be", True),
        ("Segment name,Segment ID\n忠诚客户,高\n".encode("utf-16-le"), "utf-16-le", True),
        (TEXT.encode("cp1252"), "cp1252", True),
        (b"Segment name,ID\nBad\0name,z-2\nBad ID,z\0-3\nGood again,z-4\n", "utf-8", False),
    ],
)
def test_encoding_is_the_mark_then_zero_bytes_then_strict_utf8_then_windows_1252(
    data: bytes, encoding: str, guessed: bool
) -> None:
    assert found(data)[0] == encoding
    assert found(data).guessed is guessed


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("a\né\n".encode() + b"\xe9\n", 3),
        (b"a\n\xe9\n" + "é\n".encode(), 2),
        ("a\r\né\r\nb\r".encode() + b"\xff,", 4),
        ("é\n".encode() + b"x" * 200_000 + b"\n\xe9", 3),
        ("a\né".encode()[:-1] + b"", None),
        ("é\né".encode()[:-1], 2),
    ],
)
def test_broken_utf8_beside_correct_multibyte_utf8_is_an_error_with_its_line(data: bytes, line: int | None) -> None:
    if line is None:
        assert found(data).encoding == "cp1252"  # a lone letter of Windows-1252
    else:
        error = refused(data)
        assert (error.code, error.line) == ("undecodable", line)


def test_a_multibyte_character_over_two_chunks_is_seen() -> None:
    data = b"x" * (64 * 1024 - 1) + "é".encode() + b"\n\xe9"
    assert refused(data).code == "undecodable"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8", "utf-32", "shift_jis"])
def test_text_without_latin_letters_is_no_binary_file(encoding: str) -> None:
    text = "顧客,高\n" + "".join(map(chr, range(0x4E00, 0x4E50))) + "\n"
    if encoding == "shift_jis":
        text = "".join(c for c in text if c.encode("shift_jis", "ignore"))
    assert detect(io.BytesIO(text.encode(encoding)), "shift_jis" if encoding == "shift_jis" else "").delimiter == ","


def test_a_chosen_encoding_is_taken_as_it_is() -> None:
    assert found(TEXT.encode(), encoding="cp1252") == Dialect("cp1252", ",")
    assert found(codecs.BOM_UTF8 + TEXT.encode(), encoding="utf-8").encoding == "utf-8-bom"
    assert found(codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), encoding="utf-16").encoding == "utf-16-be"
    assert found(TEXT.encode("utf-16-be"), encoding="utf-16").encoding == "utf-16-be"
    assert found(b"ab", encoding="utf-16").encoding == "utf-16-le"


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_that_is_offered_can_be_read(name: str) -> None:
    assert found("Segment name,Segment ID\nVIP,1\n".encode(name), encoding=name).delimiter == ","


def test_an_encoding_may_be_called_by_its_other_names() -> None:
    assert encoding_named("Latin1") == "iso-8859-1"
    assert encoding_named("windows-1252") == "cp1252"
    assert encoding_named("UTF8") == "utf-8"
    assert encoding_named("utf-16-le") == "utf-16-le"
    for unknown in ("nonsense", "hex", "cp037"):
        with pytest.raises(LookupError):
            encoding_named(unknown)


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_delimiter_is_the_one_that_gives_the_header_most_cells(delimiter: str) -> None:
    header = delimiter.join(["Segment name", "Segment ID", '"Link; with, many | signs;;;,,,|||"'])
    assert found(f"{header}\nVIP\n".encode()).delimiter == delimiter


@pytest.mark.parametrize(
    ("text", "delimiter", "sep_line"),
    [
        ("Segment name\nShoes, bags\n", "", False),
        ("\n,,,\n;;\nSegment name,ID\n", ",", False),
        (";;\n", ";", False),
        ("sep=;\r\nName,x;ID\r\n", ";", True),
        ("SEP=\t\nName\tID\n", "\t", True),
        ('"sep=|"\nName|ID\n', "|", True),
        ("sep=;;\nName;ID\n", ";", False),
    ],
)
def test_first_line_sep_sets_the_delimiter_and_one_column_has_none(text: str, delimiter: str, sep_line: bool) -> None:
    assert found(text.encode()) == Dialect("utf-8", delimiter, False, sep_line)


def test_a_chosen_delimiter_wins_over_the_sep_line() -> None:
    assert found(b"sep=;\nName;ID\n", delimiter="|") == Dialect("utf-8", "|", False, True)


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "Excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "Excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le"), "password"),
        (zipped("[Content_Types].xml", "word/document.xml"), "Word"),
        (zipped("segments.csv"), "zip"),
        (b"PK\x05\x06" + bytes(18), "zip"),
        (b"\x1f\x8b\x08" + bytes(20), "gzip"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        (b"Rar!\x1a\x07\x00", "RAR"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "PNG"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "JPEG"),
        (b"GIF89a" + bytes(20), "GIF"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "WebP"),
        (b"BM\0\0\0\0\0\0\0\0", "BMP"),
        (b"\0\0\0\x18ftypheic", "image"),
        (b"  \n<!DOCTYPE HTML><html>", "web page"),
        (b"\xef\xbb\xbf<html lang=en>", "web page"),
        (b"<table><tr><td>Segment name</td></tr>", "web page"),
        (b"<?xml version='1.0'?><html>", "web page"),
        (b"<?xml version='1.0'?><Workbook>", "XML"),
        (b"\x7fELF\x02\x01", "program"),
        (bytes(range(256)) * 20, "not a text file"),
        (bytes(5000), "not a text file"),
    ],
)
def test_what_is_no_text_is_refused_by_name_with_what_to_do(head: bytes, word: str) -> None:
    error = refused(head)
    assert error.code == "not_csv"
    assert word in error.message
    assert error.message.count(".") >= 2  # what it is, and what to do


def test_an_empty_file_is_refused() -> None:
    assert refused(b"").code == "empty_file"


def test_text_that_begins_like_an_image_is_text() -> None:
    assert found(b"BMI band,Segment ID\nunder 25,1\n").delimiter == ","
    assert found(b"<b>bold</b>,Segment ID\nx,1\n").delimiter == ","
