"""A timeline as text, for terminals of 60 columns and more."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from podrunner.cells import ELLIPSIS, middle_clipped, width_of
from podrunner.gantt.layout import ticks
from podrunner.gantt.legend import MARKS, PHASES
from podrunner.gantt.words import duration, headline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from podrunner.gantt.layout import Bar, Chart, Row

__all__ = ["LEAST_WIDTH", "MOST_WIDTH", "text_lines"]

LEAST_WIDTH: Final = 60
MOST_WIDTH: Final = 10_000
"""No terminal is wider; each row costs memory for each column."""
_TICK_EVERY: Final = 12


def text_lines(
    chart: Chart, *, width: int = 100, most_rows: int | None = None, ascii_only: bool = False
) -> list[str]:
    """Return a chart as lines of text.

    Args:
        chart: The chart.
        width: How many columns a line has at most, from 60 to 10,000.
        most_rows: How many rows are shown at most; None: all.
        ascii_only: Whether no other characters may be used.
    """
    width = min(MOST_WIDTH, max(LEAST_WIDTH, width))
    keys = [_plain(row.key, ascii_only=ascii_only) for row in chart.rows]
    label = min(max(map(width_of, keys), default=3), width // 3)
    scale = _Scale(chart.length_s, width - label - 2)
    shown = chart.rows if most_rows is None else chart.rows[:most_rows]
    ellipsis = "..." if ascii_only else ELLIPSIS
    lines = [
        *textwrap.wrap(headline(chart), width),
        " " * (label + 2) + scale.axis(),
        *(
            f"{_fitted(key, label, ellipsis=ellipsis)}  {_line(row, scale, ascii_only=ascii_only)}"
            for key, row in zip(keys, shown, strict=False)
        ),
    ]
    if len(shown) < len(chart.rows):
        lines.append(f"... and {len(chart.rows) - len(shown)} more workloads")
    return [*lines, "", *_legend(chart, width, ascii_only=ascii_only)]


class _Scale:
    """Turns seconds into columns."""

    def __init__(self, length_s: float, columns: int) -> None:
        self._length_s = length_s
        self.columns = columns

    def at(self, seconds: float) -> int:
        return min(self.columns - 1, max(0, int(seconds / self._length_s * self.columns)))

    def axis(self) -> str:
        line = [" "] * self.columns
        for tick in ticks(self._length_s, most=max(2, self.columns // _TICK_EVERY)):
            words = "|" + duration(tick)
            place = self.at(tick)
            if place + len(words) <= self.columns:
                line[place : place + len(words)] = words
        return "".join(line).rstrip()


def _line(row: Row, scale: _Scale, *, ascii_only: bool) -> str:
    cells = [" "] * scale.columns
    for bar in row.bars:
        _draw_stages(bar, cells, scale)
    for bar in row.bars:  # over the stages: the next try may begin right behind
        _draw_mark(bar, cells, scale, ascii_only=ascii_only)
    return "".join(cells).rstrip()


def _draw_stages(bar: Bar, cells: list[str], scale: _Scale) -> None:
    for span in bar.spans:
        first, last = scale.at(span.begin_s), scale.at(span.end_s)
        letter = PHASES[span.phase].letter
        for column in range(first, max(first, last - 1) + 1):
            cells[column] = letter


def _draw_mark(bar: Bar, cells: list[str], scale: _Scale, *, ascii_only: bool) -> None:
    if bar.mark:
        mark = _mark(bar.mark, ascii_only=ascii_only)
        place = max(0, min(scale.at(bar.end_s), scale.columns - len(mark)))
        cells[place : place + len(mark)] = mark


def _mark(mark: str, *, ascii_only: bool) -> str:
    return "+" if ascii_only and not mark.isascii() else mark


def _plain(text: str, *, ascii_only: bool) -> str:
    printable = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
    return ascii(printable)[1:-1] if ascii_only and not printable.isascii() else printable


def _fitted(text: str, width: int, *, ellipsis: str) -> str:
    """Return a text that takes exactly so many cells."""
    shown = middle_clipped(text, width, ellipsis=ellipsis)
    return shown + " " * (width - width_of(shown))


def _legend(chart: Chart, width: int, *, ascii_only: bool) -> Iterator[str]:
    phases = [f"{look.letter} {look.label}" for look in PHASES.values()]
    marks = [
        f"{_mark(MARKS.get(category, '?'), ascii_only=ascii_only)} {_plain(category, ascii_only=ascii_only)} ({count})"
        for category, count in chart.categories.items()
        if category
    ]
    for items in (phases, marks):
        line = ""
        for each in items:
            item = middle_clipped(each, width, ellipsis="..." if ascii_only else ELLIPSIS)
            if line and width_of(line) + 3 + width_of(item) > width:
                yield line
                line = ""
            line += f"   {item}" if line else item
        if line:
            yield line
