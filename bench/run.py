"""Measure the product against its budgets, as ratios within one run.

    make bench                       every row
    make bench ROW=postgresql        one of them
    python bench/run.py --quick      a small form of each, to see that it runs

Rounds alternate which of the two goes first; medians are printed, with the machine and its load.
"""

import argparse
import sys

import reading
import syncing
import writing
from machine import WORK, describe

ROWS = {
    "postgresql": (writing.on_postgresql, 1_000_000),
    "sqlite": (writing.on_sqlite, 200_000),
    "history": (writing.history_on_postgresql, 1_000_000),
    "history-sqlite": (writing.history_on_sqlite, 200_000),
    "page": (reading.on_postgresql, 1_000_000),
    "page-sqlite": (reading.on_sqlite, 200_000),
    "sync": (syncing.of_klaviyo, 1_000),
}
QUICK = 2_000


def main() -> None:
    """Print one line a figure: what, measured, must, goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("row", nargs="*", choices=[*ROWS, []], help=f"one of {', '.join(ROWS)}; all without")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="few rows, one round")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    print(describe())
    for name in options.row or ROWS:
        measure, rows = ROWS[name]
        for line in measure(1 if options.quick else options.rounds, QUICK if options.quick else rows):
            print(" | ".join(line), flush=True)
    print(describe())


if __name__ == "__main__":
    sys.exit(main())
