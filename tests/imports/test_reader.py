"""A file's rows: lines, quotes, blank and ragged records, limits, and whatever else bytes may be."""

import csv
import io

import pytest
from hypothesis import example, given, strategies

from imports import lines
from imports.reader import Limits, Row, Table
from imports.unreadable import UnreadableFile


def table(data: bytes | str, limits: Limits | None = None) -> Table:
    return Table(io.BytesIO(data.encode() if isinstance(data, str) else data), limits)


def rows(data: bytes | str) -> list[Row]:
    return list(table(data).rows())


def refused(data: bytes | str, limits: Limits | None = None) -> tuple[str, int | None]:
    with pytest.raises(UnreadableFile) as caught:
        list(table(data, limits).rows())
    assert caught.value.message.endswith(".")
    return caught.value.code, caught.value.line


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_numbers_are_physical_lines_whatever_ends_them(end: str) -> None:
    text = end.join(["", "Name,ID", '"Two', 'lines",1', "", "VIP,2", '"a', "", 'b","', '"', "Last,3"])
    assert rows(text) == [
        (3, [f"Two{end}lines", "1"]),
        (6, ["VIP", "2"]),
        (7, [f"a{end}{end}b", end]),
        (11, ["Last", "3"]),
    ]


def test_no_other_character_ends_a_line() -> None:
    odd = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g"
    assert rows(f"Name,ID\n{odd},1\nVIP,2\n") == [(2, [odd, "1"]), (3, ["VIP", "2"])]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64])
def test_chunks_may_end_anywhere(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(lines, "CHUNK", size)
    text = '\ufeffName,ID\r\n"Två\r\nrader",\'=1\r\n\r\n\'\tx,"\'\r\n"\r\nSpäter,é\r\n'
    expected = [(2, ["Två\r\nrader", "=1"]), (5, ["\tx", "\r\n"]), (7, ["Später", "é"])]
    assert rows(text) == expected
    assert rows(text.encode("utf-16-le")) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Name,ID\n"Big ""spenders""",1', ['Big "spenders"', "1"]),
        ('Name,ID\n"a,b",1', ["a,b", "1"]),
        ("Name,ID\n'a,1", ["'a", "1"]),
        ("Name,ID\na\\,1", ["a\\", "1"]),
        ('Name,ID\n5" screen,1', ['5" screen', "1"]),
        ('Name,ID\n "a",1', [' "a"', "1"]),
        ("Name,ID\na\0b,1", ["a\0b", "1"]),
    ],
)
def test_quoting_is_rfc_4180_and_nothing_else(text: str, expected: list[str]) -> None:
    assert rows(text) == [(2, expected)]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ('Name,ID\nx,"y\nz,1\n', "unclosed_quote", 2),
        ('Name,ID\nx,1\ny,"z', "unclosed_quote", 3),
        ('Name,ID\n"a\nb","c\nd', "unclosed_quote", 3),
        ('Name,ID\n"VIP,1\nA,2\n"x, y",3\n', "unclosed_quote", 2),
        ('Name,ID\n"VIP,1\n' + "A,2\n" * 50_000, "unclosed_quote", 2),
        ('Name,ID\n"VIP,1\n' + "A,2\n" * 500_000 + '"x",3\n', "unclosed_quote", 2),
        ('Na"me,"ID\nx,1\n', "unclosed_quote", 1),
        ('Name,ID\n"Big" spenders,1\n', "text_after_quote", 2),
        ('Name,ID\nVIP,1\n"a""b" c,1\n', "text_after_quote", 3),
    ],
)
def test_a_quote_without_an_end_is_told_with_the_line_where_it_opens(text: str, code: str, line: int) -> None:
    assert refused(text) == (code, line)


def test_a_cell_may_have_131072_characters_and_no_more() -> None:
    assert len(rows(f"Name,ID\nVIP,{'é' * 131_072}\n")[0][1][1]) == 131_072
    assert refused(f"Name,ID\nVIP,{'é' * 131_073}\n") == ("cell_too_long", 2)
    assert refused('Name,ID\nVIP,"' + "y\n" * 70_000 + '"\nLapsed,1\n') == ("cell_too_long", 2)
    assert refused(f"Name,{'é' * 131_073}\nVIP,1\n") == ("cell_too_long", 1)


@pytest.mark.parametrize("record", ["x" * 3_000_000, "x," * 1_500_000, '"\n",' * 800_000, '"",' * 1_000_000])
def test_a_record_without_end_is_refused_before_it_fills_the_memory(record: str) -> None:
    code, line = refused(f"Name,ID\nVIP,1\n{record}")
    assert code in ("cell_too_long", "row_too_long")
    assert line == 3


def test_blank_records_are_counted_also_before_the_header() -> None:
    read = table("\n \u200b\nName,ID\n,\n\u00a0,\ufeff\nVIP,1\n\n\n")
    assert read.header_line == 3
    assert list(read.rows()) == [(6, ["VIP", "1"])]
    assert read.blank == 6


@pytest.mark.parametrize("nothing", ["", "\n", "\ufeff", "\ufeff\r\n,,\r\n", "sep=;\n"])
def test_a_file_without_a_header_is_empty(nothing: str) -> None:
    assert refused(nothing)[0] == "empty_file"


@pytest.mark.parametrize("text", ["Name,ID", "\nName,ID\n\n,\n"])
def test_a_header_without_rows_is_refused(text: str) -> None:
    assert refused(text)[0] == "no_data_rows"


def test_headers_are_trimmed_and_equal_ones_stay() -> None:
    assert table(" Segment \u00a0 name\u200b,ID,,ID\nVIP,1,2,3\n").header == ["Segment name", "ID", "", "ID"]


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("Name,ID,,\nVIP,1,,\n", ["Name", "ID"]),
        ("Name,ID,,\nVIP,1,,\nLapsed,2,x,\n", ["Name", "ID", ""]),
        ("Name,ID,,\nVIP,1\n" + "Lapsed,2\n" * 3000 + "Late,3,,x,y\n", ["Name", "ID", "", ""]),
        ("Name" + "," * 700 + "\nVIP\n", ["Name"]),
    ],
)
def test_trailing_columns_without_header_are_left_out_only_if_all_blank(text: str, header: list[str]) -> None:
    assert table(text).header == header


def test_500_columns_can_be_read_and_no_more() -> None:
    assert len(table(",".join(["x"] * 500) + "\nVIP\n").header) == 500
    assert refused(",".join(["x"] * 501) + "\nVIP\n") == ("too_many_columns", 1)


def test_the_limit_of_rows_counts_rows_that_are_not_blank() -> None:
    limits = Limits(rows=3)
    assert len(list(table("Name\na\n\nb\n\nc\n\n", limits).rows())) == 3
    assert refused("Name\na\n\nb\nc\nd\n", limits) == ("too_many_rows", 6)


def test_blank_rows_have_the_same_limit_for_themselves() -> None:
    limits = Limits(rows=3)
    assert len(list(table("Name\na\n\nb\n\nc\n\n", limits).rows())) == 3
    assert refused("Name\na\n\n\n\n\n", limits) == ("too_many_rows", 6)
    assert refused("\n\n\n\nName\na\n", limits) == ("too_many_rows", 4)


@pytest.mark.parametrize(
    "text",
    [
        "Name\n" + "'" * 120_000,
        "Name\n" + "','" * 40_000,
        "Name\n" + '"' * 120_000,
        '",' * 30_000 + "\nVIP\n",
        "<!---->" * 9_000 + "\nVIP\n",
        " " * 60_000 + "<\nVIP\n",
    ],
)
def test_runs_of_one_sign_take_no_longer_than_other_text(text: str) -> None:
    """There is nothing to see but that this ends: patterns that try again from each sign would not."""
    refusal = None
    try:
        list(table(text).rows())
    except UnreadableFile as error:
        refusal = error
    assert refusal is None or refusal.message


def test_a_header_has_no_nul_which_no_database_stores() -> None:
    assert table("Na\0me,ID\nVIP,1\n").header == ["Na␀me", "ID"]


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("'=1", "=1"),
        ("''=1", "'=1"),
        ("'＝1", "＝1"),
        ("'\tx", "\tx"),
        ("'\0", "\0"),
        ("'90s kids", "'90s kids"),
        ("'", "'"),
        (" '=1", " '=1"),
        ("=1", "=1"),
    ],
)
def test_one_quote_in_front_of_a_formula_sign_is_taken_off(cell: str, read: str) -> None:
    assert rows(f"Name,ID\nVIP,{cell}\n") == [(2, ["VIP", read])]


def test_rows_can_be_read_again_and_again() -> None:
    read = table("Name,ID\nVIP,1\n\nLapsed,2\n")
    assert list(read.rows()) == list(read.rows()) == read.sample()
    assert read.blank == 1


def test_a_sample_is_bounded_by_rows_and_by_size() -> None:
    assert len(table("Name\n" + "x\n" * 5000).sample()) == 1000
    assert len(table("Name\n" + ("x" * 100_000 + "\n") * 50).sample()) == 10


CELLS = strategies.text(
    strategies.characters(exclude_categories=["Cs", "Cc"]) | strategies.sampled_from("\r\n\t"), max_size=12
)


def written(records: list[list[str]], delimiter: str, end: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(records)
    return out.getvalue()


@given(
    strategies.lists(strategies.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8),
    strategies.sampled_from(",;\t|"),
    strategies.sampled_from(["\n", "\r\n", "\r"]),
    strategies.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
)
def test_what_a_csv_writer_wrote_is_read_as_it_was(
    records: list[list[str]], delimiter: str, end: str, encoding: str
) -> None:
    safe = [["x" + cell for cell in record] for record in records]  # none blank, none with a formula's sign
    data = written([["Name", "ID", "Link"], *safe], delimiter, end).encode(encoding)
    assert [cells for _line, cells in rows(data)] == safe


CSV_LIKE = strategies.text(strategies.sampled_from("ab,;\t|\"'=\r\n \0é\u200b"), max_size=60).map(str.encode)
BYTES = strategies.one_of(
    strategies.binary(max_size=300),
    CSV_LIKE,
    CSV_LIKE.map(lambda data: b"Name,ID\n" + data),
    strategies.tuples(CSV_LIKE, strategies.binary(max_size=8)).map(b"".join),
    strategies.text(max_size=60).map(lambda text: text.encode("utf-16-le", "surrogatepass")),
)


@given(BYTES)
@example(b"\xff\xfe\x00")
@example(b'Name\n"\r')
def test_any_bytes_are_a_table_or_a_sentence(data: bytes) -> None:
    refusal = None
    try:
        read = table(data)
        first = list(read.rows())
    except UnreadableFile as error:
        refusal = error
    if refusal:
        assert refusal.code
        assert refusal.message[0].isupper()
        assert refusal.message.endswith(".")
        return
    assert first
    assert read.header
    assert [line for line, _cells in first] == sorted({line for line, _cells in first})
    assert first == list(read.rows())
