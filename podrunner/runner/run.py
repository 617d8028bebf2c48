"""The handle of a run: a workload with its tries. Every method asks the runner that made it; nothing is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from podrunner.errors import OwnershipError, RunnerClosedError
from podrunner.runner.handle import AsyncPod

if TYPE_CHECKING:
    from podrunner.outcome import Outcome
    from podrunner.runner.desk import Desk
    from podrunner.runner.runs import Runs, TrackedRun
    from podrunner.workload import WorkloadKey

__all__ = ["AsyncRun"]


class AsyncRun:
    """A workload that is run, with as many pods as its retry policy allows. Made by :meth:`AsyncPodRunner.run`.

    Each try is a pod with a handle, an outcome and events of its own. Two handles of one run are equal.
    """

    def __init__(self, run: TrackedRun, runs: Runs, desk: Desk) -> None:
        self._run = run
        self._runs = runs
        self._desk = desk

    def __repr__(self) -> str:
        return f"<run {self.key} {len(self._run.tries)} pods>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncRun) and other._run is self._run

    def __hash__(self) -> int:
        return hash(id(self._run))

    @property
    def key(self) -> WorkloadKey:
        """What is run, as it was handed in: the pods' own keys say which attempt and relaunch they are."""
        return self._run.workload.key

    @property
    def pods(self) -> list[AsyncPod]:
        """The pods of all tries so far that this runner made or adopted, in their order."""
        return [AsyncPod(tracked, self._desk) for tracked in self._run.tries]

    @property
    def pod(self) -> AsyncPod | None:
        """The pod of the present or last try; None before the first that this runner made or adopted."""
        return AsyncPod(self._run.tries[-1], self._desk) if self._run.tries else None

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of the last pod; None while the run is not over, also between two tries."""
        return self._run.outcome

    async def wait(self, timeout_s: float | None = None) -> Outcome:
        """Waits until the run is over: a pod succeeded, or there is no further try.

        Args:
            timeout_s: Seconds to wait at most; None: as long as it takes.

        Returns:
            The outcome of the last pod. A run that was cancelled between two tries keeps that of the pod before.

        Raises:
            TimeoutError: The time is over; the run goes on.
            StaleError: The time is over, and nothing is known because the watch is interrupted.
            OwnershipError: Another runner took the pod over, and goes on with the run.
            RunnerClosedError: The runner was closed meanwhile and left the run to a successor.
        """
        run = self._run
        with anyio.move_on_after(timeout_s):
            await run.ended()
        if run.outcome is not None:
            return run.outcome
        if run.left:
            self._raise_left()
        if run.tries:
            self._desk.check_fresh(run.tries[-1])
        raise TimeoutError(f"run {self.key} was not over after {timeout_s:g} s")

    async def cancel(self, *, grace_period_s: int | None = None) -> None:
        """Ends the run, wherever it is: the present pod is cancelled, and there is no further try.

        Args:
            grace_period_s: Seconds that the pod's processes have to end; None: the configuration's, or the pod's own.

        Raises:
            OwnershipError: Another runner goes on with the run, or will: how it ends is told there.
            RunnerClosedError: The runner was closed and left the run to a successor.
        """
        await self._runs.cancel(self._run, grace_period_s=grace_period_s)
        if self._run.left or (self._desk.leaves_alone and self._run.outcome is None):
            self._raise_left()

    def _raise_left(self) -> None:
        if self._desk.is_closed:
            raise RunnerClosedError(f"the runner was closed and left run {self.key} to a successor")
        raise OwnershipError(
            f"another runner goes on with run {self.key}: its outcome is reported there",
            namespace="",
            name="",
        )
