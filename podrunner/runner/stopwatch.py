"""How long the stages of a pod took, by this process's monotonic clock.

The cluster's time stamps have whole seconds, and each is by another clock. Where this process saw a stage begin and end
at the time, it measures more exactly. Pure: the time is handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from podrunner.outcome import Timings, main_status

if TYPE_CHECKING:
    from podrunner.outcome.record import ContainerStatus, Pod

__all__ = ["Stopwatch"]

_AGREES_S: Final = 2.0
"""By so much two stamps of whole seconds may differ from what was measured. By more, the pod was seen too late, or the
clocks of two machines differ: then the stamps are taken as they are."""


class Stopwatch:
    """When this process saw one pod created, and its main container start and end, in monotonic seconds."""

    __slots__ = ("_created_s", "_ended_s", "_started_s")

    def __init__(self) -> None:
        self._created_s: float | None = None
        self._started_s: float | None = None
        self._ended_s: float | None = None

    def created(self, now_s: float) -> None:
        """The API server has answered the create request."""
        self._created_s = now_s

    def note(self, before: Pod, after: Pod, *, main_container: str, now_s: float) -> None:
        """A record of the pod came after another one: what changed between them has just happened."""
        if before.status.container_statuses == after.status.container_statuses:
            return
        then, now = main_status(before, main_container), main_status(after, main_container)
        ran = _has_run(then)
        if _has_run(now) and not ran:
            self._started_s = now_s
        if _has_ended(now) and ran and not _has_ended(then):
            self._ended_s = now_s

    def measured(self, timings: Timings) -> Timings:
        """Returns the timings with what was measured, where the stamps agree."""
        return Timings(
            created=timings.created,
            scheduled=timings.scheduled,
            started=timings.started,
            finished=timings.finished,
            measured_queue_s=_agreeing(self._created_s, self._started_s, timings.queue_s),
            measured_run_s=_agreeing(self._started_s, self._ended_s, timings.run_s),
        )


def _agreeing(begin_s: float | None, end_s: float | None, stamped_s: float | None) -> float | None:
    if begin_s is None or end_s is None or stamped_s is None:
        return None
    measured_s = end_s - begin_s
    return round(measured_s, 3) if abs(measured_s - stamped_s) <= _AGREES_S else None


def _has_run(status: ContainerStatus | None) -> bool:
    return status is not None and (status.state.running is not None or status.state.terminated is not None)


def _has_ended(status: ContainerStatus | None) -> bool:
    return status is not None and status.state.terminated is not None
