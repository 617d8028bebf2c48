"""Pods as lines of a table, in kubectl's columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from podrunner.cli.output import column_line
from podrunner.outcome import NO_HISTORY, printer_status, ready_column, remember, restarts_of, why
from podrunner.outcome.record import Pod
from podrunner.outcome.result import parse_time

__all__ = ["PodTable", "age"]

_HEADER = ("NAME", "READY", "STATUS", "RESTARTS", "AGE")
_WIDE = ("NODE",)
_WHY = "WAITS FOR"
_LEAST_WIDTHS = (4, 5, len("ContainerCreating"), 8, 3, 4)
"""Room for what later lines of a watch will show."""
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))


class PodTable:
    """Prints a header once, then a line for each state of a pod; later lines keep the columns' places.

    A pod that waits for something has that, in the cluster's words, at the end of its line.

    Args:
        wide: Also the node.
        now: The clock.
    """

    def __init__(
        self, *, wide: bool = False, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._wide = wide
        self._now = now
        self._widths: list[int] = []

    def lines(self, pods: Sequence[Pod]) -> list[str]:
        """Return the header and a line for each pod; no pods, no header."""
        if not pods:
            return []
        rows = [self._row(pod) for pod in pods]
        rows.insert(0, self._header(_WHY if any(row[-1] for row in rows) else ""))
        self._widths = [
            max(least, *map(len, cells))
            for least, cells in zip((*self._least(), 0), zip(*rows, strict=True), strict=True)
        ]
        return [column_line(row, self._widths) for row in rows]

    def line(self, pod: Pod) -> str:
        """Return the line of one pod, under the header if there was none yet."""
        if not self._widths:
            return "\n".join(self.lines([pod]))
        return column_line(self._row(pod), self._widths)

    def _least(self) -> tuple[int, ...]:
        return _LEAST_WIDTHS if self._wide else _LEAST_WIDTHS[:-1]

    def _header(self, why: str) -> tuple[str, ...]:
        return (*_HEADER, *(_WIDE if self._wide else ()), why)

    def _row(self, pod: Pod) -> tuple[str, ...]:
        row = (
            pod.metadata.name,
            ready_column(pod),
            printer_status(pod, classic=True),
            str(restarts_of(pod)),
            age(pod.metadata.creation_timestamp, self._now()),
        )
        node = (pod.spec.node_name or "<none>",) if self._wide else ()
        return (*row, *node, _what_it_waits_for(pod))


def _what_it_waits_for(pod: Pod) -> str:
    said = why(pod, history=remember(NO_HISTORY, pod))
    return "" if said is None else " ".join(said.message.split())


def age(created: str | None, now: datetime) -> str:
    """Return how long ago, in kubectl's short form: ``5s``, ``12m``, ``3h``, ``8d``; else ``<unknown>``."""
    since = parse_time(created)
    if since is None:
        return "<unknown>"
    seconds = max(0, int((now - since).total_seconds()))
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
