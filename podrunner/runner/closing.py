"""Closing a runner: what becomes of its pods, how long that may take, and what is said about those that are left.

What a caller acknowledges is checked here too: a runner that has left its pods takes no acknowledgement any more.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import anyio

from podrunner.errors import CloseTimeoutError, RunnerClosedError, UsageError
from podrunner.event_loop import current_time
from podrunner.interruption import persist, withdraw_cancellation
from podrunner.outcome import Category
from podrunner.runner.states import SettledState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podrunner.runner.context import Fence, RunnerContext
    from podrunner.runner.delivery import Deliveries
    from podrunner.runner.event_queue import EventBus
    from podrunner.runner.finalize import Finalizer, PodDeleter
    from podrunner.runner.runs import Runs
    from podrunner.runner.states import State
    from podrunner.runner.submission import SubmissionQueue
    from podrunner.runner.supervisor import Supervisor
    from podrunner.runner.tasks import SupervisedTasks
    from podrunner.runner.tracked import TrackedPod, TrackedPods

__all__ = ["ClosePolicy", "RunnerClose"]

_logger = logging.getLogger(__name__)

# After a cancel: a pod's default grace period, as much again for the node to confirm the end, and the log's time.
_CLOSE_WITHIN_S: Final = 90.0
# For a last look at the pods that the watch did not show as gone.
_ASK_WITHIN_S: Final = 5.0
# After a drain all that is left is deleting pods whose processes have ended.
_GONE_WITHIN_S: Final = 35.0
# For the marks and deletions of pods whose outcomes are delivered, which are on their way when pods are left.
_CONCLUDE_WITHIN_S: Final = 5.0
# Pods in one line of the log.
_NAMED: Final = 20


class ClosePolicy(StrEnum):
    """What becomes of the pods when a runner closes."""

    DRAIN = "drain"
    """Wait until every run is over, with all its tries, and every pod: its log read, itself deleted or kept, as the
    configuration says."""
    CANCEL = "cancel"
    """End every pod that is not over, then as ``drain``; bounded in time. No run has another try."""
    DETACH = "detach"
    """Leave the pods as they are, for a successor to adopt. No run has another try here.

    Those whose outcomes are delivered are not left: they are deleted or kept first, if that takes moments only."""


class RunnerClose:
    """Ends the pods of one runner by a policy, once.

    Args:
        pods: All pods.
        queue: Launches them.
        runs: All runs.
        context: Cancels pods.
        supervisor: Leaves pods to a successor.
        finalizer: Settles and drains.
        deleter: Knows which pods may run on.
        deliveries: Which outcomes are delivered.
        bus: Ends with the close.
        fence: Says from then on that the runner is closed.
        tasks: All tasks.

    Attributes:
        has_left: Whether the pods are left to a successor.
    """

    def __init__(  # noqa: PLR0913  # the engine wires it
        self,
        pods: TrackedPods,
        queue: SubmissionQueue,
        runs: Runs,
        *,
        context: RunnerContext,
        supervisor: Supervisor,
        finalizer: Finalizer,
        deleter: PodDeleter,
        deliveries: Deliveries,
        bus: EventBus,
        fence: Fence,
        tasks: SupervisedTasks,
    ) -> None:
        self.has_left: bool = False
        self._pods = pods
        self._queue = queue
        self._runs = runs
        self._context = context
        self._supervisor = supervisor
        self._finalizer = finalizer
        self._deleter = deleter
        self._deliveries = deliveries
        self._bus = bus
        self._fence = fence
        self._tasks = tasks
        self._is_shortened = False
        self._draining: anyio.CancelScope | None = None
        self._cancelling: anyio.CancelScope | None = None

    async def idle(self) -> None:
        """Returns when nothing is queued, every run is over, and of every pod no more than delivery is left to do."""
        with self._queue.admission.all_waited_for():
            await self._runs.idle()
            await self._queue.idle()
            await self._pods.idle()

    def acknowledge(self, pods: Sequence[TrackedPod]) -> None:
        """The caller stored the outcomes of these pods.

        Raises:
            UsageError: One of them has no outcome yet.
            RunnerClosedError: The runner was closed, and has left its pods.
        """
        if self.has_left or self._tasks.is_cancelled:
            why = "the runner was closed: a successor reports what was not acknowledged before"
            raise RunnerClosedError(why)
        for pod in pods:
            if not pod.state.is_ended:
                raise UsageError(f"pod {pod.namespace}/{pod.name} has no outcome to acknowledge yet")
        self._deliveries.acknowledge(pods)

    async def close(self, policy: ClosePolicy, *, is_clean: bool = True) -> None:
        """Takes no more calls and ends the pods by a policy. A second call does nothing.

        It goes to its end in the task in which it is called, which no scope cancels; ``Task.cancel()`` there makes the
        policy ``cancel``, unless it is ``detach``.

        Args:
            policy: The policy.
            is_clean: Whether the runner's block was not ended by an error.

        Raises:
            CloseTimeoutError: Pods did not end in the time for it.
        """
        if self._fence.is_closed:
            return
        self._fence.closed_because = "the runner is closed"
        self._pods.notify()
        self._finalizer.close()
        left: list[str] = []
        try:
            left = await self._end_pods(policy, is_clean=is_clean)
            if left:
                asked_until_s = current_time() + _ASK_WITHIN_S
                await persist(self._deleter.ask_for_rest, deadline_s=asked_until_s)
                left = self._not_ended()
        finally:
            self._report_undelivered()
            self._supervisor.leave_all()
            self.has_left = True
            self._bus.close()
        if left:
            error = CloseTimeoutError(left)
            _logger.error("%s", error)
            raise error

    def shorten(self) -> None:
        """A close that waits for the pods ends them instead."""
        self._is_shortened = True
        if self._draining is not None:
            self._draining.cancel()

    def abandon(self) -> None:
        """A task has failed, and all were ended: a close waits for nothing any more."""
        for scope in (self._draining, self._cancelling):
            if scope is not None and self._tasks.is_cancelled:
                scope.cancel()

    async def _end_pods(self, policy: ClosePolicy, *, is_clean: bool) -> list[str]:
        """Ends the pods by a policy; returns the names of those that did not end in the time for it."""
        if policy is ClosePolicy.DRAIN and not self._is_lost() and await self._drained(is_clean=is_clean):
            return self._not_ended()
        if policy is ClosePolicy.DETACH or self._is_lost():
            self._runs.stop(relinquish=True)
            within_s = current_time() + _CONCLUDE_WITHIN_S
            try:
                await persist(self._concluded, deadline_s=within_s, on_begin=self._note_cancelling)
            finally:
                self._deleter.freeze()
            return []
        self._runs.stop(relinquish=False)
        within_s = current_time() + _CLOSE_WITHIN_S
        is_over = await persist(self._cancel_all, deadline_s=within_s, on_begin=self._note_cancelling)
        return [] if is_over or self._is_lost() else self._not_ended()

    def _is_lost(self) -> bool:
        return self._tasks.is_cancelled

    async def _drained(self, *, is_clean: bool) -> bool:
        """Waits for the pods; False: that was cut short."""
        if self._is_shortened:
            return False
        try:
            with anyio.CancelScope(shield=True) as self._draining:
                await self._drain(is_clean=is_clean)
                return True
        except anyio.get_cancelled_exc_class():  # none that a scope has sent: it is caught there
            withdraw_cancellation()
        return False

    async def _drain(self, *, is_clean: bool) -> None:
        self._queue.admission.drain()
        await self.idle()
        self._deliveries.close(is_drain=True, is_clean=is_clean)
        await self._pods.idle()
        with anyio.move_on_after(_GONE_WITHIN_S):
            await self._deleter.wait_gone()

    async def _concluded(self) -> None:
        """Returns when every pod whose outcome is delivered is marked or deleted: else a successor reports it again."""
        while not self._is_lost() and any(_is_concluding(pod.state) for pod in self._pods):
            await self._pods.changed()

    def _note_cancelling(self, scope: anyio.CancelScope) -> None:
        self._cancelling = scope

    async def _cancel_all(self) -> None:
        await self._context.cancel_all()
        await self._queue.idle()
        await self._context.cancel_all()
        await self._pods.idle()
        await self._deleter.wait_gone()

    def _not_ended(self) -> list[str]:
        """Returns the names of pods that may run on."""
        active = [pod for pod in self._pods if pod.state.is_active]
        pods = {*active, *self._deleter.still_running(), *self._queue.creating()}
        return sorted(f"{pod.namespace}/{pod.name}" for pod in pods)

    def _report_undelivered(self) -> None:
        left = sum(pod.state.is_undelivered and not pod.is_gone for pod in self._pods)
        if left:
            _logger.warning(
                "%d pods that are over stay for a runner that adopts them: their outcomes were not delivered "
                "(outcome_delivery=%r)",
                left,
                self._deliveries.mode,
            )
        lost = [pod for pod in self._pods if pod.is_gone and _is_unreported(pod)]
        if lost:
            named = ", ".join(f"{pod.namespace}/{pod.name}" for pod in lost[:_NAMED])
            _logger.warning(
                "%d pods are gone, and their outcomes were not delivered (outcome_delivery=%r): no runner will report "
                "them: %s%s",
                len(lost),
                self._deliveries.mode,
                named,
                ", …" if len(lost) > _NAMED else "",
            )


def _is_concluding(state: State) -> bool:
    """Whether the outcome of a pod is delivered, and its log is still drained, or the pod deleted or marked."""
    return isinstance(state, SettledState) and not state.is_undelivered


def _is_unreported(pod: TrackedPod) -> bool:
    """Whether the caller was given no outcome of a pod; that it is cancelled was the caller's own wish."""
    outcome = pod.outcome
    if outcome is None:
        return not pod.state.is_ended
    return pod.state.is_undelivered and outcome.category is not Category.CANCELLED
