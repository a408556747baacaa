"""Measure the product against its budgets, as ratios within one run, and write down what came of it.

    make bench                       every row, written into docs/performance.md: about an hour
    make bench ROW=postgresql        one of them; `make bench ROW=sizes ROUNDS=1` in fewer rounds
    make bench QUICK=1               a small form of each, to see that it runs; writes nothing

Rounds alternate which of the two goes first; medians are printed. What could not be run for lack of a database or a
program is named on a line of its own, and the status is then not zero, unless ALLOW_MISSING=1.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import acting
import peers
import reading
import serving
import sizes
import syncing
import writing
from figures import HEADER, Figure, markdown, put
from machine import ROOT, WORK, Missing, describe, load, tidied

ROWS: dict[str, tuple[Callable[[int, int], Iterator[Figure]], int]] = {
    "postgresql": (writing.on_postgresql, 1_000_000),
    "sqlite": (writing.on_sqlite, 200_000),
    "fastest": (peers.fastest_on_postgresql, 100_000),
    "fastest-sqlite": (peers.fastest_on_sqlite, 100_000),
    "checked": (peers.checked_on_postgresql, 10_000),
    "checked-sqlite": (peers.checked_on_sqlite, 10_000),
    "sizes": (sizes.on_postgresql, 1_000_000),
    "sizes-sqlite": (sizes.on_sqlite, 200_000),
    "history": (writing.history_on_postgresql, 1_000_000),
    "history-sqlite": (writing.history_on_sqlite, 200_000),
    "many": (acting.on_postgresql, 300_000),
    "many-sqlite": (acting.on_sqlite, 200_000),
    "page": (reading.on_postgresql, 1_000_000),
    "page-sqlite": (reading.on_sqlite, 200_000),
    "queries": (reading.queries_on_postgresql, 2_000),
    "queries-sqlite": (reading.queries_on_sqlite, 2_000),
    "sync": (syncing.of_klaviyo, 1_000),
    "start": (serving.starts, 0),
    "weight": (serving.weighs, 0),
}
QUICK = 300
DOCUMENT = ROOT / "docs" / "performance.md"


def main() -> int:
    """Print one line a figure: what, measured, must, goal, and whether it was kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("row", nargs="*", choices=[*ROWS, []], help=f"one of {', '.join(ROWS)}; all without")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="few rows, one round")
    parser.add_argument("--write", action="store_true", help="write the figures into docs/performance.md")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    print(f"{describe()}, load {load()}", flush=True)
    missing, missed = [], []
    with tidied():
        for name in options.row or ROWS:
            try:
                figures = measured(name, options.rounds, quick=options.quick, write=options.write)
            except Missing as why:
                missing.append(f"NOT RUN: {name}: {why}")
                print(missing[-1], flush=True)
            else:
                missed += [figure.what for figure in figures if figure.is_missed]
    print(*missing, *(f"MISSED: {what}" for what in missed if not options.quick), f"load {load()}", sep="\n")
    return bool(missing and os.environ.get("ALLOW_MISSING") != "1")


def measured(name: str, rounds: int, *, quick: bool, write: bool) -> list[Figure]:
    """Measure one row, printing each figure as it comes, and write it down if that is wanted."""
    measure, rows = ROWS[name]
    rounds, rows = (1, min(rows, QUICK)) if quick else (rounds, rows)
    before, start, figures = load(), time.monotonic(), []
    for figure in measure(rounds, rows):
        figures.append(figure)
        print(" | ".join(figure.cells), flush=True)
    minutes = (time.monotonic() - start) / 60
    print(f"-- {name}: {minutes:.1f} min, load {before} to {load()}", flush=True)
    if write:
        put(DOCUMENT, name, written(name, figures, rounds, minutes, before))
    return figures


def written(name: str, figures: list[Figure], rounds: int, minutes: float, before: str) -> str:
    """The row as docs/performance.md has it."""
    rows = [
        figure.cells[:-1] + (f"**{figure.cells[-1]}**" if figure.is_missed else figure.cells[-1],) for figure in figures
    ]
    how = (
        f"`make bench ROW={name}`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {rounds} round{'s' * (rounds != 1)}, "
        f"{minutes:.1f} min, load {before} to {load()}; {describe()}."
    )
    return f"{how}\n\n{markdown(HEADER, rows)}"


if __name__ == "__main__":
    sys.exit(main())
