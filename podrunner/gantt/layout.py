"""Where each bar of a timeline is: records become rows and bars in seconds. Pure; no pixel is known here."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from podrunner.gantt.legend import mark_of, tone_of
from podrunner.gantt.records import PodRecord, Span, in_calendar, spans_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Bar", "Chart", "Row", "layout", "newest", "ticks"]

_MOST_LANES: Final = 4
_STEPS_S: Final = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800,
    3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
)  # fmt: skip


class Bar(msgspec.Struct, frozen=True, gc=False):
    """One pod in its row. Seconds count from the chart's origin.

    Attributes:
        record: The pod.
        spans: Its stages.
        begin_s: Where it begins.
        end_s: Where it ends.
        lane: Which part of the row's height: pods of one key may overlap.
        tone: Its colour.
        mark: The mark at its end, or "".
    """

    record: PodRecord
    spans: tuple[Span, ...]
    begin_s: float
    end_s: float
    lane: int
    tone: str
    mark: str


class Row(msgspec.Struct, frozen=True, gc=False):
    """All pods of one key.

    Attributes:
        key: The workload's key.
        namespace: Its namespace.
        lanes: Into how many parts its height is divided.
        bars: Its pods, the first first.
    """

    key: str
    namespace: str
    lanes: int
    bars: tuple[Bar, ...]


class Chart(msgspec.Struct, frozen=True, gc=False):
    """A timeline.

    Attributes:
        origin_s: Where it begins, in seconds since 1970.
        length_s: How long it is; never 0.
        rows: A row for each key, the one that began first first.
        categories: How many pods have each category; "" is none yet.
        pods: How many pods there are.
        succeeded: How many keys succeeded with their last pod.
    """

    origin_s: float
    length_s: float
    rows: tuple[Row, ...]
    categories: dict[str, int]
    pods: int
    succeeded: int


def newest(records: Iterable[PodRecord]) -> list[PodRecord]:
    """Return the last record of each pod; what an earlier one knew and the last one does not is kept.

    A runner that adopted a pod does not know when it was submitted, and a record of a pod without a UID is replaced by
    that of the pod.
    """
    kept: dict[tuple[str, str, int, int, str], PodRecord] = {}
    submitted: dict[tuple[str, str, int, int], float] = {}
    for record in records:
        if record.submitted is not None:
            submitted.setdefault(record.identity[:4], record.submitted)
        if record.uid:
            kept.pop((*record.identity[:4], record.pod), None)
        kept[record.identity] = record
    return [_with_submission(record, submitted.get(record.identity[:4])) for record in kept.values()]


def _with_submission(record: PodRecord, submitted_s: float | None) -> PodRecord:
    if record.submitted is not None or submitted_s is None:
        return record
    return msgspec.structs.replace(record, submitted=submitted_s)


def layout(records: Iterable[PodRecord], *, now_s: float | None = None) -> Chart:
    """Return the chart of some pods.

    Args:
        records: The pods; of several records of one pod the last counts.
        now_s: The present, in seconds since 1970; None: when the last record was made.
    """
    found = [in_calendar(record) for record in newest(records)]
    present_s = max((each.seen for each in found), default=0.0) if now_s is None else now_s
    spans = [tuple(spans_of(each, now_s=present_s)) for each in found]
    origin_s = min((own[0].begin_s for own in spans if own), default=present_s)
    until_s = max((own[-1].end_s for own in spans if own), default=present_s)
    groups: dict[tuple[str, str], list[Bar]] = {}
    for record, own in zip(found, spans, strict=True):
        bar = _bar(record, own, origin_s, present_s)
        groups.setdefault((record.namespace, record.key), []).append(bar)
    rows = sorted((_row(bars) for bars in groups.values()), key=lambda row: (row.bars[0].begin_s, row.key))
    return Chart(
        origin_s=origin_s,
        length_s=max(until_s - origin_s, 0.001),
        rows=tuple(rows),
        categories=dict(Counter(each.category for each in found).most_common()),
        pods=len(found),
        succeeded=sum(row.bars[-1].record.category == "succeeded" for row in rows),
    )


def _bar(record: PodRecord, spans: Sequence[Span], origin_s: float, present_s: float) -> Bar:
    moved = tuple(
        Span(span.phase, span.begin_s - origin_s, span.end_s - origin_s, span.lasts) for span in spans
    )
    if moved:
        begin_s, end_s = moved[0].begin_s, moved[-1].end_s
    else:  # never created, or no time of it is known: a mark alone
        begin_s = end_s = max(0.0, (record.created or record.submitted or present_s) - origin_s)
    return Bar(record, moved, begin_s, end_s, 0, tone_of(record), mark_of(record))


def _row(bars: list[Bar]) -> Row:
    """Return the row of a key: each pod in the first lane that is free, of the last if there are too many."""
    ends: list[float] = []
    placed: list[Bar] = []
    for bar in sorted(bars, key=lambda bar: (bar.begin_s, bar.record.attempt, bar.record.relaunch)):
        free = next((lane for lane, end_s in enumerate(ends) if end_s <= bar.begin_s), len(ends))
        lane = min(free, _MOST_LANES - 1)
        ends[lane : lane + 1] = [bar.end_s]
        placed.append(msgspec.structs.replace(bar, lane=lane))
    first = placed[0].record
    return Row(first.key, first.namespace, max(1, len(ends)), tuple(placed))


def ticks(length_s: float, *, most: int) -> list[float]:
    """Return where an axis has its marks: at multiples of a round step, at most so many and one more.

    Args:
        length_s: How long the axis is.
        most: How many marks there is room for.
    """
    step_s = next((step for step in _STEPS_S if length_s / step <= most), None)
    if step_s is None:
        step_s = _STEPS_S[-1] * -(-length_s // (_STEPS_S[-1] * most))
    return [count * step_s for count in range(int(length_s / step_s + 1e-9) + 1)]
