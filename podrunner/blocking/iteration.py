"""The blocking iterators over pods as they end, and over outcomes in their workloads' order. Bridge calls only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from podrunner.blocking.pod import Pod, async_pod_of
from podrunner.blocking.run import Run, async_run_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from podrunner.blocking.bridge import Bridge
    from podrunner.outcome import Outcome
    from podrunner.runner import AsyncCompletions, AsyncPod, AsyncRun, RunWindow
    from podrunner.workload import Workload

__all__ = ["Completions", "Outcomes", "async_handle_of"]

H = TypeVar("H", bound=Pod | Run)


class Completions(Generic[H]):
    """Handles in the order of their ends; also after the runner is closed, as all are over then."""

    def __init__(
        self, completions: AsyncCompletions[Any], handles: Mapping[AsyncPod | AsyncRun, H], bridge: Bridge
    ) -> None:
        self._completions = completions
        self._handles = handles
        self._bridge = bridge

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> H:
        ended = self._bridge.run_if_open(self._completions.poll)
        if ended is None and not self._completions.is_exhausted:
            ended = self._bridge.call(self._completions.next_handle)
        if ended is None:
            raise StopIteration
        return self._handles[ended]


class Outcomes:
    """Outcomes in their workloads' order. The workloads are read in the caller's thread: any code may make them."""

    def __init__(self, workloads: Iterable[Workload], window: RunWindow, bridge: Bridge) -> None:
        self._workloads = iter(workloads)
        self._window = window
        self._bridge = bridge

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Outcome:
        self._window.give(self._workloads)
        outcome = self._bridge.call(self._window.next_outcome)
        if outcome is None:
            raise StopIteration
        return outcome


def async_handle_of(handle: Pod | Run) -> AsyncPod | AsyncRun:
    """Returns the asynchronous handle behind a blocking one."""
    return async_run_of(handle) if isinstance(handle, Run) else async_pod_of(handle)
