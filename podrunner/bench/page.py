"""The report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere. Pure."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from podrunner.bench.report import text
from podrunner.bench.svg import lines, spans

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["page"]

_PERCENTILES: Final = ("p50", "p90", "p99", "max")
_STYLE: Final = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1c2434;--dim:#5d6880;--line:#dfe3ea}
@media (prefers-color-scheme:dark){:root{--bg:#0e1116;--card:#161a22;--ink:#e6e9f0;--dim:#9aa5ba;--line:#2c3340}}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:800px;margin:0 auto;padding:24px 16px}
section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 16px;margin:16px 0}
h1{font-size:22px}h2{font-size:16px;margin:4px 0 8px}
pre{overflow-x:auto;font:13px/1.45 ui-monospace,monospace}dt{font-weight:600}dd{margin:0 0 6px;color:var(--dim)}
p{color:var(--dim)}
"""


def page(found: dict[str, Any]) -> str:
    """Return the page of a report's document (:func:`podrunner.bench.report.document`)."""
    title = f"podrunner bench: {found['plan']['pods']} pods on {found['plan']['target']}"
    sections = "\n".join(f"<section>{section}</section>" for section in _sections(found))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body><main>\n<h1>{escape(title)}</h1>\n{sections}\n</main></body>\n</html>\n"
    )


def _sections(found: dict[str, Any]) -> Iterable[str]:
    yield f"<pre>{escape(chr(10).join(text(found)))}</pre>"
    yield _stages(found)
    yield _over_time(found)
    if found["outcome_delivered"]:
        yield _delivery(found)
    yield _meaning(found)


def _stages(found: dict[str, Any]) -> str:
    rows = {
        name: [of[each] for each in _PERCENTILES] for name, of in found["stages"].items() if of is not None
    }
    return spans("How long the stages took", rows, names=_PERCENTILES)


def _over_time(found: dict[str, Any]) -> str:
    series = {
        "live pods": [(at_s, live) for at_s, live, _ in found["live"]],
        "outcomes": [(at_s, done) for at_s, _, done in found["live"]],
    }
    return lines("Pods over time", series, x_name="seconds", y_name="pods")


def _delivery(found: dict[str, Any]) -> str:
    points = [(seconds * 1e3, share) for seconds, share in found["outcome_delivered"]]
    return lines(
        "From a pod's end to its outcome in hand",
        {"outcomes": points},
        x_name="milliseconds",
        y_name="% that took no longer",
    )


def _meaning(found: dict[str, Any]) -> str:
    terms = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(of['of'])}</dd>"
        for name, of in found["stages"].items()
        if of is not None
    )
    about = found["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    where = f"{about['system']}, {about['cores']} cores, Python {about['python']}; {versions}"
    calls = ", ".join(f"{name} {count}" for name, count in found["api_calls"].items())
    return f"<h2>What the figures are</h2><dl>{terms}</dl><p>API calls: {escape(calls)}</p><p>{escape(where)}</p>"
