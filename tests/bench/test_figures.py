"""How the benchmark tells its figures, and that docs/performance.md has a place for each row."""

import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def _as_its_scripts_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "bench"), *sys.path])


def test_a_figure_is_missed_only_beyond_its_must() -> None:
    from figures import Budget, Figure

    most, least = Budget(must=1.75, goal=1.2), Budget(" × faster", must=4, goal=10, least=True)
    assert [Figure("", value, most).cells[-1] for value in (1.2, 1.75, 1.754, 1.76)] == [
        "goal",
        "kept",
        "kept",
        "missed",
    ]
    assert [Figure("", value, least).cells[-1] for value in (10, 4, 3.99)] == ["goal", "kept", "missed"]


def test_a_figure_of_which_nothing_is_promised_has_no_verdict() -> None:
    from figures import Budget, Figure

    assert Figure("Rows", 3.0, Budget()).cells == ("Rows", "3.00 ×", "—", "—", "")


def test_ratios_are_taken_round_by_round() -> None:
    from figures import Budget, compared

    mine, theirs = [1.0, 20.0, 3.0], [2.0, 10.0, 3.0]
    assert compared("", "peer", mine, theirs, Budget()).value == 1.0
    assert compared("", "peer", [1.0], [4.0], Budget(least=True)).value == 4.0  # times faster


def test_only_the_part_of_a_row_is_written_anew(tmp_path: Path) -> None:
    from figures import put

    document = tmp_path / "performance.md"
    document.write_text("# A\n<!-- b -->\nold\n<!-- end of b -->\nC <!-- d --><!-- end of d -->", "utf-8")
    put(document, "b", "new \\1")
    assert document.read_text("utf-8") == "# A\n<!-- b -->\nnew \\1\n<!-- end of b -->\nC <!-- d --><!-- end of d -->"
    with pytest.raises(ValueError, match="no part"):
        put(document, "nowhere", "new")


def test_every_row_has_its_part_of_the_page() -> None:
    from run import DOCUMENT, ROWS

    text = DOCUMENT.read_text("utf-8")
    assert [
        name for name in (*ROWS, "load") if f"<!-- {name} -->" not in text or f"<!-- end of {name} -->" not in text
    ] == []
