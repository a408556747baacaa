"""Columns of numbers, stacked day by day, as the shapes of an SVG picture.

Goes in: days with their numbers, and how large the picture shall be. Comes out: places and sizes, as text that a
template writes into attributes. PURE. Must not know: what the numbers count.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

TICKS = 5  # lines above the lowest, at most
TOP, FOOT = 10, 28  # above the highest line, and below the lowest, where the days stand
GAP = 1.5  # between two parts of a column
LEAST = 1.5  # height of a part, so that one among thousands is seen
LETTER = 7  # width of a digit


class Day(NamedTuple):
    """A day and its numbers, of which the first stands lowest."""

    date: date
    numbers: tuple[int, ...]


class Line(NamedTuple):
    """A line across, and the number that it stands for."""

    y: str
    text_y: str
    label: str


class Part(NamedTuple):
    """A part of a column; `key` is the number, from 1, of what it counts."""

    key: int
    y: str
    height: str


class Column(NamedTuple):
    """A day's column; `label` is blank where there is no room for it."""

    x: str
    middle: str
    label: str
    parts: list[Part]


class Chart(NamedTuple):
    """A picture of `width` × `height`; `left` is where the lines begin, and the columns are `thick`."""

    width: int
    height: int
    left: int
    thick: int
    days_y: int
    lines: list[Line]
    columns: list[Column]


def chart(days: Sequence[Day], *, width: int, height: int, thick: int, every: int = 1) -> Chart:
    """Return the picture of `days` (at least one); each `every`-th of them, and the last, is named."""
    highest = max(sum(day.numbers) for day in days)
    step = step_for(highest)
    ticks = max(1, -(-highest // step))
    bottom = height - FOOT
    scale = (bottom - TOP) / (step * ticks)
    lines = [_line(step * tick, bottom - step * tick * scale) for tick in range(ticks + 1)]
    left = max(26, 12 + LETTER * len(lines[-1].label))
    pitch = (width - left) / len(days)
    last = len(days) - 1
    columns = []
    for number, day in enumerate(days):
        x = left + pitch * number + (pitch - thick) / 2
        named = (last - number) % every == 0
        long = every == 1 and number in (0, last)
        label = f"{day.date.day} {day.date:%b}" if long else str(day.date.day) if named else ""
        columns.append(Column(px(x), px(x + thick / 2), label, list(_parts(day.numbers, bottom, scale))))
    return Chart(width, height, left, thick, height - 8, lines, columns)


def step_for(highest: int) -> int:
    """Return the distance of the lines: 1, 2 or 5 with noughts, so that TICKS of them reach `highest`."""
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            if step * TICKS >= highest:
                return step
        size *= 10


def _line(value: int, y: float) -> Line:
    return Line(px(y), px(y + 4), f"{value:,}")


def _parts(numbers: Sequence[int], bottom: float, scale: float) -> Iterator[Part]:
    y = bottom
    for key, number in enumerate(numbers, start=1):
        if number:
            height = max(number * scale, LEAST)
            y -= height
            yield Part(key, px(y), px(height))
            y -= GAP


def px(value: float) -> str:
    """Return a length as an attribute takes it."""
    return f"{value:.1f}"
