"""A timeline as one SVG picture that stands for itself, and as PNG."""

from __future__ import annotations

from html import escape
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from podrunner.cells import middle_clipped
from podrunner.errors import UsageError
from podrunner.gantt.layout import ticks
from podrunner.gantt.legend import MARKS, PHASES, TONES
from podrunner.gantt.words import describe, duration, headline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from podrunner.gantt.layout import Bar, Chart, Row
    from podrunner.gantt.records import Span

__all__ = ["MOST_ROWS", "png_of", "svg_of"]

MOST_ROWS: Final = 200
"""A picture of more rows is too tall to be looked at: the HTML page scrolls."""

_WIDTH: Final = 1200
_LEFT: Final = 250
_RIGHT: Final = 34
_TOP: Final = 62
_ROW: Final = 22
_LANE: Final = 14
_FONT: Final = "ui-sans-serif, system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif"
_STYLE: Final = f'font-family="{_FONT}" font-size="12" fill="#1d2430" role="img"'
_CHAR_PX: Final = 7.0
_LABEL_CHARS: Final = int((_LEFT - 24) / _CHAR_PX)


def svg_of(chart: Chart, *, most_rows: int = MOST_ROWS) -> str:
    """Return a chart as an SVG document.

    Args:
        chart: The chart.
        most_rows: How many rows are drawn at most; a line says how many there are more.
    """
    rows = chart.rows[:most_rows]
    hidden = len(chart.rows) - len(rows)
    picture = _Picture(chart, rows)
    legend, height = _legend(chart, picture.bottom + _ROW * bool(hidden) + 30)
    size = f'width="{_WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {_WIDTH} {height}" {_STYLE}>',
        f"<title>{_xml(headline(chart))}</title>",
        f"<defs>{''.join(_patterns())}</defs>",
        f'<rect {size} fill="#ffffff"/>',
        _text(16, 26, headline(chart), size=14, weight="600"),
        *picture.axis(),
        *picture.bars(),
        *([_text(16, picture.bottom + 16, f"… and {hidden} more workloads")] if hidden else []),
        *legend,
        "</svg>\n",
    ]
    return "\n".join(parts)


def png_of(svg: str, *, zoom: float = 2.0) -> bytes:
    """Return an SVG document as a PNG picture. Needs podrunner[png].

    Args:
        svg: The document.
        zoom: Pixels for each of its units.

    Raises:
        UsageError: resvg-py is not installed.
    """
    try:
        from resvg_py import svg_to_bytes
    except ModuleNotFoundError as error:
        raise UsageError("a PNG picture needs resvg-py: pip install 'podrunner[png]'") from error
    return bytes(svg_to_bytes(svg_string=svg, zoom=zoom, sans_serif_family="DejaVu Sans"))


def _xml(text: str) -> str:
    """Escape a text; characters that XML cannot hold become U+FFFD."""
    held = "".join(each if _is_xml(ord(each)) else "\ufffd" for each in text)
    return escape(held, quote=True)


def _is_xml(code: int) -> bool:
    """Whether XML 1.0 has the character (production 2, ``Char``)."""
    return code in {0x9, 0xA, 0xD} or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000


def _text(x: float, y: float, text: str, *, size: int = 12, weight: str = "400", more: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}"{more}>{_xml(text)}</text>'
    )


def _patterns() -> Iterator[str]:
    """Give each pattern in each colour: SVG cannot colour a pattern from outside."""
    shapes = {
        "hatch": '<path d="M-2 2 L2 -2 M0 8 L8 0 M6 10 L10 6" stroke="{0}" stroke-width="1.6"/>',
        "dots": '<circle cx="2" cy="2" r="1.3" fill="{0}"/><circle cx="6" cy="6" r="1.3" fill="{0}"/>',
        "cross": '<path d="M0 0 L8 8 M8 0 L0 8" stroke="{0}" stroke-width="1.1"/>',
        "lines": '<path d="M0 2 H8 M0 6 H8" stroke="{0}" stroke-width="1.4"/>',
    }
    for tone, look in TONES.items():
        for name, shape in shapes.items():
            yield (
                f'<pattern id="{name}-{tone or "ok"}" width="8" height="8" patternUnits="userSpaceOnUse">'
                f'<rect width="8" height="8" fill="{look.light}" fill-opacity="0.14"/>'
                f"{shape.format(look.light)}</pattern>"
            )


def _fill(pattern: str, tone: str) -> str:
    colour = TONES[tone].light
    if pattern == "solid":
        return f'fill="{colour}"'
    if pattern == "outline":
        return f'fill="{colour}" fill-opacity="0.08" stroke="{colour}" stroke-dasharray="3 2"'
    return f'fill="url(#{pattern}-{tone or "ok"})" stroke="{colour}" stroke-width="0.8"'


def _height(row: Row) -> int:
    return _ROW if row.lanes == 1 else 6 + _LANE * row.lanes


class _Picture:
    """The rows and the axis of a picture."""

    def __init__(self, chart: Chart, rows: Sequence[Row]) -> None:
        self._chart = chart
        self._rows = rows
        self._tops = [*accumulate((_height(row) for row in rows), initial=_TOP)]
        self.bottom: int = self._tops[-1]
        self._scale = (_WIDTH - _LEFT - _RIGHT) / chart.length_s

    def axis(self) -> Iterator[str]:
        for tick in ticks(self._chart.length_s, most=8):
            x = _LEFT + tick * self._scale
            yield f'<path d="M{x:.1f} {_TOP - 4} V{self.bottom}" stroke="#d5dae2"/>'
            yield _text(x, _TOP - 10, duration(tick), size=11, more=' text-anchor="middle" fill="#5a6472"')

    def bars(self) -> Iterator[str]:
        for number, (row, top) in enumerate(zip(self._rows, self._tops, strict=False)):
            tall = _height(row)
            if number % 2:
                yield f'<rect y="{top}" width="{_WIDTH}" height="{tall}" fill="#0b1b33" fill-opacity="0.035"/>'
            label = _text(16, top + tall / 2 + 4, middle_clipped(row.key, _LABEL_CHARS))
            yield f"<g><title>{_xml(row.key)}</title>{label}</g>"
            for bar in row.bars:
                yield from self._bar(bar, top, (tall - 6) / row.lanes)
            yield from (self._mark(bar, top, (tall - 6) / row.lanes) for bar in row.bars if bar.mark)

    def _bar(self, bar: Bar, top: int, height: float) -> Iterator[str]:
        y = top + 3 + height * bar.lane
        yield f"<g><title>{_xml(describe(bar))}</title>"
        yield from (self._span(span, bar.tone, y, height) for span in bar.spans)
        yield "</g>"

    def _mark(self, bar: Bar, top: int, height: float) -> str:
        """Return a bar's mark, with a rim: the next try may begin right behind."""
        x, y = _LEFT + bar.end_s * self._scale + 3, top + 7 + height * (bar.lane + 0.5)
        more = f' fill="{TONES[bar.tone].light}" stroke="#ffffff" stroke-width="3" paint-order="stroke"'
        return _text(x, y, bar.mark, size=11, weight="700", more=more)

    def _span(self, span: Span, tone: str, y: float, height: float) -> str:
        x, width = _LEFT + span.begin_s * self._scale, (span.end_s - span.begin_s) * self._scale
        fill = _fill(PHASES[span.phase].pattern, tone)
        return (
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(1.0, width):.1f}" height="{height - 1:.1f}" {fill}/>'
        )


def _legend(chart: Chart, top: float) -> tuple[list[str], int]:
    """Return the legend, and the height of a picture that it ends."""
    tones = {bar.tone for row in chart.rows for bar in row.bars}
    phases = [(_swatch(_fill(look.pattern, "live")), look.label) for look in PHASES.values()]
    faults = [(_swatch(f'fill="{look.light}"'), look.label) for tone, look in TONES.items() if tone in tones]
    marks = [
        (_text(0, 11, MARKS.get(name, "?"), weight="700"), f"{name} ({count})")
        for name, count in chart.categories.items()
        if name
    ]
    parts: list[str] = []
    y = top
    for items in (phases, faults, marks):
        lines, y = _flow(items, y)
        parts += lines
    return parts, int(y + 10)


def _swatch(fill: str) -> str:
    return f'<rect x="0.5" y="0.5" width="22" height="12" {fill}/>'


def _flow(items: Iterable[tuple[str, str]], y: float) -> tuple[list[str], float]:
    """Lay items out in lines; return them, and where the next line begins."""
    parts: list[str] = []
    x = 16.0
    for sign, label in items:
        width = 30 + len(label) * _CHAR_PX + 20
        if x > 16 and x + width > _WIDTH - 16:
            x, y = 16.0, y + 22
        parts.append(f'<g transform="translate({x:.1f} {y:.1f})">{sign}{_text(30, 11, label)}</g>')
        x += width
    return parts, y + 24 if parts else y
