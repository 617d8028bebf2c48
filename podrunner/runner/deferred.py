"""Launches that cannot go on yet because a pod has their name: what they wait for, one task for all that wait for it.

What belongs here: sharing the tasks, and ending one for which no launch waits any more. What a launch waits for, and
how it goes on, does not.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import anyio

from podrunner.errors import PodrunnerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from podrunner.runner.tasks import SupervisedTasks
    from podrunner.runner.tracked import TrackedPod

__all__ = ["Deferral", "DeferredLaunches"]


class Deferral(NamedTuple):
    """What a launch waits for.

    Attributes:
        key: What it is; launches with equal keys wait for one job.
        job: Returns once it is there, with what the launch goes on with.
        why: It in words, as ``the Lease of runner 'x'``.
        if_cancelled: Why the launch has no pod if it is cancelled meanwhile, although there is one; None: there is
            none.
    """

    key: Hashable
    job: Callable[[], Awaitable[object]]
    why: str
    if_cancelled: PodrunnerError | None = None


class _Wait:
    """One job, and the launches that wait for it."""

    def __init__(self, deferral: Deferral) -> None:
        self.key = deferral.key
        self.why = deferral.why
        self.job = deferral.job
        self.scope = anyio.CancelScope()
        self.resumes: dict[TrackedPod, Callable[[object], None]] = {}


class DeferredLaunches:
    """The launches of one runner that wait for something.

    Args:
        tasks: Where the jobs run.
    """

    def __init__(self, tasks: SupervisedTasks) -> None:
        self._tasks = tasks
        self._waits: dict[Hashable, _Wait] = {}
        self._by_pod: dict[TrackedPod, tuple[_Wait, Deferral]] = {}

    def __len__(self) -> int:
        return len(self._by_pod)

    def pods(self) -> list[TrackedPod]:
        """Returns the pods whose launches wait."""
        return list(self._by_pod)

    def reasons(self) -> Counter[str]:
        """Returns what launches wait for, in words, and how many do."""
        return Counter({wait.why: len(wait.resumes) for wait in tuple(self._waits.values())})

    def deferral_of(self, pod: TrackedPod) -> Deferral | None:
        """Returns what the launch of a pod waits for; None: it does not."""
        waiting = self._by_pod.get(pod)
        return None if waiting is None else waiting[1]

    def add(self, pod: TrackedPod, deferral: Deferral, resume: Callable[[object], None]) -> None:
        """Lets a launch wait.

        Args:
            pod: Its pod.
            deferral: What it waits for.
            resume: Called with the job's result, or with its error.
        """
        wait = self._waits.get(deferral.key)
        if wait is None:
            wait = self._waits[deferral.key] = _Wait(deferral)
            self._tasks.start_soon(self._run, wait, name=f"wait for {deferral.why}")
        wait.resumes[pod] = resume
        self._by_pod[pod] = wait, deferral

    def discard(self, pod: TrackedPod) -> None:
        """A launch waits no more; without one that waits, its job ends."""
        waiting = self._by_pod.pop(pod, None)
        if waiting is None:
            return
        wait, _ = waiting
        del wait.resumes[pod]
        if not wait.resumes:
            self._end(wait)
            wait.scope.cancel()

    async def _run(self, wait: _Wait) -> None:
        result: object = None
        with wait.scope:
            try:
                result = await wait.job()
            except PodrunnerError as error:
                result = error
        self._end(wait)
        resumes, wait.resumes = wait.resumes, {}
        for pod in resumes:
            self._by_pod.pop(pod, None)
        if not wait.scope.cancelled_caught:
            for resume in resumes.values():
                resume(result)

    def _end(self, wait: _Wait) -> None:
        if self._waits.get(wait.key) is wait:
            del self._waits[wait.key]
