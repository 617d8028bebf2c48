"""Draws the figures of ``airflow_executors.py``: ``python benchmarks/executors/picture.py FIGURES.json PICTURE.svg``.

Each figure has a row of bars, one for each contender, as long as the largest of them allows.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

WIDTH, LEFT, BAR, GAP, HEAD = 900, 300, 16, 14, 44
COLOURS = {
    "podrunner": "#3b8a4b",
    "provider-sync": "#c0c7d6",
    "provider-async": "#5b6b8c",
    "provider-async-256": "#1c2434",
}
STYLE = (
    "text{font:13px sans-serif;fill:#1c2434}.title{font-size:15px;font-weight:600}"
    ".value{font-size:11px;fill:#46516a}"
)


def main() -> None:
    figures = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(drawn(figures), encoding="utf-8")


def drawn(figures: dict[str, Any]) -> str:
    """Return the picture."""
    summary: dict[str, dict[str, float]] = figures["summary"]
    row = BAR * len(COLOURS) + GAP
    height = HEAD + row * len(summary) + GAP
    parts = [
        f'<text class="title" x="12" y="24">{figures["pods"]} pods, medians of one run</text>',
        *_legend(),
    ]
    for place, (name, of) in enumerate(summary.items()):
        parts += _row(HEAD + place * row, name, of)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    background = f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", background, *parts, "</svg>", ""])


def _legend() -> list[str]:
    return [
        f'<rect x="{LEFT + place * 150}" y="12" width="12" height="12" fill="{colour}"/>'
        f'<text x="{LEFT + place * 150 + 18}" y="23">{escape(name)}</text>'
        for place, (name, colour) in enumerate(COLOURS.items())
    ]


def _row(top: int, name: str, of: dict[str, float]) -> list[str]:
    longest = max(of.values()) or 1
    parts = [f'<text x="12" y="{top + BAR * len(COLOURS) // 2 + 5}">{escape(name)}</text>']
    for place, (contender, colour) in enumerate(COLOURS.items()):
        y, length = top + place * BAR, (WIDTH - LEFT - 80) * of[contender] / longest
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 3}" fill="{colour}"/>')
        parts.append(
            f'<text class="value" x="{LEFT + length + 6:.1f}" y="{y + 11}">{_shown(of[contender])}</text>'
        )
    return parts


def table(summary: dict[str, dict[str, float]]) -> str:
    """Return the figures as a table of Markdown: a row for each, a column for each contender."""
    contenders = list(next(iter(summary.values())))
    head = f"| | {' | '.join(contenders)} |\n|---|{'--:|' * len(contenders)}\n"
    return head + "\n".join(
        f"| {name} | {' | '.join(map(_shown, of.values()))} |" for name, of in summary.items()
    )


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
