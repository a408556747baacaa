"""What a row of the benchmark comes to: figures, each beside what it must be and what it should be.

Goes in: numbers that were measured. Comes out: lines for a terminal, and the parts of docs/performance.md that the
benchmark itself writes. Must not know: what is measured, or how.
"""

import re
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HEADER = ("What", "Measured", "Must", "Goal", "")


@dataclass(frozen=True)
class Budget:
    """What a figure must and should be: at most, or with `least` at least; None where nothing is promised."""

    unit: str = " ×"
    must: float | None = None
    goal: float | None = None
    least: bool = False
    digits: int = 2

    def told(self, limit: float | None) -> str:
        """Put a limit into words."""
        return "—" if limit is None else f"{'≥' if self.least else '≤'} {limit:,g}{self.unit}"

    def holds(self, value: float, limit: float | None) -> bool:
        """Whether `value`, as it is printed, keeps to `limit`."""
        value = round(value, self.digits)
        return limit is None or (value >= limit if self.least else value <= limit)


@dataclass(frozen=True)
class Figure:
    """One measured number, what is to be said beside it, and its budget."""

    what: str
    value: float
    budget: Budget
    beside: str = ""

    @property
    def is_missed(self) -> bool:
        """Whether it is not what it must be."""
        return not self.budget.holds(self.value, self.budget.must)

    @property
    def cells(self) -> tuple[str, ...]:
        """One row of a table: see HEADER."""
        budget = self.budget
        measured = f"{self.value:,.{budget.digits}f}{budget.unit}{self.beside and '; ' + self.beside}"
        verdict = "missed" if self.is_missed else "" if budget.must is None else "kept"
        if verdict and budget.goal is not None and budget.holds(self.value, budget.goal):
            verdict = "goal"
        return self.what, measured, budget.told(budget.must), budget.told(budget.goal), verdict


def compared(what: str, peer: str, mine: list[float], theirs: list[float], budget: Budget) -> Figure:
    """The median of the ratios round by round, in the sense of the budget: times as long, or times faster."""
    ratios = sorted(other / one if budget.least else one / other for one, other in zip(mine, theirs, strict=True))
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}; " if len(ratios) > 1 else ""
    beside = f"{spread}{statistics.median(mine):.2f} s, {peer} {statistics.median(theirs):.1f} s"
    return Figure(what, statistics.median(ratios), budget, beside)


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def put(document: Path, name: str, text: str) -> None:
    """Write `text` into the part of the document between the marks `<!-- name -->` and `<!-- end of name -->`."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    was = document.read_text("utf-8")
    now, parts = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{text}\n{end}", was, flags=re.DOTALL
    )
    if parts != 1:
        raise ValueError(f"{document} has no part, or several, between {begin} and {end}.")
    document.write_text(now, "utf-8")
