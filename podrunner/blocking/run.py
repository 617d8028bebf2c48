"""The blocking handle of a run. Signatures and bridge calls, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podrunner.blocking.pod import Pod
from podrunner.runner import peek_outcome

if TYPE_CHECKING:
    from podrunner.blocking.bridge import Bridge
    from podrunner.outcome import Outcome
    from podrunner.runner import AsyncRun
    from podrunner.workload import WorkloadKey

__all__ = ["Run", "async_run_of"]


class Run:
    """A workload that is run, with as many pods as its retry policy allows. Made by :meth:`PodRunner.run`.

    Each try is a pod with a handle, an outcome and events of its own. Two handles of one run are equal.
    """

    def __init__(self, run: AsyncRun, bridge: Bridge) -> None:
        self._run = run
        self._bridge = bridge

    def __repr__(self) -> str:
        return repr(self._run)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other._run == self._run

    def __hash__(self) -> int:
        return hash(self._run)

    @property
    def key(self) -> WorkloadKey:
        """The key of the present or last try, as ``pod.key``; before the first one, the key that was handed in."""
        return self._run.key

    @property
    def pods(self) -> list[Pod]:
        """The pods of all tries so far that this runner made or adopted, in their order."""
        return [Pod(pod, self._bridge) for pod in self._run.pods]

    @property
    def pod(self) -> Pod | None:
        """The pod of the present or last try; None before the first that this runner made or adopted."""
        pod = self._run.pod
        return None if pod is None else Pod(pod, self._bridge)

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of the last pod; None while the run is not over, also between two tries. Reading it takes it."""
        if peek_outcome(self._run) is None:
            return None
        return self._bridge.run_if_open(lambda: self._run.outcome)

    @property
    def done(self) -> bool:
        """Whether it is over, or goes on elsewhere: ``result`` then returns, or raises why."""
        return self._run.done

    def wait(self, timeout_s: float | None = None) -> Outcome:
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
        return self.outcome or self._bridge.call(self._run.wait, timeout_s)

    def result(self) -> Outcome:
        """The outcome of a run that is over, without waiting. Returning it takes it (``outcome_delivery``).

        Raises:
            NotDoneError: The run is not over yet.
            StaleError: Nothing is known because the watch is interrupted.
            OwnershipError: As for ``wait``.
            RunnerClosedError: As for ``wait``.
        """
        return self._bridge.run_if_open(self._run.result)

    def cancel(self, *, grace_period_s: int | None = None, wait: bool = True) -> None:
        """Ends the run, wherever it is: the present pod is cancelled, and there is no further try.

        Args:
            grace_period_s: Seconds that the pod's processes have to end; None: the configuration's, or the pod's own.
            wait: Whether to return when the API server has accepted it; False: at once, while the runner goes on.

        Raises:
            OwnershipError: Another runner goes on with the run, or will: its end is reported there.
            RunnerClosedError: The runner was closed and left the run to a successor.
        """
        self._bridge.call(self._run.cancel, grace_period_s=grace_period_s, wait=wait)


def async_run_of(run: Run) -> AsyncRun:
    """Returns the asynchronous handle behind a blocking one."""
    return run._run  # noqa: SLF001  # the handle's own room
