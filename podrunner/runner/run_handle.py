"""The handle that callers hold of a run with its tries, and what is asked of both kinds of handles. Decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from podrunner.errors import NotDoneError, OwnershipError, RunnerClosedError
from podrunner.runner.handles import AsyncPod, pod_stands

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from podrunner.outcome import Outcome
    from podrunner.runner.context import RunnerContext
    from podrunner.runner.runs import Runs, TrackedRun
    from podrunner.workload import WorkloadKey

__all__ = ["AsyncRun", "is_over", "on_end", "peek_outcome", "standing", "wait_until_over", "when_over"]


class AsyncRun:
    """A workload that is run, with as many pods as its retry policy allows. Made by :meth:`AsyncPodRunner.run`.

    Each try is a pod with a handle, an outcome and events of its own. Two handles of one run are equal.
    """

    def __init__(self, run: TrackedRun, runs: Runs, context: RunnerContext) -> None:
        self._run = run
        self._runs = runs
        self._context = context

    def __repr__(self) -> str:
        return f"<run {self.key} {len(self._run.tries)} pods>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncRun) and other._run is self._run

    def __hash__(self) -> int:
        return hash(id(self._run))

    @property
    def key(self) -> WorkloadKey:
        """The key of the present or last try, as ``pod.key``; before the first one, the key that was handed in."""
        return self._run.tries[-1].key if self._run.tries else self._run.workload.key

    @property
    def pods(self) -> list[AsyncPod]:
        """The pods of all tries so far that this runner made or adopted, in their order."""
        return [AsyncPod(tracked, self._context) for tracked in self._run.tries]

    @property
    def pod(self) -> AsyncPod | None:
        """The pod of the present or last try; None before the first that this runner made or adopted."""
        return AsyncPod(self._run.tries[-1], self._context) if self._run.tries else None

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of the last pod; None while the run is not over, also between two tries. Reading it takes it."""
        return self._read_outcome()

    @property
    def done(self) -> bool:
        """Whether it is over, or goes on elsewhere: ``result`` then returns, or raises why."""
        return self._run.is_over

    def _read_outcome(self) -> Outcome | None:
        run = self._run
        if run.outcome is not None and run.tries:
            self._context.take_outcome(run.tries[-1])
        return run.outcome

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
        with anyio.move_on_after(timeout_s):
            await self._ended()
        outcome = self._take_outcome()
        if outcome is not None:
            return outcome
        raise TimeoutError(f"run {self.key} was not over after {timeout_s:g} s: {self._stands()}")

    async def _ended(self) -> None:
        if self._run.is_over:
            return
        self._runs.wait_begins(self._run)  # its tries are launched, whatever the caller has not read
        try:
            await self._run.ended()
        finally:
            self._runs.wait_ends(self._run)

    def result(self) -> Outcome:
        """The outcome of a run that is over, without waiting. Returning it takes it (``outcome_delivery``).

        Raises:
            NotDoneError: The run is not over yet.
            StaleError: Nothing is known because the watch is interrupted.
            OwnershipError: As for ``wait``.
            RunnerClosedError: As for ``wait``.
        """
        outcome = self._take_outcome()
        if outcome is not None:
            return outcome
        raise NotDoneError(f"run {self.key} has no outcome yet: {self._stands()}")

    def __await__(self) -> Generator[Any, Any, Outcome]:
        """``outcome = await run``: as ``wait`` without a time limit."""
        return self.wait().__await__()

    def _take_outcome(self) -> Outcome | None:
        """Returns the outcome; None: there is none yet. Raises why none will come from here, or none is known."""
        outcome, run = self._read_outcome(), self._run
        if outcome is None and run.is_relinquished:
            self._raise_relinquished()
        if outcome is None and run.tries:
            self._context.check_fresh(run.tries[-1])
        return outcome

    def _stands(self) -> str:
        last = self._run.tries[-1] if self._run.tries else None
        return "it has no pod yet" if last is None else f"pod {last.name} {pod_stands(last, self._context)}"

    async def cancel(self, *, grace_period_s: int | None = None, wait: bool = True) -> None:
        """Ends the run, wherever it is: the present pod is cancelled, and there is no further try.

        Args:
            grace_period_s: Seconds that the pod's processes have to end; None: the configuration's, or the pod's own.
            wait: Whether to return when the API server has accepted it; False: at once, while the runner goes on.

        Raises:
            OwnershipError: Another runner goes on with the run, or will: its end is reported there.
            RunnerClosedError: The runner was closed and left the run to a successor.
        """
        if wait:
            await self._runs.cancel(self._run, grace_period_s=grace_period_s)
        else:
            self._runs.begin_cancel(self._run, grace_period_s=grace_period_s)
        if self._run.is_relinquished or (self._context.is_relinquishing and self._run.outcome is None):
            self._raise_relinquished()

    def _raise_relinquished(self) -> None:
        lost = self._run.tries[-1].launch_error if self._run.tries else None
        if lost is not None:
            raise lost
        if self._context.is_closed:
            raise RunnerClosedError(f"the runner was closed and left run {self.key} to a successor")
        raise OwnershipError(
            f"another runner goes on with run {self.key}: its outcome is reported there",
            namespace="",
            name="",
        )


# What other parts of podrunner ask of handles, and callers do not


def is_over(handle: AsyncPod | AsyncRun) -> bool:
    """Returns whether a pod or run is over here."""
    return handle.done


def on_end(handle: AsyncPod | AsyncRun, callback: Callable[[], object]) -> None:
    """Calls a function once, when a pod or run that is not over is over."""
    tracked = handle._tracked if isinstance(handle, AsyncPod) else handle._run  # noqa: SLF001
    tracked.on_end(callback)


def standing(handle: AsyncPod | AsyncRun) -> str:
    """Says of a pod or run that is not over how it stands.

    Raises:
        StaleError: That is not known, because the watch is interrupted.
    """
    try:
        handle.result()
    except NotDoneError as error:
        return str(error)
    return f"{handle!r} is over by now"


def when_over(pod: AsyncPod, callback: Callable[[], object]) -> None:
    """Calls a function when a pod is over: at once, if it is. Until then a caller waits for it."""
    tracked, context = pod._tracked, pod._context  # noqa: SLF001

    def end() -> None:
        context.wait_ends(tracked)
        callback()

    if pod.done:
        callback()
    else:
        context.wait_begins(tracked)
        on_end(pod, end)


async def wait_until_over(run: AsyncRun) -> None:
    """Returns when a run is over, and takes nothing."""
    await run._ended()  # noqa: SLF001


def peek_outcome(handle: AsyncPod | AsyncRun) -> Outcome | None:
    """Returns the outcome of a pod or run without taking it; None while there is none."""
    return handle._tracked.outcome if isinstance(handle, AsyncPod) else handle._run.outcome  # noqa: SLF001
