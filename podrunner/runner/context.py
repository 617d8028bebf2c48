"""What the handles of a runner's pods need: the client, the configuration, and the way to cancel, delete and read.

Also the one guard that all ask before they act: :class:`Fence`. What a handle shows is :mod:`podrunner.runner.handles`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from podrunner.errors import OwnershipError, StaleError, called_after_close
from podrunner.interruption import protect

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from datetime import datetime
    from random import Random

    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.logs import LogStreamLimiter
    from podrunner.outcome import Outcome, Waiting
    from podrunner.runner.delivery import Deliveries
    from podrunner.runner.finalize import PodDeleter
    from podrunner.runner.inputs import Input
    from podrunner.runner.submission import SubmissionQueue
    from podrunner.runner.supervisor import Supervisor
    from podrunner.runner.tasks import SupervisedTasks
    from podrunner.runner.tracked import TrackedPod, TrackedPods
    from podrunner.watch import WatchHealth

__all__ = ["Fence", "RunnerContext"]


class _Lease(Protocol):
    """What a fence needs of :class:`podrunner.ownership.LeaseKeeper`."""

    def is_held(self) -> bool:
        """Whether it is held; notes that it is lost."""
        ...

    def has_time_left(self) -> bool:
        """Whether it is held, in any thread."""
        ...

    @property
    def is_doubted(self) -> bool:
        """Whether it may be another runner's."""
        ...

    async def confirm(self) -> None:
        """Returns when it is held without doubt, or is lost."""
        ...

    def doubt(self) -> None:
        """It may be another runner's."""
        ...


class Fence:
    """Whether a runner may act: it is open, and holds its Lease. All that write ask it, right before they do.

    Requests ask :meth:`check_owner`, or :meth:`check_pod` where they change a pod that is tracked; log files and sinks
    ask :meth:`may_write`, which is for worker threads too.

    Args:
        lease: The runner's, by its own clocks.

    Attributes:
        closed_because: Why no calls are taken any more; None: they are.
        lost_because: Why the Lease is lost; None: it is not.
    """

    def __init__(self, lease: _Lease) -> None:
        self.closed_because: str | None = None
        self.lost_because: str | None = None
        self._lease = lease

    @property
    def is_closed(self) -> bool:
        """Whether no calls are taken any more."""
        return self.closed_because is not None

    def may_act(self) -> bool:
        """Returns whether requests may be sent and observations believed. For the event loop: it notes a loss."""
        return self._lease.is_held() and self.lost_because is None

    def may_write(self) -> bool:
        """Returns whether something may be written, by the machine's clocks. For all threads: it changes nothing."""
        return self.lost_because is None and self._lease.has_time_left()

    @property
    def is_doubted(self) -> bool:
        """Whether :meth:`confirm` would wait."""
        return self._lease.is_doubted

    async def confirm(self) -> None:
        """Returns when what :meth:`may_act` says is beyond doubt: at once, unless there is a doubt."""
        await self._lease.confirm()

    def doubt(self) -> None:
        """Another runner took a pod over: it may have taken this one for gone."""
        self._lease.doubt()

    def owns(self, pod: TrackedPod) -> bool:
        """Returns whether a pod that is there may be changed: the Lease is held, and no other runner has the pod."""
        return not (pod.is_gone or pod.is_taken_over) and self.may_act()

    def check_pod(self, pod: TrackedPod) -> None:
        """Refuses to change a pod without the Lease, or one that another runner took over.

        Raises:
            OwnershipError: It is not this runner's any more.
        """
        self.check_owner()
        self.check_not_taken_over(pod)

    def check_not_taken_over(self, pod: TrackedPod) -> None:
        """Refuses to change a pod that another runner took over; for what asks for the Lease itself.

        Raises:
            OwnershipError: Another runner did.
        """
        if pod.is_taken_over:
            raise OwnershipError(
                f"another runner took pod {pod.namespace}/{pod.name} over",
                namespace=pod.namespace,
                name=pod.name,
            )

    def check_open(self, call: str = "") -> None:
        """Refuses calls that come too late.

        Args:
            call: What the caller called.

        Raises:
            RunnerClosedError: The runner is closed.
            OwnershipError: The runner lost its Lease; it must not act any more.
        """
        if self.is_closed:
            raise called_after_close(call)
        self.check_owner()

    def check_owner(self) -> None:
        """Refuses to act without the Lease.

        Raises:
            OwnershipError: The runner lost it.
        """
        if not self.may_act():
            raise OwnershipError(
                f"this runner lost its lease and acts no more: {self.lost_because}", namespace="", name=""
            )


class RunnerContext:
    """What the handles of one runner's pods ask.

    Args:
        client: The API server.
        config: The configuration.
        random: Source of jitter.
        limiter: The connections that all readers of logs share.
        fence: Whether the runner may act.
        pods: All pods.
        queue: Stops launches.
        supervisor: Ends and deletes pods.
        deleter: Knows whether pods are left to a successor.
        deliveries: Takes note of the outcomes that the caller read.
        tasks: Where logs are read for callers.
        watches: Returns the health of all watches.
    """

    def __init__(  # noqa: PLR0913  # the engine wires it
        self,
        client: KubeClient,
        *,
        config: RunnerConfig,
        random: Random,
        limiter: LogStreamLimiter,
        fence: Fence,
        pods: TrackedPods,
        queue: SubmissionQueue,
        supervisor: Supervisor,
        deleter: PodDeleter,
        deliveries: Deliveries,
        tasks: SupervisedTasks,
        watches: Callable[[], Iterable[WatchHealth]],
    ) -> None:
        self.client: KubeClient = client
        self.config: RunnerConfig = config
        self.random: Random = random
        self.limiter: LogStreamLimiter = limiter
        self._fence = fence
        self._pods = pods
        self._queue = queue
        self._supervisor = supervisor
        self._deleter = deleter
        self.deliveries: Deliveries = deliveries
        self._tasks = tasks
        self._watches = watches

    @property
    def is_closed(self) -> bool:
        """Whether no calls are taken any more."""
        return self._fence.is_closed

    @property
    def lost_because(self) -> str | None:
        """Why the Lease is lost; None: it is not."""
        return self._fence.lost_because

    @property
    def is_relinquishing(self) -> bool:
        """Whether no pod is ended any more: they are left to a successor."""
        return self._deleter.is_frozen or not self._fence.may_act()

    def check_open(self, call: str = "") -> None:
        """Refuses calls that come too late.

        Args:
            call: What the caller called.

        Raises:
            RunnerClosedError: The runner is closed.
            OwnershipError: The runner lost its Lease.
        """
        self._fence.check_open(call)

    def check_connected(self, call: str) -> None:
        """Refuses calls that need the API server, whose connections a closed runner has given up.

        Raises:
            RunnerClosedError: The runner is closed.
        """
        if self._fence.is_closed:
            raise called_after_close(call)

    def check_fresh(self, pod: TrackedPod) -> None:
        """Refuses to answer from stale knowledge about a pod that is not known to be over.

        Raises:
            StaleError: The watch of its namespace has been interrupted for too long.
        """
        if pod.outcome is not None or pod.pod is None or self._fence.is_closed:
            return
        for health in self._watches():
            if health.stale and health.covers(pod.namespace):
                raise StaleError(
                    f"the watch has been interrupted for {health.interrupted_s:.0f} s: {health.error}; what "
                    f"is known of pod {pod.namespace}/{pod.name} may be out of date",
                    age_s=health.last_event_age_s,
                )

    def send(self, pod: TrackedPod, given: Input) -> None:
        """Applies an input to a pod."""
        self._supervisor.send(pod, given)

    def now(self) -> datetime:
        """Returns the time of day."""
        return self._supervisor.now()

    def waiting(self, pod: TrackedPod) -> Waiting | None:
        """Returns why a pod waits; None: it does not, or is not there."""
        return self._supervisor.waiting(pod)

    def take_outcome(self, pod: TrackedPod) -> Outcome | None:
        """Returns the outcome of a pod for the caller's own code, which takes it; None: there is none."""
        outcome = pod.outcome
        if outcome is not None:
            self.deliveries.take_pod(pod)
        return outcome

    def wait_begins(self, pod: TrackedPod) -> None:
        """A caller waits for the end of a pod."""
        self._queue.wait_begins(pod)

    def wait_ends(self, pod: TrackedPod) -> None:
        """A caller waits no more for the end of a pod."""
        self._queue.wait_ends(pod)

    async def cancel(self, pod: TrackedPod, *, grace_period_s: int | None = None) -> None:
        """Ends a pod, wherever it is. Does nothing to one that is over, or another runner's."""
        if not pod.uid:
            await self._queue.stop(pod)
        if pod.uid:
            await self._supervisor.terminate(pod, grace_period_s=grace_period_s)

    async def delete(self, pod: TrackedPod, *, grace_period_s: int | None = None) -> None:
        """Deletes a pod, whatever the policy says. One that is not over is cancelled."""
        if pod.outcome is None:
            await self.cancel(pod, grace_period_s=grace_period_s)
        else:
            await self._supervisor.remove(pod, grace_period_s=grace_period_s)

    def begin(self, job: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
        """Lets a call go on in a task of its own; one of a runner that is closed has nothing to do any more."""
        if not self._fence.is_closed:
            self._tasks.start_soon(job, name=name)

    async def cancel_all(self) -> None:
        """Ends everything that is not over; nothing is launched any more."""
        self._queue.refuse()
        for pod in self._queue.waiting():
            await self.cancel(pod)
        async with anyio.create_task_group() as group:
            for pod in (*self._queue.creating(), *self._pods):
                group.start_soon(protect, partial(self.cancel, pod), name=f"cancel {pod.name}")

    def start(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs the task of a log's reader beside the runner.

        Raises:
            RunnerClosedError: The runner is closed.
        """
        self.check_connected("logs")
        self._tasks.start_soon(job, name="log reader")
