"""Pods as a table in podrunner's columns, for ``get`` and for its live picture. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from podrunner.cli.failures import one_line
from podrunner.cli.layout import Column, fitted
from podrunner.shown import Look, look_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podrunner.cli.rows import PodRow
    from podrunner.outcome.record import Pod

__all__ = ["cells_of", "coloured", "columns_of", "sorted_pods", "style_of", "table_of"]

_COLUMNS: Final = (
    Column("KEY", least=14, keeps_ends=True),
    Column("TRY", rank=2),
    Column("STATUS"),
    Column("WHY", least=14, rank=4),
    Column("EXIT", rank=1),
    Column("AGE", rank=3),
)
"""A WHY names the exit code, and most pods are first tries: these two are dropped first."""
_WIDE: Final = (Column("POD", least=20, keeps_ends=True), Column("NODE", least=6))
_NAMESPACE: Final = Column("NAMESPACE", least=9, keeps_ends=True)
_STYLES: Final = {Look.RUNNING: "green", Look.WAITS: "yellow", Look.OVER: "dim", Look.TROUBLE: "red"}
_SGR: Final = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33}


def columns_of(*, wide: bool, everywhere: bool = False) -> tuple[Column, ...]:
    """Return the columns.

    Args:
        wide: Also the pod's name and its node.
        everywhere: Also the namespace, as the first column.
    """
    return (*((_NAMESPACE,) if everywhere else ()), *_COLUMNS, *(_WIDE if wide else ()))


def cells_of(row: PodRow, *, wide: bool, everywhere: bool = False) -> list[str]:
    """Return a pod's texts, one for each column, in which nothing moves a cursor: a key may hold any character."""
    one = row.identity
    code = "" if row.exit_code is None else str(row.exit_code)
    cells = [one.key, one.tried, row.status, row.why, code, row.age]
    cells += [one.pod, row.node or "<none>"] if wide else []
    return [one_line(cell) for cell in [*([row.namespace] if everywhere else []), *cells]]


def table_of(
    rows: Sequence[PodRow], *, wide: bool, width: int | None, ellipsis: str = "…", everywhere: bool = False
) -> list[str]:
    """Return the lines of a table of pods; no pods, no lines."""
    if not rows:
        return []
    cells = [cells_of(row, wide=wide, everywhere=everywhere) for row in rows]
    return fitted(columns_of(wide=wide, everywhere=everywhere), cells, width=width, ellipsis=ellipsis)


def style_of(row: PodRow, *, is_gone: bool = False) -> str:
    """Return the style of a pod's line: what needs a look is red."""
    if is_gone:
        return "dim"
    return _STYLES[look_of(row.status, succeeded=None if row.outcome is None else row.outcome.succeeded)]


def coloured(lines: Sequence[str], rows: Sequence[PodRow]) -> list[str]:
    """Return the lines of a table, its heading first, in the colours of their pods."""
    styles = ["bold", *map(style_of, rows)]
    return [f"\x1b[{_SGR[style]}m{line}\x1b[0m" for style, line in zip(styles, lines, strict=True)]


def sorted_pods(pods: Sequence[Pod]) -> list[Pod]:
    """Return pods in the order in which they were created."""
    return sorted(pods, key=lambda pod: (pod.metadata.creation_timestamp or "", pod.metadata.name))
