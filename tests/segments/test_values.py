"""The rules of RULES.md "Values" and folding, as tables."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segments import values
from segments.values import RowError, SegmentValues, clean, fold, folded_key, identity_key


def codes(**cells):
    cells = {"name": "VIP"} | cells
    result = clean(**cells)
    return [] if isinstance(result, SegmentValues) else [(error.field, error.code) for error in result]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("VIP", "VIP"),
        ("  VIP \u00a0customers\t", "VIP customers"),
        ("Two\r\nlines", "Two lines"),
        ("\ufeffBOM\u200b", "BOM"),
        ("e\u0301t\u00e9", "été"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("=1+1", "=1+1"),
        ("👩\u200d👩\u200d👧 family", "👩\u200d👩\u200d👧 family"),
        ("x" * 255, "x" * 255),
        ("e\u0301" * 255, "é" * 255),
    ],
)
def test_a_name_is_trimmed_joined_and_composed_and_otherwise_kept(text, name):
    assert values.clean_name(text) == name


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "name_required"),
        (" \u200b\u2060\ufeff\t", "name_required"),
        ("x" * 256, "name_too_long"),
        ("é" * 256, "name_too_long"),
        ("Bad\0name", "control_character"),
        ("Bad\x1cname", "control_character"),
        ("Bad\x7fname", "control_character"),
        ("Bad\u202ename", "control_character"),
        ("Bad\ufffdname", "control_character"),
        ("Bad" + chr(0xD800) + "name", "control_character"),
    ],
)
def test_a_name_that_breaks_a_rule_is_refused_by_its_code(text, code):
    assert codes(name=text) == [("name", code)]


@pytest.mark.parametrize("text", ["007", "1E+05", "9" * 30, "A-b_C", "two words", "i" * 255])
def test_a_segment_id_is_kept_as_it_is(text):
    assert clean("VIP", f" {text}\u200b").segment_id == text


@pytest.mark.parametrize(("text", "code"), [("i" * 256, "id_too_long"), ("z\x00-3", "control_character")])
def test_a_segment_id_that_breaks_a_rule_is_refused_by_its_code(text, code):
    assert codes(segment_id=text) == [("segment_id", code)]


@pytest.mark.parametrize(
    "link",
    [
        "",
        "http://example.com",
        "https://example.com/a?b=c&d=%20e#f",
        "HTTPS://Example.com/X",
        "http://metabase:3000/question/7",
        "http://127.0.0.1:8000/",
        "http://[2001:db8::7]:8080/",
        "https://käse.example/",
        "https://例え.テスト/",
        "https://example.com./",
        "https://example.com?q=ä",
        "https://example.com/" + "a" * 2028,
    ],
)
def test_a_link_that_can_be_opened_is_accepted(link):
    assert clean("VIP", link=link).link == link


@pytest.mark.parametrize(
    ("link", "code"),
    [
        ("javascript:alert(1)", "url_scheme"),
        ("www.example.com/a", "url_scheme"),
        ("/segments/1", "url_scheme"),
        ("file:///etc/passwd", "url_scheme"),
        ("mailto:someone@example.com", "url_scheme"),
        ("https://example.com/a b", "url_invalid"),
        ("https://example.com/\x07", "url_invalid"),
        ("https:///a", "url_invalid"),
        ("https://example.com:port/", "url_invalid"),
        ("https://example.com:65536/", "url_invalid"),
        ("https://-shop.example.com/", "url_invalid"),
        ("https://shop-.example.com/", "url_invalid"),
        ("https://shop..example.com/", "url_invalid"),
        ("https://my_shop.example.com/", "url_invalid"),
        ("https://" + "a" * 64 + ".example/", "url_invalid"),
        ("http://[::1", "url_invalid"),
        ("http://[::zz]/", "url_invalid"),
        ("http://1.2.3.999/", "url_invalid"),
        ("https://good.example\\@bad.example/", "url_invalid"),
        ("https://user:secret@example.com/", "url_credentials"),
        ("https://example.com/" + "a" * 2029, "url_too_long"),
    ],
)
def test_a_link_that_cannot_be_opened_safely_is_refused_by_its_code(link, code):
    assert codes(link=link) == [("link", code)]


@pytest.mark.parametrize("word", ["TRUE", "t", "Yes", "y", "1", "active", "ON", "enabled", " true "])
def test_every_word_for_active_is_understood(word):
    assert clean("VIP", active=word).active is True


@pytest.mark.parametrize("word", ["false", "F", "No", "n", "0", "Inactive", "off", "disabled"])
def test_every_word_for_inactive_is_understood(word):
    assert clean("VIP", active=word).active is False


@pytest.mark.parametrize("word", ["maybe", "2", "-", "truee", "on hold"])
def test_any_other_word_is_refused(word):
    assert codes(active=word) == [("active", "active_unknown")]


def test_a_blank_status_is_blank():
    assert clean("VIP", active=" \u00a0").active is None


def test_a_row_tells_all_its_errors_with_their_values():
    assert codes(name="", segment_id="\x00", link="x", active="maybe") == [
        ("name", "name_required"),
        ("segment_id", "control_character"),
        ("link", "url_scheme"),
        ("active", "active_unknown"),
    ]
    (error,) = clean("VIP", active="maybe " * 100)
    assert isinstance(error, RowError)
    assert len(error.value) == 200


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("VIP", "vip", True),
        ("É", "é", True),
        ("É", "E\u0301", True),
        ("É", "e", False),
        ("Straße", "STRASSE", True),
        ("10² club", "102 club", False),
        ("a  b", " A\u00a0B ", True),
    ],
)
def test_names_are_the_same_without_case_and_with_single_spaces(one, other, same):
    assert (fold(one) == fold(other)) is same
    assert (identity_key(one, "") == identity_key(other, "")) is same


def test_an_id_identifies_with_case_and_a_label_does_not_identify():
    assert identity_key("VIP", "a") != identity_key("VIP", "A")
    assert identity_key("VIP", "a") == identity_key("Other", "a")
    assert identity_key("VIP", "spring", label=True) == identity_key("VIP", "")


def test_long_folded_names_keep_their_difference():
    one, other = "ﬃ" * 254 + "a", "ﬃ" * 254 + "b"
    assert len(folded_key(one)) <= 255
    assert folded_key(one) != folded_key(other)
    assert folded_key(one) == folded_key(one.upper())


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=60), st.text(max_size=8))
def test_what_was_accepted_once_is_accepted_unchanged_again(name, segment_id, link, active):
    first = clean(name, segment_id, link, active)
    if isinstance(first, SegmentValues):
        again = clean(first.name, first.segment_id, first.link, "" if first.active is None else str(first.active))
        assert again == first
        assert unicodedata.is_normalized("NFC", first.name)
        assert fold(fold(first.name)) == fold(first.name)
    else:
        assert all(error.message.endswith(".") for error in first)
