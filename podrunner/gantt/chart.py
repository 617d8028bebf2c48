"""``podrunner.timeline``: the chart of a journal or of a runner's pods, in each form that it can have."""

from __future__ import annotations

from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from podrunner.blocking import PodRunner, runner_behind
from podrunner.errors import UsageError
from podrunner.gantt.journal_file import content_of, read_records
from podrunner.gantt.layout import layout
from podrunner.gantt.runner_records import records_of_runner
from podrunner.gantt.text import text_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from podrunner.gantt.records import PodRecord
    from podrunner.runner import AsyncPodRunner

__all__ = ["TimelineChart", "timeline"]


def timeline(source: AsyncPodRunner | PodRunner | str | PathLike[str]) -> TimelineChart:
    """The lives of pods as a Gantt chart: each of their stages, and the tries of a key in one row.

    Args:
        source: The file of a journal, as :func:`journal` writes it; or a runner, of whose pods those are shown that it
            has in memory: not those that are deleted.

    Raises:
        UsageError: The file is no journal, or one of a later version.
        OSError: The file cannot be read.
        RunnerClosedError: The runner was never open.
        CallFromEventLoopError: The blocking face was called from a running event loop.
    """
    if isinstance(source, str | PathLike):
        path = Path(source)
        with path.open("rb") as file:
            return TimelineChart(read_records(content_of(file), source=str(path)))
    if isinstance(source, PodRunner):
        asynchronous, bridge = runner_behind(source)
        return TimelineChart(bridge.run(partial(records_of_runner, asynchronous)))
    return TimelineChart(records_of_runner(source))


class TimelineChart:
    """A Gantt chart of pods: made by :func:`timeline`. It does not change any more.

    ``str`` of it is its text, and a notebook shows it as a picture.

    Args:
        records: The pods.
    """

    def __init__(self, records: Iterable[PodRecord]) -> None:
        self._chart = layout(records)

    def __repr__(self) -> str:
        return f"<timeline of {self._chart.pods} pods>"

    def __str__(self) -> str:
        return self.text()

    def _repr_svg_(self) -> str:
        return self.svg()

    def to_dict(self) -> dict[str, Any]:
        """Returns rows, pods and stages as numbers, ready for JSON: in seconds from ``origin_s`` on (since 1970)."""
        plain: dict[str, Any] = msgspec.to_builtins(self._chart)
        return plain

    def html(self) -> str:
        """One HTML page that stands for itself: zoom, search, details; for ten thousand pods and more."""
        from podrunner.gantt.page import html_of

        return html_of(self._chart)

    def svg(self, *, most_rows: int = 200) -> str:
        """A picture.

        Args:
            most_rows: How many keys are drawn at most; a line says how many there are more.
        """
        from podrunner.gantt.svg import svg_of

        return svg_of(self._chart, most_rows=most_rows)

    def png(self, *, most_rows: int = 200, zoom: float = 2.0) -> bytes:
        """A picture in pixels. Needs podrunner[png].

        Args:
            most_rows: As of :meth:`svg`.
            zoom: How many times 1,200 pixels it is wide.

        Raises:
            UsageError: The extra is not installed.
        """
        from podrunner.gantt.svg import png_of

        return png_of(self.svg(most_rows=most_rows), zoom=zoom)

    def text(self, *, width: int = 100, most_rows: int | None = None, ascii_only: bool = False) -> str:
        """The chart as text.

        Args:
            width: Columns, from 60 to 10,000.
            most_rows: How many keys are shown at most; None: all.
            ascii_only: Whether no other characters may be used.
        """
        return "\n".join(text_lines(self._chart, width=width, most_rows=most_rows, ascii_only=ascii_only))

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the chart to a file, in the form that its name ends with: ``.html``, ``.svg``, ``.png`` or ``.txt``.

        Raises:
            UsageError: The name ends otherwise, or a PNG picture needs an extra.
            OSError: The file cannot be written.
        """
        target = Path(path)
        forms: dict[str, Callable[[], str | bytes]] = {
            ".html": self.html,
            ".svg": self.svg,
            ".png": self.png,
            ".txt": lambda: f"{self.text()}\n",
        }
        make = forms.get(target.suffix.lower())
        if make is None:
            raise UsageError(
                f"a timeline is written to *.html, *.svg, *.png or *.txt, not to {target.name!r}"
            )
        made = make()
        target.write_bytes(made if isinstance(made, bytes) else made.encode())
