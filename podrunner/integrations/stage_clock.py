"""How long the stages of pods take, and how many pods are in which: what both telemetry adapters count by.

Counted from what hooks are called with, by this process's monotonic clock. No system's interface belongs here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from podrunner import EventKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from podrunner import PodMove, RunnerEvent

__all__ = ["STATUSES", "StageClock"]

_STATUS_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Queued": "queued",
        "Creating": "creating",
        "Active": "pending",
        "Terminating": "terminating",
        "AwaitingFinalStatus": "ending",
        "Enriching": "ending",
        "Recording": "ending",
        "Draining": "draining",
        "Undelivered": "undelivered",
        "Reporting": "removing",
        "Removing": "removing",
    }
)
"""The status of a pod by its state (``podrunner.runner.states``); a pod of another state is done with."""
_RUNNING: Final = "running"
STATUSES: Final = tuple(dict.fromkeys((*_STATUS_OF.values(), _RUNNING)))
"""What a pod's status may be here: a fixed set, unlike the STATUS column of kubectl."""

_Place = tuple[str, str]
"""Namespace and name."""


@dataclass(slots=True)
class _Pod:
    status: str
    since_s: float
    queue_s: float = 0.0
    create_s: float = 0.0
    created_s: float | None = None


class StageClock:
    """Measures the stages of pods.

    Args:
        now_s: Monotonic seconds.

    Attributes:
        counts: How many pods have which status. It has all statuses, at all times: another thread may read it.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self.counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
        self._now_s = now_s
        self._pods: dict[_Place, _Pod] = {}

    def move(self, move: PodMove) -> Iterator[tuple[str, float]]:
        """Takes note of a move; returns the stages that are over by it, with their seconds: ``queue``, ``create``."""
        place, status, now_s = (move.namespace, move.name), _STATUS_OF.get(move.state), self._now_s()
        pod = self._pods.get(place)
        if pod is not None:
            self._leave(pod, now_s)
        if status is None:
            self._pods.pop(place, None)
            return
        if pod is None:
            pod = self._pods[place] = _Pod(status, now_s)
        self._enter(pod, status, now_s)
        if move.before == "Creating" and status == "pending":
            pod.created_s = now_s
            yield "queue", pod.queue_s
            yield "create", pod.create_s

    def _leave(self, pod: _Pod, now_s: float) -> None:
        self.counts[pod.status] -= 1
        if pod.status == "queued":
            pod.queue_s += now_s - pod.since_s
        elif pod.status == "creating":
            pod.create_s += now_s - pod.since_s

    def _enter(self, pod: _Pod, status: str, now_s: float) -> None:
        self.counts[status] += 1
        pod.status, pod.since_s = status, now_s

    def event(self, event: RunnerEvent) -> Iterator[tuple[str, float]]:
        """Takes note of an event; returns the stages that are over by it, with their seconds: ``start``, ``run``."""
        pod = self._pods.get((event.namespace, event.name))
        outcome = event.outcome
        if pod is not None and event.kind is EventKind.STATUS_CHANGED and event.status == "Running":
            yield from self._started(pod)
        if outcome is None or event.replayed:
            return
        if pod is not None and pod.created_s is not None and outcome.timings.queue_s is not None:
            pod.created_s = None
            yield "start", outcome.timings.queue_s
        if outcome.timings.run_s is not None:
            yield "run", outcome.timings.run_s

    def _started(self, pod: _Pod) -> Iterator[tuple[str, float]]:
        now_s = self._now_s()
        if pod.status == "pending":
            self.counts[pod.status] -= 1
            self._enter(pod, _RUNNING, now_s)
        if pod.created_s is not None:
            created_s, pod.created_s = pod.created_s, None
            yield "start", now_s - created_s
