"""Draws the state machine of a pod's life from its table: ``python docs/lifecycle_picture.py`` writes both files.

``_static/lifecycle.svg`` is the picture; the tables of ``explanation/lifecycle.md`` are written between its marks. A
test compares both with what this makes of ``podrunner.runner.lifecycle.TABLE``.
"""

from __future__ import annotations

from math import hypot
from pathlib import Path
from typing import NamedTuple

from podrunner.runner.inputs import (
    AttemptReplayed,
    LaunchCancelled,
    LaunchRefused,
    LeaseLost,
    PodAdopted,
    RunnerClosed,
    TakenOver,
)
from podrunner.runner.lifecycle import TABLE
from podrunner.runner.states import Active, Finished, Relinquished, State

DOCS = Path(__file__).parent
PICTURE = DOCS / "_static" / "lifecycle.svg"
PAGE = DOCS / "explanation" / "lifecycle.md"
BEGIN, END = "<!-- written by docs/lifecycle_picture.py -->", "<!-- end -->"

WIDTH, HEIGHT = 164, 40
ASIDE = 12  # between an edge and the middle of two opposite ones
SIZE = (1900, 640)
# Where the middle of each state's box is.
PLACES = {
    "New": (90, 40),
    "Queued": (200, 220),
    "Creating": (90, 400),
    "Terminating": (680, 40),
    "Active": (430, 220),
    "AwaitingFinalStatus": (680, 400),
    "Enriching": (970, 220),
    "Recording": (1150, 60),
    "Draining": (1290, 220),
    "Undelivered": (1530, 220),
    "Reporting": (1790, 60),
    "Removing": (1790, 380),
    "Relinquished": (370, 560),
    "Finished": (1530, 560),
}
SHARES = {("Reporting", "Finished"): 0.15, ("Draining", "Finished"): 0.6}
"""How far along an edge its label is, where another label is in the way."""
LEAVING = (TakenOver, LeaseLost, RunnerClosed)
LAUNCHED = (LaunchRefused, LaunchCancelled, AttemptReplayed)
"""Inputs that lead to one end from many states: said once, below that end."""
STYLE = """
.state{fill:#f5f7fb;stroke:#5b6b8c;stroke-width:1.3}.end{fill:#eef8ee;stroke:#3b8a4b}
.name{fill:#1c2434;font-weight:600;text-anchor:middle;font-size:14px}
.label{fill:#46516a;font-size:10px;text-anchor:middle;paint-order:stroke;stroke:#fff;stroke-width:3px}
.edge{stroke:#5b6b8c;stroke-width:1.2;fill:none;marker-end:url(#arrow)}.leave{stroke:#c0c7d6;stroke-dasharray:4 3}
"""


class Edge(NamedTuple):
    """A way from one state to another, and the inputs that take it: none that the picture says elsewhere."""

    start: str
    end: str
    inputs: tuple[str, ...]


def edges() -> list[Edge]:
    """Returns all ways of the table that lead to another state, and that are drawn."""
    found: dict[tuple[str, str], list[str]] = {}
    for state, row in TABLE.items():
        for given, transition in row.items():
            for target in transition.to:
                if target is not state and _is_drawn(given, target):
                    inputs = found.setdefault((state.__name__, target.__name__), [])
                    if not _is_said_once(given, target):
                        inputs.append(given.__name__)
    return [Edge(start, end, tuple(inputs)) for (start, end), inputs in found.items()]


def _is_drawn(given: type, target: type[State]) -> bool:
    """An adopted pod may be anywhere in its life; a settled one is left from each of its states."""
    if given is PodAdopted:
        return target is Active
    return not (target is Finished and given in LEAVING)


def _is_said_once(given: type, target: type[State]) -> bool:
    return target is Relinquished or (target is Finished and given in LAUNCHED)


def picture() -> str:
    """Returns the picture as SVG."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE[0]} {SIZE[1]}" role="img" '
        'font-family="ui-sans-serif, system-ui, sans-serif" aria-label="The states of a pod">',
        f"<style>{STYLE}</style>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#5b6b8c"/></marker></defs>',
        f'<rect width="{SIZE[0]}" height="{SIZE[1]}" fill="#fff"/>',
        *(_line(edge) for edge in edges()),
        *(_label(edge) for edge in edges()),
        *(_box(state.__name__, is_end=state in {Finished, Relinquished}) for state in TABLE),
        *_notes(
            "Relinquished",
            f"{_names(*LEAVING)}: from each state up to Recording",
            "AttemptLost: from a launch",
        ),
        *_notes(
            "Finished",
            f"{_names(*LAUNCHED)}: from a launch",
            f"{_names(*LEAVING)}: from Draining, Undelivered; TakenOver: also from Reporting, Removing",
        ),
        *_notes(
            "Enriching",
            "PodAdopted leads from a launch also to",
            "Terminating, AwaitingFinalStatus, Enriching and Draining",
            below=340,
        ),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _box(name: str, *, is_end: bool) -> str:
    x, y = PLACES[name]
    kind = "state end" if is_end else "state"
    return (
        f'<rect class="{kind}" x="{x - WIDTH / 2:g}" y="{y - HEIGHT / 2:g}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
        f'<text class="name" x="{x}" y="{y + 5}">{name}</text>'
    )


def _names(*kinds: type) -> str:
    return ", ".join(kind.__name__ for kind in kinds)


def _notes(state: str, *lines: str, below: int = 0) -> list[str]:
    """What is said once, below a state."""
    x, y = PLACES[state]
    first = y + 40 + below
    return [
        f'<text class="label" x="{x}" y="{first + 13 * number}">{line}</text>'
        for number, line in enumerate(lines)
    ]


def _is_main(edge: Edge) -> bool:
    """Whether an edge has a label of its own."""
    return bool(edge.inputs)


def _line(edge: Edge) -> str:
    (x1, y1), (x2, y2) = _ends(edge)
    kind = "edge" if _is_main(edge) else "edge leave"
    return f'<path class="{kind}" d="M{x1:.0f} {y1:.0f} {x2:.0f} {y2:.0f}"/>'


def _label(edge: Edge) -> str:
    if not _is_main(edge):
        return ""
    (x1, y1), (x2, y2) = _ends(edge)
    share = SHARES.get((edge.start, edge.end), 0.25 if _has_opposite(edge) else 0.42)
    x, y = x1 + (x2 - x1) * share, y1 + (y2 - y1) * share - 6 * (len(edge.inputs) - 1)
    rows = "".join(
        f'<tspan x="{x:.0f}" dy="{12 if number else 0}">{name}</tspan>'
        for number, name in enumerate(edge.inputs)
    )
    return f'<text class="label" x="{x:.0f}" y="{y:.0f}">{rows}</text>'


def _ends(edge: Edge) -> tuple[tuple[float, float], tuple[float, float]]:
    """Returns where an edge begins and ends; opposite edges are drawn side by side."""
    (x1, y1), (x2, y2) = PLACES[edge.start], PLACES[edge.end]
    aside = ASIDE / hypot(x2 - x1, y2 - y1) if _has_opposite(edge) else 0.0
    dx, dy = (y1 - y2) * aside, (x2 - x1) * aside
    start, end = _border((x1, y1), (x2, y2)), _border((x2, y2), (x1, y1))
    return (start[0] + dx, start[1] + dy), (end[0] + dx, end[1] + dy)


def _has_opposite(edge: Edge) -> bool:
    return any((edge.end, edge.start) == (other.start, other.end) for other in edges())


def _border(inside: tuple[float, float], outside: tuple[float, float]) -> tuple[float, float]:
    """Returns where the way from the middle of a box leaves it."""
    dx, dy = outside[0] - inside[0], outside[1] - inside[1]
    share = min(WIDTH / 2 / abs(dx) if dx else 1, HEIGHT / 2 / abs(dy) if dy else 1)
    return inside[0] + dx * share, inside[1] + dy * share


def table() -> str:
    """Returns, as Markdown, what is legal in each state and what may follow."""
    lines = ["| In | on | follows |", "|---|---|---|"]
    for state, row in TABLE.items():
        groups: dict[str, list[str]] = {}
        for given, transition in row.items():
            ignored = transition.decide.__name__ == "ignore"
            follows = (
                "*ignored*" if ignored else ", ".join(target.__name__ for target in transition.to or (state,))
            )
            groups.setdefault(follows, []).append(given.__name__)
        for number, (follows, inputs) in enumerate(groups.items()):
            lines.append(f"| {state.__name__ if not number else ''} | {', '.join(inputs)} | {follows} |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """Returns a page with the table between its marks."""
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
