"""What ``podrunner describe`` knows of a pod, as lines for a terminal and as JSON data. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from podrunner.cells import clipped
from podrunner.cli.failures import one_line
from podrunner.cli.layout import wrapped
from podrunner.cli.moments import duration
from podrunner.cli.rows import PodRow
from podrunner.cli.stages_bar import StageSpan, bar_of, legend_of
from podrunner.outcome.result import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from podrunner.outcome import Evidence, Outcome
    from podrunner.outcome.record import Event, Pod

__all__ = ["Description", "Owner", "lines_of"]

_LABEL: Final = 11
_WIDEST: Final = 120
_NARROWEST: Final = 8
_EVENTS: Final = 12
_LONGEST_LINE: Final = 16_384
"""Characters of a log's line that are looked at."""


class Owner(NamedTuple):
    """The runner that a pod belongs to.

    Attributes:
        name: Its name; None: podrunner did not make the pod.
        scope: Its scope.
        lease: What its Lease says: ``held``, ``expired``, ``released``, ``absent``, or why it is not known.
        is_detached: Whether ``run --detach`` left the pod to itself.
    """

    name: str | None
    scope: str | None
    lease: str
    is_detached: bool

    def __str__(self) -> str:
        if self.name is None:
            return "none: podrunner did not make this pod"
        if self.is_detached:
            return "none: left running by podrunner run --detach, until podrunner delete"
        return f"{self.name} (lease {self.lease}, scope {self.scope})"


class Description(NamedTuple):
    """All that is known of a pod.

    Attributes:
        row: As ``get`` shows it.
        pod: Its record.
        owner: The runner that it belongs to.
        stages: The stages of its life.
        events: Its events, the oldest first.
        log: The last lines of its log; None: there is none.
        now: The time at which it was looked at.
    """

    row: PodRow
    pod: Pod
    owner: Owner
    stages: list[StageSpan]
    events: list[Event]
    log: list[str] | None
    now: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        outcome, meta = self.row.outcome, self.pod.metadata
        return {
            **self.row.to_dict(),
            "uid": meta.uid,
            "labels": dict(meta.labels or {}),
            "outcome": None if outcome is None else outcome.to_dict(),
            "owner": {**self.owner._asdict()},
            "stages": [span.to_dict() for span in self.stages],
            "events": [_event_data(event) for event in self.events],
            "log": self.log,
        }


def lines_of(
    described: Description, *, width: int | None, ellipsis: str = "…", is_ascii: bool = False
) -> list[str]:
    """Return a description as lines that fit the terminal.

    Args:
        described: What is known.
        width: Cells of a line; None: no terminal, 120.
        ellipsis: What stands for text that is cut off.
        is_ascii: Whether the terminal takes ASCII alone.
    """
    room = min(_WIDEST, width or _WIDEST)
    lines = [*_identity(described, room), *_outcome(described.row, room)]
    if described.stages:
        bar = bar_of(described.stages, width=room - _LABEL, is_ascii=is_ascii)
        lines += _labelled("Stages", bar, room)
        legend = "  ".join(legend_of(described.stages, is_ascii=is_ascii))
        lines += _labelled("" if bar else "Stages", legend, room)
    lines += _events(described, room, ellipsis)
    if described.log is not None:
        lines += ["", "Log"]
        lines += [f"  {_of_log(line, room - 2, ellipsis)}" for line in described.log]
    return lines


def _of_log(line: str, room: int, ellipsis: str) -> str:
    """Return the beginning of a line; a progress bar's may have megabytes."""
    cut = ellipsis if len(line) > _LONGEST_LINE else ""
    return clipped(one_line(line[:_LONGEST_LINE]) + cut, room, ellipsis=ellipsis)


def _identity(described: Description, room: int) -> Iterator[str]:
    row, meta = described.row, described.pod.metadata
    yield from _labelled("Key", row.identity.key if row.identity.parts else "", room)
    yield from _labelled("Try", row.identity.tried, room)
    yield from _labelled("Pod", f"{meta.namespace}/{meta.name}", room)
    yield from _labelled("UID", meta.uid, room)
    yield from _labelled("Node", row.node, room)
    yield from _labelled("Owner", str(described.owner), room)
    yield from _labelled("Age", row.age, room)
    yield from _labelled("Status", row.status, room)
    if row.outcome is None:
        yield from _labelled("Why", row.why, room)


def _outcome(row: PodRow, room: int) -> Iterator[str]:
    outcome = row.outcome
    if outcome is None:
        return
    yield from _labelled("Outcome", str(outcome), room)
    code = "" if outcome.exit_code is None else str(outcome.exit_code)
    yield from _labelled("Exit code", code, room)
    yield from _labelled("Retryable", _retryable(outcome), room)
    yield from _labelled("Said", outcome.termination_message or "", room)
    label = "Evidence"
    for item in outcome.evidence:
        yield from _labelled(label, _evidence(item), room)
        label = ""


def _retryable(outcome: Outcome) -> str:
    if outcome.succeeded:
        return ""
    started = "the work had begun" if outcome.started else "the work had not begun"
    return f"{'yes' if outcome.retryable else 'no'}; {started}"


def _evidence(item: Evidence) -> str:
    said = ": ".join(part for part in (item.reason, item.message) if part)
    name = f"{item.source} {item.name}".strip()
    return f"{name}: {said}" if said else name


def _events(described: Description, room: int, ellipsis: str) -> Iterator[str]:
    shown = described.events[-_EVENTS:]
    if not shown:
        return
    yield ""
    left_out = len(described.events) - len(shown)
    yield f"Events{f' ({left_out} older ones are not shown)' if left_out else ''}"
    for event in shown:
        at = parse_time(event.last_timestamp or event.event_time or event.first_timestamp)
        ago = "" if at is None else duration(max(0.0, (described.now - at).total_seconds()))
        often = f" (x{event.count})" if event.count > 1 else ""
        text = one_line(f"{event.reason}{often}: {event.message}")
        mark = "!" if event.type == "Warning" else " "
        yield clipped(f"{mark} {ago:>7}  {text}", room, ellipsis=ellipsis).rstrip()


def _labelled(label: str, text: str, room: int) -> list[str]:
    """Return a text behind its label, broken between words; no text, no line."""
    said = one_line(text)
    if not said:
        return []
    pieces = wrapped(said, max(_NARROWEST, room - _LABEL))
    return [f"{label if index == 0 else '':<{_LABEL}}{piece}" for index, piece in enumerate(pieces)]


def _event_data(event: Event) -> dict[str, Any]:
    return {
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "count": event.count,
        "at": event.last_timestamp or event.event_time or event.first_timestamp,
    }


def sorted_events(events: Iterable[Event]) -> Sequence[Event]:
    """Return events in the order of their times."""
    return sorted(
        events, key=lambda event: event.last_timestamp or event.event_time or event.first_timestamp or ""
    )
