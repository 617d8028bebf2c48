"""What is noted of each pod while a benchmark runs: its marks, its outcome, its log lines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from podrunner.bench.marks import Marks
from podrunner.runner import EventKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from podrunner.bench.plan import Life
    from podrunner.logs import LogBatch, LogGap
    from podrunner.logs.cursor import LogCursor
    from podrunner.logs.sinks import SinkFactory
    from podrunner.outcome import Outcome
    from podrunner.runner import AsyncPod, RunnerEvent

__all__ = ["Recorder"]

_RUNNING = "Running"


class Recorder:
    """Notes what the runner reports of the planned pods, and compares it with the plan.

    Attributes:
        marks: When each pod passed which point, by its name.
        problems: What was not as planned, a line each.
        gaps: Gaps in logs.
        lines: Lines of logs that were read.
        done: Pods whose outcome was read.
        running: Pods that were seen to run.
    """

    def __init__(self) -> None:
        self.marks: dict[str, Marks] = {}
        self.problems: list[str] = []
        self.gaps = 0
        self.lines: int = 0
        self.done: int = 0
        self.running: int = 0
        self._lives: dict[str, Life] = {}
        self._under_way: set[str] = set()
        self._read: dict[str, list[str]] = {}

    @property
    def is_over(self) -> bool:
        """Whether each pod has its outcome and is gone."""
        return not self._under_way

    def submitted(self, pods: Sequence[AsyncPod], lives: Sequence[Life], at_s: float) -> None:
        """The pods were handed to the runner."""
        for pod, life in zip(pods, lives, strict=True):
            self.marks[pod.name] = Marks(submitted=at_s)
            self._lives[pod.name] = life
            self._under_way.add(pod.name)

    def note(self, event: RunnerEvent[Any]) -> None:
        """An event was read just now."""
        now_s, marks = time.monotonic(), self.marks.get(event.name)
        if marks is None:
            return
        if event.kind is EventKind.STATUS_CHANGED and event.status == _RUNNING:
            self.running += marks.running is None
            marks.running = marks.running or now_s
        elif event.kind is EventKind.DELETED:
            marks.deleted = now_s
            self._under_way.discard(event.name)
        elif event.kind is EventKind.FINISHED and event.outcome is not None:
            self._finished(event, marks, event.outcome, now_s)
        elif event.kind is EventKind.LOST:
            self.problems.append(f"{event.name}: lost: {event.message}")
            self._under_way.discard(event.name)

    def _finished(self, event: RunnerEvent[Any], marks: Marks, outcome: Outcome, now_s: float) -> None:
        self.done += 1
        if marks.delivered is not None:
            self.problems.append(f"{event.name}: a second outcome")
        marks.delivered = now_s
        times = outcome.timings
        if times.created_at and times.scheduled_at:
            marks.created_stamp_s = times.created_at.timestamp()
            marks.scheduled_stamp_s = times.scheduled_at.timestamp()
        if marks.running is not None and times.measured_run_s is not None:
            marks.ended = min(now_s, marks.running + times.measured_run_s)
        if not event.uid:  # it was never created, so that no deletion follows
            self._under_way.discard(event.name)
        planned = self._lives[event.name].exit_code
        if outcome.succeeded != (planned == 0) or outcome.exit_code != planned:
            said = f"{outcome.category} (exit code {outcome.exit_code}): {outcome.message}"
            self.problems.append(f"{event.name}: exit code {planned} was planned, and the outcome is {said}")

    def created(self, creates: Mapping[str, tuple[float, float]]) -> None:
        """When the create requests were sent and answered."""
        for name, marks in self.marks.items():
            marks.create_sent, marks.created = creates.get(name, (None, None))

    def passed(self, stages: Mapping[str, Mapping[str, float]]) -> None:
        """When the server let the pods pass their stages; takes the place of what was seen from here."""
        for name, marks in self.marks.items():
            of = stages.get(name, {})
            marks.scheduled, marks.ended = of.get("scheduled"), of.get("ended", marks.ended)

    # --- logs ---

    def sinks(self, pod: AsyncPod) -> Sequence[SinkFactory]:
        """Return what takes the pod's log."""
        return [lambda _container: _Lines(self, pod.name)]

    def took(self, name: str, texts: Sequence[str]) -> None:
        """Lines of a pod's log were read."""
        self.lines += len(texts)
        self._read.setdefault(name, []).extend(texts)

    def log_ended(self, name: str, *, is_complete: bool) -> None:
        """The log of a pod was read to its end, or as far as it was read."""
        marks, read = self.marks.get(name), self._read.pop(name, [])
        if marks is None:
            return
        if is_complete:
            marks.log_complete = time.monotonic()
        planned = self._lives[name].log
        if tuple(read) != planned:
            self.problems.append(f"{name}: {len(planned)} log lines were planned, and {len(read)} were read")


class _Lines:
    """A sink that counts the lines of one pod's log."""

    def __init__(self, recorder: Recorder, pod: str) -> None:
        self._recorder = recorder
        self._pod = pod

    async def open(self, *, uid: str, container: str) -> LogCursor | None:
        del uid, container
        return None

    async def write(self, batch: LogBatch, cursor: LogCursor) -> None:
        del cursor
        self._recorder.took(self._pod, batch.texts())

    async def gap(self, gap: LogGap, cursor: LogCursor) -> None:
        del gap, cursor
        self._recorder.gaps += 1

    async def close(self, cursor: LogCursor) -> None:
        self._recorder.log_ended(self._pod, is_complete=cursor.complete)
