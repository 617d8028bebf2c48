"""Times and pods in words, the same in all renderers. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podrunner.gantt.layout import Bar, Chart
    from podrunner.gantt.records import Span

__all__ = ["clock", "describe", "duration", "headline"]


def duration(seconds: float) -> str:
    """Return a span of time in short: ``0.25 s``, ``12 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds < 10:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + " s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def clock(seconds: float) -> str:
    """Return a time since 1970 as ``2026-11-28 17:40:13 UTC``."""
    return f"{datetime.fromtimestamp(seconds, UTC).replace(microsecond=0, tzinfo=None)} UTC"


def headline(chart: Chart) -> str:
    """Return what a chart shows, in one line."""
    keys = len(chart.rows)
    return (
        f"{chart.pods} pod{'' if chart.pods == 1 else 's'} of {keys} workload{'' if keys == 1 else 's'}, "
        f"{chart.succeeded} succeeded, {duration(chart.length_s)} from {clock(chart.origin_s)}"
    )


def describe(bar: Bar) -> str:
    """Return a pod in one line: key, try, how it ended, stages."""
    record = bar.record
    stages = ", ".join(f"{span.phase} {_took(span)}" for span in bar.spans)
    ended = record.category or record.status or "submitted"
    cause = f": {record.message}" if record.message else ""
    return f"{record.key} {record.try_label} {ended}{cause} ({stages or 'no stage is known'})"


def _took(span: Span) -> str:
    """Return how long a stage took; of one within a second the cluster's stamps do not say."""
    took_s = span.end_s - span.begin_s
    return f"{duration(took_s)} so far" if span.lasts else duration(took_s) if took_s else "under 1 s"
