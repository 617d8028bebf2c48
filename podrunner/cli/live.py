"""``podrunner get -w`` on a terminal: one table that is drawn anew with each change, and each second for the ages.

Which pods there are is ``watching``; how a table fits is ``layout``. rich moves the cursor.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio
from rich.console import Console
from rich.live import Live
from rich.text import Text

from podrunner.cli.failures import one_line
from podrunner.cli.pod_table import sorted_pods, style_of, table_of
from podrunner.cli.rows import PodRow, row_of
from podrunner.cli.screen import ellipsis_of, shows_colour

if TYPE_CHECKING:
    from podrunner.cli.watching import PodChange
    from podrunner.outcome.record import Pod

__all__ = ["Frame", "LiveTable", "frame_of"]

_GONE_KEPT: Final = 10
"""Pods that were deleted, of which the last state stays in view."""
_EVERY_S: Final = 1.0
_NOT_SOONER_S: Final = 0.1


class Frame(NamedTuple):
    """What is drawn.

    Attributes:
        lines: The table, with its heading, and what is said below it.
        styles: A style of rich for each line; "": none.
    """

    lines: list[str]
    styles: list[str]


def frame_of(
    rows: Sequence[tuple[PodRow, bool]],
    *,
    wide: bool,
    width: int,
    height: int,
    older: int = 0,
    note: str = "",
    ellipsis: str = "…",
    everywhere: bool = False,
) -> Frame:
    """Return what is drawn on a screen of a size; of too many pods the last ones.

    Args:
        rows: The pods in their order, each with whether it was deleted.
        wide: Also the pod's name and its node.
        width: Cells of a line.
        height: Lines of the screen.
        older: How many more pods there are, before these.
        note: A line below the table; "": none.
        ellipsis: What stands for text that is cut off.
        everywhere: Also the pod's namespace.
    """
    room = max(1, height - 2 - bool(note))
    room -= older > 0 or len(rows) > room  # for the line that says so
    shown = list(rows[max(0, len(rows) - room) :])
    left_out = older + len(rows) - len(shown)
    drawn = [row for row, _ in shown]
    lines = table_of(drawn, wide=wide, width=width, ellipsis=ellipsis, everywhere=everywhere) or ["(no pods)"]
    styles = ["bold", *(style_of(row, is_gone=gone) for row, gone in shown)][: len(lines)]
    notes = [f"({left_out} older pods are not shown)"] if left_out else []
    notes += [note] if note else []
    return Frame([*lines, *(text[:width] for text in notes)], [*styles, *["dim"] * len(notes)])


class LiveTable:
    """The table on the terminal.

    Args:
        wide: Also the pod's name and its node.
        everywhere: Also the pod's namespace.
        console: Where it is drawn; None: standard output.
    """

    def __init__(self, *, wide: bool, everywhere: bool = False, console: Console | None = None) -> None:
        self._wide = wide
        self._everywhere = everywhere
        self._console = console or Console(file=sys.stdout, no_color=not shows_colour(sys.stdout))
        self._there: dict[str, Pod] = {}
        self._gone: dict[str, Pod] = {}
        self._trouble = ""

    async def run(self, watch: Callable[[], Awaitable[None]]) -> None:
        """Draw until the watch ends; the last picture stays on the screen."""
        self._changed = anyio.Event()
        with Live(
            console=self._console, auto_refresh=False, get_renderable=self._picture, vertical_overflow="crop"
        ) as self._live:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keep_drawing, name="podrunner-get-clock")
                await watch()
                tasks.cancel_scope.cancel()

    async def _keep_drawing(self) -> None:
        """Draw at each change, but not more often than a reader can see, and for the ages."""
        while True:
            with anyio.move_on_after(_EVERY_S):
                await self._changed.wait()
            self._changed = anyio.Event()
            self._live.refresh()
            await anyio.sleep(_NOT_SOONER_S)

    async def show(self, change: PodChange) -> None:
        """Take a change over; it is drawn a moment later."""
        self._trouble = change.trouble
        if change.is_list:
            present = {pod.metadata.uid: pod for pod in change.pods}
            for uid in self._there.keys() - present.keys():
                self._leave(self._there[uid])
            self._there = present
        for pod in change.pods:
            self._there[pod.metadata.uid] = pod
            if change.is_gone:
                self._leave(self._there.pop(pod.metadata.uid))
        self._changed.set()

    def _leave(self, pod: Pod) -> None:
        self._gone[pod.metadata.uid] = pod
        while len(self._gone) > _GONE_KEPT:
            del self._gone[next(iter(self._gone))]

    def _picture(self) -> Text:
        now, size = datetime.now(UTC), self._console.size
        pods = sorted_pods([*self._there.values(), *self._gone.values()])
        shown = pods[-size.height :]
        rows = [(self._row(pod, now), pod.metadata.uid in self._gone) for pod in shown]
        note = f"not up to date: {one_line(self._trouble)}" if self._trouble else ""
        frame = frame_of(
            rows,
            wide=self._wide,
            width=size.width,
            height=size.height,
            older=len(pods) - len(shown),
            note=note,
            ellipsis=ellipsis_of(sys.stdout),
            everywhere=self._everywhere,
        )
        picture = Text(no_wrap=True, overflow="crop", end="")
        for index, (line, style) in enumerate(zip(frame.lines, frame.styles, strict=True)):
            picture.append(line + ("\n" if index < len(frame.lines) - 1 else ""), style=style)
        return picture

    def _row(self, pod: Pod, now: datetime) -> PodRow:
        row = row_of(pod, now=now)
        return (
            row._replace(status="(deleted)")
            if pod.metadata.uid in self._gone and row.outcome is None
            else row
        )
