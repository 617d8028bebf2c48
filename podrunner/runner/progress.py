"""How far a runner's work has come: what is done, runs, waits and why. Counted from what the runner knows already.

What belongs here: the counts. How they are shown is :mod:`podrunner.display`. No request is sent for them, and
nothing is counted before :func:`open_tally` is called.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from podrunner.event_loop import current_time
from podrunner.runner.events import EventKind
from podrunner.runner.states import NotCreatedState, Queued
from podrunner.runner.tasks import Notify

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from podrunner.markup import Facts
    from podrunner.outcome import Outcome
    from podrunner.runner.engine import Engine
    from podrunner.runner.events import RunnerEvent
    from podrunner.runner.runner import AsyncPodRunner
    from podrunner.runner.tracked import TrackedPod

__all__ = ["ProgressCounts", "Tally", "close_tally", "eta_s", "open_tally", "runner_facts", "start_beside"]

_QUEUED: Final = "queued"
_CREATING: Final = "being created"
_NEXT_TRY: Final = "next try"
_RUNNING: Final = "Running"
_STATUSES_SHOWN: Final = 10
# To see why a pod waits takes 20 µs, on the event loop that everything else needs too.
_ASKED_AT_MOST: Final = 500


class ProgressCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How far a runner's work has come. Of a run with many tries, only the last one is done.

    Attributes:
        total: How many there are: as given, or as many as the runner knows so far.
        done: How many are over, failed ones included.
        failed: How many of them did not succeed.
        running: How many run.
        waiting: How many wait: in the queue, for their pod to run, or for their next try.
        waiting_for: Why most of them wait: ``Unschedulable``, ``ContainerCreating``, ``queued``, …; "" if none waits.
        elapsed_s: Seconds since counting began.
        eta_s: Seconds until all are done, if they go on as since counting began; None: not known yet.
    """

    total: int
    done: int
    failed: int
    running: int
    waiting: int
    waiting_for: str
    elapsed_s: float
    eta_s: float | None

    def __str__(self) -> str:
        """Return the counts in one line."""
        left = "" if self.eta_s is None or self.done >= self.total else f", {_clock(self.eta_s)} left"
        return f"{self.done}/{self.total} done, {self.state()}{left}"

    def state(self) -> str:
        """Return what runs, waits and failed, in one line."""
        why = f" ({self.waiting_for})" if self.waiting_for else ""
        return f"{self.failed} failed, {self.running} running, {self.waiting} waiting{why}"


def eta_s(*, done: int, left: int, elapsed_s: float) -> float | None:
    """Returns how many seconds the rest takes if it takes as long as what was done; None: nothing was done yet."""
    if left <= 0:
        return 0.0
    return None if done == 0 else elapsed_s * left / done


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Tally:
    """Counts a runner's pods: as an observer of its events, which delivers nothing.

    Args:
        engine: The runner's.
        total: How many there will be; None: as many as are known.
    """

    def __init__(self, engine: Engine, *, total: int | None) -> None:
        self._engine = engine
        self._total = total
        self._done = 0
        self._failed = 0
        self._before = 0
        self._since_s = current_time()
        self._until_s: float | None = None
        self._change = Notify()
        for pod in engine.pods:
            if pod.outcome is not None:
                self._note(pod.finished_event())
        self._before = self._done

    def put(self, event: RunnerEvent) -> None:
        """Takes note of an event."""
        self._note(event)
        self._change.notify_all()

    async def changed(self) -> None:
        """Returns at the next event."""
        await self._change.wait()

    def close(self) -> None:
        """Nothing more will come."""
        if self._until_s is None:
            self._until_s = current_time()

    def _note(self, event: RunnerEvent) -> None:
        if event.kind is EventKind.FINISHED and event.outcome is not None and not event.will_retry:
            self._end(event.outcome)
        elif event.kind is EventKind.LOST:
            self._end(None)

    def _end(self, outcome: Outcome | None) -> None:
        self._done += 1
        self._failed += outcome is None or not outcome.succeeded

    def counts(self) -> ProgressCounts:
        """Returns the counts as they are now."""
        running, waiting, waiting_for = self._under_way()
        known = self._done + running + waiting
        total = known if self._total is None else max(self._total, self._done)
        elapsed_s = self._elapsed_s()
        return ProgressCounts(
            total=total,
            done=self._done,
            failed=self._failed,
            running=running,
            waiting=waiting,
            waiting_for=waiting_for,
            elapsed_s=elapsed_s,
            eta_s=eta_s(done=self._done - self._before, left=total - self._done, elapsed_s=elapsed_s),
        )

    def _elapsed_s(self) -> float:
        until_s = self._until_s
        return (current_time() if until_s is None else until_s) - self._since_s

    def _under_way(self) -> tuple[int, int, str]:
        """Returns how many run, how many wait, and why most of them do."""
        engine, reasons, running = self._engine, Counter[str](), 0
        pods = [pod for pod in (*engine.pods, *engine.pods.not_created()) if not pod.state.is_ended]
        undecided = [pod for pod in pods if pod.status != _RUNNING]
        step = -(-len(undecided) // _ASKED_AT_MOST) or 1
        for pod in undecided[::step]:
            why = self._waits_for(pod)
            if why is not None:
                reasons[why] += 1
            else:
                running += 1
        if step > 1:  # of so many only some were asked why
            running = sum(pod.pod is not None and pod.pod.status.phase == _RUNNING for pod in undecided)
        waiting = len(undecided) - running
        if (between := engine.runs.between_tries) > 0:
            reasons[_NEXT_TRY] += between
            waiting += between
        why = reasons.most_common(1)[0][0] if waiting and reasons else ""
        return len(pods) - len(undecided) + running, waiting, why

    def _waits_for(self, pod: TrackedPod) -> str | None:
        if isinstance(pod.state, NotCreatedState):
            return _QUEUED if isinstance(pod.state, Queued) else _CREATING
        waiting = self._engine.context.waiting(pod)
        return None if waiting is None else waiting.reason


def runner_facts(owner: str, engine: Engine | None) -> Facts:
    """Returns what a notebook shows of a runner: from memory, in any thread."""
    yield "owner", owner
    if engine is None:
        yield "state", "not open"
        return
    yield "state", "closed" if engine.context.is_closed else engine.context.lost_because or "open"
    yield from (("queued", engine.queue.queued), ("runs", engine.runs.active))
    statuses = Counter(pod.status for pod in engine.pods)
    yield "pods", "\n".join(f"{count} {status}" for status, count in statuses.most_common(_STATUSES_SHOWN))
    yield "not delivered", engine.pods.undelivered


# What the display asks of a runner, and callers do not


def open_tally(runner: AsyncPodRunner, *, total: int | None) -> Tally:
    """Begins to count the pods of a runner.

    Raises:
        RunnerClosedError: It is not open.
    """
    engine = runner._entered()  # noqa: SLF001  # the runner's own room
    engine.context.check_open("progress")
    tally = Tally(engine, total=total)
    runner._bus.attach(tally)  # noqa: SLF001
    return tally


def close_tally(runner: AsyncPodRunner, tally: Tally) -> None:
    """Ends the counting."""
    runner._bus.detach(tally)  # noqa: SLF001
    tally.close()


def start_beside(runner: AsyncPodRunner, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Starts a task beside a runner, which ends with it at the latest.

    Raises:
        RunnerClosedError: It is closed.
    """
    context = runner._entered().context  # noqa: SLF001
    context.check_connected("show")
    context.start(job)
