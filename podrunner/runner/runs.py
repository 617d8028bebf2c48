"""Runs: a workload with its tries, one pod after another, until one is the last.

A thin layer over the desk: each try is a submission like any other, with its own pod, handle, outcome and events. No
task runs while a pod does; only between two tries one waits. Whether there is another try is decided in
:mod:`podrunner.runner.retries`; what users hold is :class:`podrunner.runner.run.AsyncRun`.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio

from podrunner.errors import PodrunnerError
from podrunner.outcome import classify, refused_by_api
from podrunner.runner.notify import Notify
from podrunner.runner.retries import RetryPolicy, next_try, wait_before

if TYPE_CHECKING:
    from random import Random

    from podrunner.builder import OwnershipMetadata
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Pod
    from podrunner.runner.background import Background
    from podrunner.runner.desk import Desk
    from podrunner.runner.tracked import TrackedPod
    from podrunner.workload import Workload, WorkloadKey

__all__ = ["Runs", "TrackedRun"]

_logger = logging.getLogger(__name__)

# Adopted pods whose workloads nobody has run yet: a few kilobytes each. Of more than these, the oldest are forgotten.
_ADOPTED_KEPT: Final = 10_000
# The next try waits for the former pod's log to be read and its deletion to be accepted, so that two never write one
# log. Beyond the time for the log this long, for a server that refuses the deletion for good.
_FORMER_MARGIN_S: Final = 60.0

_Place = tuple[str, str]
"""Namespace and identity."""


class TrackedRun:
    """One workload and its tries. State only.

    Attributes:
        workload: What is run, as it was handed in.
        policy: When it is tried again.
        priority: Of its submissions.
        group: Of its submissions.
        tries: Its pods so far, the present one last.
        outcome: The outcome of its last pod, once the run is over.
        left: Whether another runner goes on with it: no outcome will come from here.
        cancelled: Whether there shall be no further try.
        pause: What ends the wait for the next try; None while a pod is under way.
    """

    def __init__(self, workload: Workload, policy: RetryPolicy, *, priority: int, group: str) -> None:
        self.workload = workload
        self.policy = policy
        self.priority = priority
        self.group = group
        self.tries: list[TrackedPod] = []
        self.outcome: Outcome | None = None
        self.left: bool = False
        self.cancelled: bool = False
        self.pause: anyio.CancelScope | None = None
        self._end = Notify()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it here."""
        return self.outcome is not None or self.left

    def end(self, outcome: Outcome | None) -> None:
        """The run is over, with an outcome, or (None) left to another runner."""
        assert not self.is_over, f"run {self.workload.key} is over already"
        self.outcome, self.left = outcome, outcome is None
        self._end.notify_all()

    async def ended(self) -> None:
        """Returns when the run is over."""
        while not self.is_over:
            await self._end.wait()


class _Former(NamedTuple):
    """The newest pod of a workload that an earlier runner made: adopted, or over, told and kept."""

    key: WorkloadKey
    tracked: TrackedPod | None
    pod: Pod | None = None
    main_container: str | None = None

    def kept_outcome(self) -> Outcome:
        assert self.pod is not None, "asked of kept pods only"
        main = self.main_container or "base"
        outcome = classify(self.pod, main_container=main)
        outcome = outcome or classify(self.pod, main_container=main, vanished=True)
        assert outcome is not None, "what vanished has an outcome"
        return outcome


class Runs:
    """All runs of one runner.

    Args:
        desk: Takes the submissions.
        group: Where waiting for the next try happens.
        random: Source of jitter.
    """

    def __init__(self, desk: Desk, *, group: Background, random: Random) -> None:
        self._desk = desk
        self._group = group
        self._random = random
        self._default = RetryPolicy.of(desk.config.run_retry)
        self._live: dict[_Place, TrackedRun] = {}
        self._former: OrderedDict[_Place, _Former] = OrderedDict()
        self._stopped = False
        self._leaving = False
        self._idle = Notify()

    @property
    def active(self) -> int:
        """How many runs are not over."""
        return len(self._live)

    def run(
        self, workload: Workload, *, policy: RetryPolicy | None, priority: int = 0, group: str = ""
    ) -> TrackedRun:
        """Begins a run, or goes on with one that is known.

        Raises:
            PodrunnerError: As :meth:`Desk.submit`.
        """
        self._desk.check_open()
        place = self._place(workload)
        if (known := self._live.get(place)) is not None:
            return known
        run = TrackedRun(workload, policy or self._default, priority=priority, group=group)
        former = self._former.pop(place, None)
        if former is None or _order(former.key) < _order(workload.key):
            first = self._desk.submit(workload, priority=priority, group=group)
            self._live[place] = run
            self._take(run, first)
        else:
            self._live[place] = run
            self._go_on(run, former)
        return run

    def _go_on(self, run: TrackedRun, former: _Former) -> None:
        if former.tracked is not None:
            self._take(run, former.tracked)
        else:
            self._judge(run, former.key, former.kept_outcome())

    def _place(self, workload: Workload) -> _Place:
        return workload.namespace or self._desk.config.namespace, workload.key.identity

    # What earlier runners left

    def note_adopted(self, tracked: TrackedPod) -> None:
        """A pod was adopted: should its workload be run, the run goes on with it."""
        self._note((tracked.namespace, tracked.key.identity), _Former(tracked.key, tracked))

    def note_kept(self, pod: Pod, stamp: OwnershipMetadata) -> None:
        """A pod is there that is over, and whose outcome was told: should its workload be run, it counts."""
        former = _Former(stamp.key, None, pod, stamp.main_container)
        self._note((pod.metadata.namespace, stamp.key.identity), former)

    def _note(self, place: _Place, former: _Former) -> None:
        known = self._former.pop(place, None)
        newest = former if known is None or _order(known.key) <= _order(former.key) else known
        self._former[place] = newest
        if len(self._former) > _ADOPTED_KEPT:
            self._former.popitem(last=False)

    # One try after another

    def _take(self, run: TrackedRun, tracked: TrackedPod) -> None:
        run.tries.append(tracked)
        if tracked.outcome is not None or tracked.lost:
            self._ended(run)
        else:
            tracked.on_end = partial(self._ended, run)

    def _ended(self, run: TrackedRun) -> None:
        tracked = run.tries[-1]
        if tracked.outcome is None:
            self._end(run, None)
        else:
            self._judge(run, tracked.key, tracked.outcome)

    def _judge(self, run: TrackedRun, key: WorkloadKey, outcome: Outcome) -> None:
        following = None if run.cancelled else self._following(run, key, outcome)
        if following is None:
            self._end(run, outcome)
        elif self._stopped:
            self._end(run, None if self._leaving else outcome)
        else:
            run.pause = anyio.CancelScope()
            self._group.start_soon(self._try_again, run, *following, outcome, name=f"next try of {key}")

    def _following(
        self, run: TrackedRun, key: WorkloadKey, outcome: Outcome
    ) -> tuple[WorkloadKey, float] | None:
        first = run.workload.key
        try:
            following = next_try(run.policy, outcome, key=key, first=first)
            if following is None:
                return None
            tries = key.attempt - first.attempt + key.relaunch + 1
            return following, wait_before(run.policy, outcome, tries=tries, random=self._random)
        except Exception:  # the policy's functions are the caller's
            _logger.exception("the retry policy failed on the outcome of %s: it is not tried again", key)
            return None

    async def _try_again(self, run: TrackedRun, key: WorkloadKey, wait_s: float, outcome: Outcome) -> None:
        """Waits, and submits the next try; the end of the pause is the end of the run."""
        assert run.pause is not None, "made before the task"
        submitted: TrackedPod | None = None
        try:
            with run.pause:
                _logger.info("%s is tried again as %s in %.1f s", run.workload.key, key, wait_s)
                await self._pause(run, wait_s)
                if not run.pause.cancel_called:  # an end that came in the same instant as the place in line
                    workload = run.workload.of_try(key)
                    submitted = self._desk.enqueue(workload, priority=run.priority, group=run.group)
        except PodrunnerError as error:
            outcome = refused_by_api(error)
        finally:
            run.pause = None
            if submitted is None:
                self._end(run, None if self._leaving else outcome)
        if submitted is not None:
            self._take(run, submitted)

    async def _pause(self, run: TrackedRun, wait_s: float) -> None:
        until = anyio.current_time() + wait_s
        if run.tries:
            with anyio.move_on_after(self._desk.config.logs.drain_timeout_s + _FORMER_MARGIN_S):
                await run.tries[-1].finished()
        await anyio.sleep_until(until)
        await self._desk.room_in_line()

    def _end(self, run: TrackedRun, outcome: Outcome | None) -> None:
        run.end(outcome)
        del self._live[self._place(run.workload)]
        self._idle.notify_all()

    # Ending

    async def cancel(self, run: TrackedRun, *, grace_period_s: int | None = None) -> None:
        """No further try; the present pod is cancelled, by the path of all pods."""
        run.cancelled = True
        if run.pause is not None:
            run.pause.cancel()
            await run.ended()
        elif not run.is_over:
            await self._desk.cancel(run.tries[-1], grace_period_s=grace_period_s)

    def stop(self, *, leave: bool) -> None:
        """No further tries of any run.

        Args:
            leave: Whether a successor goes on with those that would have had another; else they are over.
        """
        self._stopped = True
        self._leaving = self._leaving or leave
        for run in tuple(self._live.values()):
            if run.pause is not None:
                run.pause.cancel()

    async def idle(self) -> None:
        """Returns when every run is over."""
        while self._live:
            await self._idle.wait()


def _order(key: WorkloadKey) -> tuple[int, int]:
    return key.attempt, key.relaunch
