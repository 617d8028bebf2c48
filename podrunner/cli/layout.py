"""Tables that fit the terminal: no line is longer than its width, and nothing wraps. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from podrunner.cells import ELLIPSIS, cells_of_character, clipped, middle_clipped, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Column", "fitted", "wrapped"]

_GAP: Final = 2


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        title: Its heading.
        least: Characters to which it may be shortened; 0: it is shown whole or not at all.
        rank: How much it is worth: the lowest is dropped first; 0: never.
        keeps_ends: Whether a text that is shortened keeps its end too.
    """

    title: str
    least: int = 0
    rank: int = 0
    keeps_ends: bool = False


def wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines of at most so many cells, broken between words, or within one that is longer.

    A character that is wider than a line has a line of its own.
    """
    lines: list[str] = []
    whole = text.strip()
    begin = 0
    while begin < len(whole):
        end = _line_end(whole, begin, width)
        lines.append(whole[begin:end].rstrip())
        begin = next((at for at in range(end, len(whole)) if not whole[at].isspace()), len(whole))
    return lines


def _line_end(text: str, begin: int, width: int) -> int:
    """Return where the line ends that begins here."""
    taken = 0
    for end in range(begin, len(text)):
        taken += cells_of_character(text[end])
        if taken > width:
            break
    else:
        return len(text)
    if text[end] == " " and end > begin:
        return end
    blank = text.rfind(" ", begin, end)
    return blank if blank > begin else max(end, begin + 1)


def fitted(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None,
    ellipsis: str = ELLIPSIS,
    least_widths: Sequence[int] = (),
) -> list[str]:
    """Return the lines of a table, the heading first.

    Where it is too wide, the columns that may be shortened are, the last of them first; then the column of the lowest
    rank is dropped, and so on. A column without any text that has a rank is not shown at all.

    Args:
        columns: The columns.
        rows: Their texts, without line ends.
        width: Cells of a line at most; None: as many as it takes.
        ellipsis: What stands for text that is cut off.
        least_widths: Cells of each column at least, for lines that follow; empty: none.
    """
    least = [*least_widths, *[0] * (len(columns) - len(least_widths))]
    natural = [
        max(width_of(column.title), least[index], *(width_of(row[index]) for row in rows), 0)
        for index, column in enumerate(columns)
    ]
    shown = [
        index
        for index, column in enumerate(columns)
        if not column.rank or least[index] or any(row[index] for row in rows)
    ]
    widths = _widths(columns, natural, shown, width)
    titles = [column.title for column in columns]
    return [_line(row, columns, widths, width=width, ellipsis=ellipsis) for row in [titles, *rows]]


def _widths(
    columns: Sequence[Column], natural: Sequence[int], shown: Sequence[int], width: int | None
) -> dict[int, int]:
    """Return the cells of each column that is shown."""
    if width is None:
        return {index: natural[index] for index in shown}
    # No column that may be shortened needs more than a whole line: a text of megabytes is not shortened one by one.
    widths = {
        index: natural[index] - max(0, _slack(columns[index], natural[index]) - width)
        if columns[index].least
        else natural[index]
        for index in shown
    }
    while (excess := _total(widths) - width) > 0:
        flexible = [index for index in widths if columns[index].least]
        if sum(_slack(columns[index], widths[index]) for index in flexible) >= excess:
            return _shortened(columns, widths, flexible, excess)
        ranked = [index for index in widths if columns[index].rank]
        if not ranked:
            return _shortened(columns, widths, flexible, excess)
        del widths[min(ranked, key=lambda index: columns[index].rank)]
    return widths


def _total(widths: dict[int, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)


def _slack(column: Column, width: int) -> int:
    return max(0, width - max(column.least, len(column.title)))


def _shortened(
    columns: Sequence[Column], widths: dict[int, int], flexible: Sequence[int], excess: int
) -> dict[int, int]:
    """Take cells from the columns that may be shortened: from the widest, one by one, so that none starves."""
    widths = dict(widths)
    for _ in range(excess):
        index = max(
            flexible, key=lambda each: (_slack(columns[each], widths[each]) > 0, widths[each]), default=None
        )
        if index is None or not _slack(columns[index], widths[index]):
            break
        widths[index] -= 1
    return widths


def _line(
    row: Sequence[str], columns: Sequence[Column], widths: dict[int, int], *, width: int | None, ellipsis: str
) -> str:
    cells = []
    for index, room in widths.items():
        clip = middle_clipped if columns[index].keeps_ends else clipped
        text = clip(row[index], room, ellipsis=ellipsis)
        cells.append(text + " " * (room - width_of(text)))
    line = (" " * _GAP).join(cells).rstrip()
    return line if width is None else clipped(line, width, ellipsis=ellipsis)
