"""A timeline as one HTML page that stands for itself: no other file is loaded, and no request is made.

The page's Content-Security-Policy allows the one script and the one style sheet that are in it, by their hashes. Keys
and messages come as JSON in a data block in which no character can end the block.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from podrunner.gantt.legend import MARKS, PHASES, TONES
from podrunner.gantt.words import headline

if TYPE_CHECKING:
    from podrunner.gantt.layout import Bar, Chart

__all__ = ["data_block", "html_of"]

_ESCAPES: Final = {ord(each): f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}


def data_block(document: Any) -> str:
    """Return a document as JSON that may stand inside a script element: ASCII, without ``<``, ``>`` and ``&``."""
    return json.dumps(document, separators=(",", ":")).translate(_ESCAPES)


def html_of(chart: Chart, *, title: str = "podrunner timeline") -> str:
    """Return a chart as an HTML document.

    Args:
        chart: The chart.
        title: The document's title.
    """
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return _asset("page.html").format(
        policy=escape(policy, quote=True),
        title=escape(title),
        headline=escape(headline(chart)),
        style=style,
        data=data_block(_document(chart)),
        script=script,
    )


@cache
def _asset(name: str) -> str:
    return files("podrunner.gantt").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _document(chart: Chart) -> dict[str, Any]:
    """Return what the script reads. Times are seconds from the origin, to a millisecond."""
    phases = list(PHASES)
    return {
        "origin": chart.origin_s,
        "length": round(chart.length_s, 3),
        "phases": [[str(phase), look.label, look.pattern] for phase, look in PHASES.items()],
        "tones": {tone or "ok": look._asdict() for tone, look in TONES.items()},
        "marks": {str(category): mark for category, mark in MARKS.items()},
        "categories": chart.categories,
        "rows": [
            {
                "key": row.key,
                "ns": row.namespace,
                "lanes": row.lanes,
                "bars": [_bar(b, phases) for b in row.bars],
            }
            for row in chart.rows
        ],
    }


def _bar(bar: Bar, phases: list[Any]) -> dict[str, Any]:
    record = bar.record
    found = {
        "try": record.try_label,
        "lane": bar.lane,
        "from": round(bar.begin_s, 3),
        "to": round(bar.end_s, 3),
        "spans": [
            [phases.index(span.phase), round(span.begin_s, 3), round(span.end_s, 3), int(span.lasts)]
            for span in bar.spans
        ],
        "tone": bar.tone or "ok",
        "mark": bar.mark,
        "pod": record.pod,
        "node": record.node,
        "status": record.status,
        "restarts": record.restarts,
        "category": record.category,
        "fault": record.fault,
        "reason": record.reason,
        "message": record.message,
        "exit": record.exit_code,
    }
    return {name: value for name, value in found.items() if value not in ("", None)}
