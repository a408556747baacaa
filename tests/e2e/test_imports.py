"""A file from the drop zone to the segments, in a real browser: with script, without it, and in odd cases."""

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Locator, Page, expect

from channels.models import Channel
from imports.models import ImportJob
from jobs import lease
from jobs.runner import perform
from segments.models import Segment

pytestmark = pytest.mark.django_db(transaction=True)

SAMPLES = Path(__file__).parent.parent / "data" / "csv-samples"
MANIFEST = {entry["file"]: entry for entry in json.loads((SAMPLES / "manifest.json").read_text("utf-8"))["files"]}
TEN = (
    "01_plain.csv",
    "03_utf16_le.csv",
    "05_windows1252.csv",
    "08_tab.csv",
    "10_quotes_and_newlines.csv",
    "15_ragged_rows.csv",
    "19_whitespace.csv",
    "20_emoji_rtl_cjk.csv",
    "22_bad_links.csv",
    "24_duplicates_in_file.csv",
)


@pytest.fixture(autouse=True)
def _worker() -> Iterator[None]:
    """A worker beside the test, as beside the website."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.1):
            while job := lease.claim("worker of the test"):
                perform(job)
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join()


def choose(page: Page, name: str, channel: str = "SMS") -> None:
    """Upload a sample file into a channel."""
    page.goto("/data/upload/")
    page.get_by_role("checkbox", name=re.compile(f"^{channel}")).check()
    page.get_by_label("CSV file").set_input_files(SAMPLES / name)
    page.get_by_role("button", name="Continue to match columns").click()


def tally(page: Page) -> dict[str, int]:
    """The numbers of the page of an import that is done."""
    expect(page.get_by_role("link", name="See the segments")).to_be_visible()
    counts = {}
    for fact in page.locator(".tally > div").all():
        label = fact.locator("dt").inner_text().split("\n")[0].lower()
        counts[label] = int(fact.locator("dd").inner_text().replace(",", ""))
    return counts


def look(page: Page, done: Locator) -> None:
    """Ask how far it is, as one does without script, until `done` is there."""
    link = page.get_by_role("link", name="See how far it is")
    expect(done.or_(link)).to_be_visible()
    while not done.is_visible():
        with page.expect_navigation():
            link.click()


def segments(channel: str) -> list[dict[str, Any]]:
    """What a channel holds, as the manifest says it."""
    fields = ("name", "segment_id", "link", "active")
    return list(Segment.objects.filter(channel__slug=channel).order_by("created_line").values(*fields))


def test_semicolon_file_goes_from_the_drop_zone_into_the_segments_of_sms(page: Page) -> None:
    choose(page, "07_semicolon.csv")
    expect(page.get_by_role("heading", name="Match your columns")).to_be_visible()
    expect(page.get_by_label("CSV column for Segment name")).to_have_value("1")
    expect(page.locator("#preview tbody tr")).to_have_count(4)
    expect(page.locator("#stick")).to_contain_text("4 ready")
    page.get_by_role("button", name="Upload and Import").click()
    expect(page.get_by_role("heading", name="4 of 4 rows imported")).to_be_visible()
    expect(page.locator("#nav-count-sms")).to_contain_text("4")
    page.get_by_role("link", name="See the segments").click()
    expect(page.get_by_role("link", name="Shoes, bags and hats")).to_be_visible()
    assert segments("sms") == MANIFEST["07_semicolon.csv"]["expected"]["segments"]


@pytest.mark.parametrize("name", TEN)
def test_sample_ends_in_the_browser_as_the_manifest_says(page: Page, name: str) -> None:
    expected = MANIFEST[name]["expected"]
    choose(page, name)
    page.get_by_role("button", name="Upload and Import").click()
    counts = tally(page)
    wanted = expected["counts"]
    assert counts == {
        "created": wanted["created"],
        "updated": wanted["updated"],
        "unchanged": wanted.get("unchanged", 0),
        "skipped": wanted["skipped"],
        "errors": wanted["error_rows"],
    }
    if "segments" in expected:
        assert segments("sms") == expected["segments"]
    lines = [int(text.replace(",", "")) for text in page.locator("#errors tbody td:first-child").all_inner_texts()]
    assert sorted(set(lines)) == sorted({row["line"] for row in expected["error_rows"]})


def test_columns_are_matched_by_hand_and_the_preview_follows(page: Page) -> None:
    choose(page, "07_semicolon.csv")
    page.get_by_role("group", name="Segment ID", exact=True).get_by_text("Static value").click()
    expect(page.get_by_text("Give the value for all rows, or leave this unmapped.").first).to_be_visible()
    expect(page.get_by_role("button", name="Upload and Import")).to_be_disabled()
    page.get_by_label("Value for Segment ID").fill("spring")
    page.get_by_label("Value for Segment ID").press("Tab")
    expect(page.get_by_text("The same ID for every row is a label")).to_be_visible()
    expect(page.locator("#preview tbody tr").first).to_contain_text("spring")
    page.get_by_label("CSV column for Segment name").select_option("Link")
    expect(page.locator("#preview tbody tr").first).to_contain_text("https://")
    page.get_by_label("CSV column for Segment name").select_option("Segment name")
    page.get_by_role("button", name="Upload and Import").click()
    tally(page)
    assert {segment["segment_id"] for segment in segments("sms")} == {"spring"}


def test_value_that_was_only_just_typed_is_imported(page: Page) -> None:
    choose(page, "07_semicolon.csv")
    page.get_by_role("group", name="Link", exact=True).get_by_text("Static value").click()
    page.get_by_label("Value for Link").fill("https://example.com/all")
    page.get_by_role("button", name="Upload and Import").click()
    tally(page)
    assert {segment["link"] for segment in segments("sms")} == {"https://example.com/all"}


def test_encoding_is_shown_and_changed_where_it_was_guessed(page: Page) -> None:
    choose(page, "05_windows1252.csv")
    expect(page.get_by_text("We guessed the encoding.")).to_be_visible()
    expect(page.locator("pre.raw mark").first).to_be_visible()
    page.get_by_label("Encoding").select_option("Mac Roman")
    expect(page.locator("#preview tbody tr").first).not_to_contain_text("€")
    page.get_by_label("Encoding").select_option("Windows-1252")
    expect(page.locator("#preview tbody tr").first).to_contain_text("€")


def test_delimiter_is_changed(page: Page) -> None:
    choose(page, "08_tab.csv")
    page.get_by_text("How we read it").click()
    page.get_by_role("radio", name="Comma").check(force=True)
    expect(page.get_by_text("Gives 1 column", exact=True)).to_be_visible()
    page.get_by_role("radio", name="Tab").check(force=True)
    expect(page.get_by_text("Gives 1 column", exact=True)).to_be_hidden()
    expect(page.get_by_label("CSV column for Segment name")).to_have_value("1")


def test_errors_are_shown_on_demand_and_downloaded_in_the_end(page: Page) -> None:
    choose(page, "22_bad_links.csv")
    page.get_by_role("navigation", name="Show").get_by_role("link", name="With errors").click()
    expect(page.locator("#preview tbody tr")).to_have_count(11)
    page.get_by_role("button", name="Upload and Import").click()
    tally(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download error rows").click()
    assert download.value.suggested_filename == "22_bad_links-errors.csv"
    assert Path(download.value.path()).read_text("utf-8-sig").startswith("Line,Error,")


def test_excel_file_is_refused_by_name(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "segments_final.csv"
    file.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    choose(page, str(file))
    expect(page.get_by_role("alert")).to_contain_text("“segments_final.csv” is not a CSV file")
    expect(page.get_by_role("alert")).to_contain_text("Excel workbook")
    expect(page.get_by_role("checkbox", name=re.compile("^SMS"))).to_be_checked()


def test_list_of_people_is_taken_only_when_somebody_has_said_that_it_is_none(page: Page) -> None:
    choose(page, "34_people_not_segments.csv")
    expect(page.get_by_role("heading", name="This looks like a list of people, not of segments")).to_be_visible()
    assert not ImportJob.objects.exists()
    page.get_by_label("I have checked it").check()
    page.get_by_label("CSV file").set_input_files(SAMPLES / "34_people_not_segments.csv")
    page.get_by_role("button", name="Continue to match columns").click()
    expect(page.get_by_text("Say which column holds the segment name").first).to_be_visible()
    expect(page.get_by_role("button", name="Upload and Import")).to_be_disabled()


def test_file_need_not_be_chosen_again_where_no_channel_was_ticked(plain_page: Page) -> None:
    page = plain_page
    page.goto("/data/upload/")
    page.get_by_label("CSV file").set_input_files(SAMPLES / "07_semicolon.csv")
    page.get_by_role("button", name="Continue to match columns").click()
    expect(page.get_by_role("alert")).to_contain_text("“07_semicolon.csv” is kept. You need not choose it again.")
    page.get_by_role("checkbox", name=re.compile("^SMS")).check()
    page.get_by_role("button", name="Continue to match columns").click()
    expect(page.get_by_role("heading", name="Match your columns")).to_be_visible()


def test_name_of_the_chosen_file_is_shown(page: Page) -> None:
    page.goto("/data/upload/")
    page.get_by_label("CSV file").set_input_files(SAMPLES / "07_semicolon.csv")
    expect(page.locator(".drop")).to_contain_text("07_semicolon.csv")


def test_large_file_is_checked_in_the_background(page: Page, settings: Any) -> None:
    settings.IMPORT_CHECK_IN_REQUEST_BYTES = 0
    choose(page, "07_semicolon.csv")
    expect(page.locator("#stick")).to_contain_text("4 ready")
    page.get_by_role("button", name="Upload and Import").click()
    assert tally(page)["created"] == 4


def test_import_goes_through_several_channels(page: Page) -> None:
    page.goto("/data/upload/?channel=email&channel=meta")
    page.get_by_label("CSV file").set_input_files(SAMPLES / "07_semicolon.csv")
    page.get_by_role("button", name="Continue to match columns").click()
    page.get_by_role("navigation", name="Channel").get_by_role("link", name="Meta").click()
    expect(page.locator("#preview")).to_contain_text("as they will be saved in Meta")
    page.get_by_role("button", name="Upload and Import").click()
    expect(page.get_by_role("heading", name="4 of 4 rows imported in each of 2 channels")).to_be_visible()
    counts = dict(Channel.objects.values_list("slug", "segment_count"))
    assert counts == {"email": 4, "sms": 0, "meta": 4}


@pytest.mark.parametrize("in_request", [True, False], ids=["small", "large"])
def test_everything_works_without_script(plain_page: Page, settings: Any, in_request: bool) -> None:
    page = plain_page
    if not in_request:
        settings.IMPORT_CHECK_IN_REQUEST_BYTES = 0
    choose(page, "22_bad_links.csv")
    page.get_by_label("Leave unmapped").nth(2).check(force=True)
    with page.expect_navigation():
        page.get_by_role("button", name="Check again").click()
    look(page, page.locator("#stick").get_by_text("18 ready"))
    with page.expect_navigation():
        page.get_by_role("button", name="Upload and Import").click()
    look(page, page.get_by_role("link", name="See the segments"))
    assert tally(page)["created"] == 18


def test_nothing_is_wider_than_a_phone(phone: Page) -> None:
    choose(phone, "22_bad_links.csv")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.get_by_role("button", name="Upload and Import").click()
    tally(phone)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
