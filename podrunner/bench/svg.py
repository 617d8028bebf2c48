"""Pictures as SVG, by plain functions: percentile spans, lines, bars. Pure; light and dark by the reader's setting.

Each function returns a whole ``<svg>`` that needs nothing else: it can stand in a page, or be a file.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["bars", "lines", "shown", "shown_s", "spans"]

_WIDTH: Final = 760
_LEFT: Final = 170
_RIGHT: Final = 80
_TOP: Final = 44
_ROW: Final = 26
_PLOT_HEIGHT: Final = 220
_TICKS: Final = 5
_COLOURS: Final = 6
_STYLE: Final = (
    "svg.pr{--bg:#fff;--ink:#1c2434;--dim:#5d6880;--grid:#dfe3ea;--c0:#2f7d4f;--c1:#2f62c9;--c2:#c0611a;--c3:#8a4fb8;"
    "--c4:#7a8499;--c5:#b03a56;max-width:100%;height:auto}"
    "@media (prefers-color-scheme:dark){svg.pr{--bg:#161a22;--ink:#e6e9f0;--dim:#9aa5ba;--grid:#2c3340;--c0:#5dbb83;"
    "--c1:#7ba3f5;--c2:#eb9a55;--c3:#bd8fe3;--c4:#97a1b5;--c5:#e5758f}}"
    "svg.pr text{font:12px system-ui,sans-serif;fill:var(--ink)}svg.pr .t{font-size:14px;font-weight:600}"
    "svg.pr .d{fill:var(--dim);font-size:11px}svg.pr .g{stroke:var(--grid);stroke-width:1}"
    "svg.pr .bg{fill:var(--bg)}svg.pr .l{fill:none;stroke-width:2}"
    + "".join(f"svg.pr .f{n}{{fill:var(--c{n})}}svg.pr .s{n}{{stroke:var(--c{n})}}" for n in range(_COLOURS))
)


def spans(title: str, rows: Mapping[str, Sequence[float]], *, names: Sequence[str]) -> str:
    """Return rows of dots on a logarithmic axis of seconds, such as the percentiles of stages.

    Args:
        title: Above the picture.
        rows: The values of each row, in ascending order; 0 is drawn at the axis' beginning.
        names: What the values are: ``p50``, ``p99``, …
    """
    values = [value for row in rows.values() for value in row if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    bottom = _TOP + 20 + _ROW * len(rows)

    def x(value: float) -> float:
        place = (math.log10(value) - low) / (high - low) if value > 0 else 0.0
        return _LEFT + max(0.0, place) * (_WIDTH - _LEFT - _RIGHT)

    parts = [_legend(names)]
    for power in range(low, high + 1):
        parts.append(_vertical(x(10.0**power), _TOP + 12, bottom - 6))
        parts.append(_text(x(10.0**power), bottom + 10, shown_s(10.0**power), "d", anchor="middle"))
    for place, (name, row) in enumerate(rows.items()):
        y = _TOP + 30 + _ROW * place
        parts += [_text(_LEFT - 12, y + 4, name, anchor="end"), *_span(x, y, row)]
    return _picture(title, parts, bottom + 22)


def _span(x: Callable[[float], float], y: float, row: Sequence[float]) -> list[str]:
    places = [x(value) for value in row]
    first, last = places[0], places[-1]
    parts = [f'<line class="s4" x1="{first:.1f}" x2="{last:.1f}" y1="{y}" y2="{y}" stroke-width="3"/>']
    parts += [
        f'<circle class="f{n % _COLOURS}" cx="{at:.1f}" cy="{y}" r="5"/>' for n, at in enumerate(places)
    ]
    return [*parts, _text(last + 10, y + 4, shown_s(row[-1]), "d")]


def lines(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x_name: str,
    y_name: str,
    log_x: bool = False,
) -> str:
    """Return lines over a common axis that begins at 0.

    Args:
        title: Above the picture.
        series: The points of each line.
        x_name: What the horizontal axis is.
        y_name: What the vertical axis is.
        log_x: Whether the horizontal axis is logarithmic; its values are then above 0.
    """
    plot = _Plot([point for line in series.values() for point in line] or [(1.0, 1.0)], log_x=log_x)
    bottom = plot.bottom
    parts = [_legend(list(series)), _text(12, _TOP, y_name, "d")]
    parts.append(_text(_WIDTH - _RIGHT, bottom + 32, x_name, "d", anchor="end"))
    for value in plot.y_ticks:
        y = plot.place(plot.left, value)[1]
        parts += [_horizontal(60, _WIDTH - _RIGHT, y), _text(54, y + 4, shown(value), "d", anchor="end")]
    for at in plot.x_ticks:
        parts.append(_text(plot.place(at, 0)[0], bottom + 16, shown(at), "d", anchor="middle"))
    for n, line in enumerate(series.values()):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (plot.place(*point) for point in line))
        parts.append(f'<polyline class="l s{n % _COLOURS}" points="{path}"/>')
    return _picture(title, parts, bottom + 42)


class _Plot:
    """Where points lie in a picture of lines.

    Args:
        points: All of them.
        log_x: Whether the horizontal axis is logarithmic.
    """

    def __init__(self, points: Sequence[tuple[float, float]], *, log_x: bool) -> None:
        self.left = min(at for at, _ in points) if log_x else 0.0
        self.bottom = _TOP + 16 + _PLOT_HEIGHT
        self._right = max(at for at, _ in points)
        self._is_log = log_x and self._right > self.left
        self.y_ticks = _ticks(max(value for _, value in points))
        self.x_ticks = sorted({at for at, _ in points}) if self._is_log else _ticks(self._right, within=True)

    def place(self, at: float, value: float) -> tuple[float, float]:
        """Return the place of a point."""
        if self._is_log:
            share = math.log(at / self.left) / math.log(self._right / self.left)
        else:
            share = at / (self._right or 1.0)
        height = value / (self.y_ticks[-1] or 1.0) * _PLOT_HEIGHT
        return 60 + share * (_WIDTH - 60 - _RIGHT), self.bottom - height


def _ticks(most: float, *, within: bool = False) -> list[float]:
    """Return round numbers from 0 on, so that the last one is not below the most; ``within``: not above it."""
    rough = (most or 1.0) / _TICKS
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * of for of in (1, 2, 5, 10) if size * of >= rough * 0.999)
    count = math.floor(most / step * 1.0001) if within else math.ceil(most / step * 0.9999)
    return [step * tick for tick in range(count + 1)]


def bars(title: str, rows: Mapping[str, float], *, unit: str, chief: str = "") -> str:
    """Return a bar for each value, as long as the largest of them allows.

    Args:
        title: Above the picture.
        rows: The values, by their names.
        unit: Stands behind each value.
        chief: The row that is drawn in the first colour; the others are grey.
    """
    longest = max(rows.values(), default=0) or 1.0
    parts = []
    for place, (name, value) in enumerate(rows.items()):
        y, length = _TOP + 4 + _ROW * place, max(1.0, (_WIDTH - _LEFT - 2 * _RIGHT) * value / longest)
        colour = 0 if name.startswith(chief) else 4
        parts += [
            _text(_LEFT - 12, y + 13, name, anchor="end"),
            f'<rect class="f{colour}" x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_ROW - 8}" rx="2"/>',
            _text(_LEFT + length + 8, y + 13, f"{shown(value)} {unit}", "d"),
        ]
    return _picture(title, parts, _TOP + _ROW * len(rows) + 14)


def shown(value: float) -> str:
    """Return a number as people read it: three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def shown_s(seconds: float) -> str:
    """Return a duration with a unit that fits: ``850 µs``, ``12.5 ms``, ``3 s``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{shown(float(f'{seconds / size:.3g}'))} {unit}"
    return f"{shown(float(f'{seconds * 1e6:.3g}'))} µs"


def _picture(title: str, parts: Sequence[str], height: float) -> str:
    head = (
        f'<svg class="pr" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f"aria-label={quoteattr(title)}>"
    )
    back = f'<rect class="bg" width="{_WIDTH}" height="{height:.0f}"/>'
    return "\n".join(
        [head, f"<style>{_STYLE}</style>", back, _text(12, 22, title, "t"), *parts, "</svg>", ""]
    )


def _legend(names: Sequence[str]) -> str:
    parts = []
    for n, name in enumerate(names):
        x = _LEFT + n * 130
        parts.append(f'<circle class="f{n % _COLOURS}" cx="{x}" cy="{_TOP - 4}" r="5"/>')
        parts.append(_text(x + 10, _TOP, name, "d"))
    return "".join(parts)


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "start") -> str:
    of = f' class="{kind}"' if kind else ""
    return f'<text{of} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _vertical(x: float, top: float, bottom: float) -> str:
    return f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'


def _horizontal(left: float, right: float, y: float) -> str:
    return f'<line class="g" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
