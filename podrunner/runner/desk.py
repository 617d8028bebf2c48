"""Launching and ending: the queue of submissions, the slots, and the one path by which a pod is cancelled.

A workload becomes a tracked pod here and is handed to the supervisor. How a pod is created exactly once is
the launcher's business; what becomes of it, the supervisor's.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio

from podrunner.errors import (
    OwnershipError,
    PodrunnerError,
    QueueFullError,
    RunnerClosedError,
    StaleError,
)
from podrunner.outcome import Category, Fault, Outcome, refused_by_api
from podrunner.ownership import utc_now
from podrunner.runner.events import EventKind
from podrunner.runner.line import WaitingLine
from podrunner.runner.notify import Notify
from podrunner.runner.patience import backdate
from podrunner.runner.tracked import Intent, TrackedPod

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator
    from random import Random

    from podrunner.builder import PodBuilder, PodPlan
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.launcher import Launcher
    from podrunner.logs import LogStreamLimiter
    from podrunner.outcome.record import Pod
    from podrunner.ownership import WallClock
    from podrunner.runner.background import Background
    from podrunner.runner.supervision import Supervisor
    from podrunner.watch import WatchHealth
    from podrunner.workload import Workload

__all__ = ["Desk", "LaunchResult"]

_logger = logging.getLogger(__name__)

LaunchResult = tuple[TrackedPod, PodrunnerError | None]


class Desk:
    """Takes orders for pods: launch, submit, cancel, delete.

    Attributes:
        client: The API server.
        config: The configuration.
        random: Source of jitter.
    """

    def __init__(  # noqa: PLR0913  # the runner wires it, nobody else
        self,
        client: KubeClient,
        launcher: Launcher,
        *,
        builder: PodBuilder,
        supervisor: Supervisor,
        config: RunnerConfig,
        group: Background,
        random: Random,
        watches: Callable[[], Iterable[WatchHealth]],
        now: WallClock = utc_now,
    ) -> None:
        self.client = client
        self.config = config
        self.random = random
        self.closed_because: str | None = None
        self.fenced_because: str | None = None
        self._launcher = launcher
        self._supervisor = supervisor
        self._builder = builder
        self._warned: set[str] = set()
        self._group = group
        self._watches = watches
        self._now = now
        self._queue: WaitingLine[tuple[PodPlan, TrackedPod]] = WaitingLine()
        self._workers = 0
        self._by_name: dict[tuple[str, str], TrackedPod] = {}
        self._scopes: dict[TrackedPod, anyio.CancelScope] = {}
        self._room = Notify()
        self._cancelling = False
        supervisor.on_settled = lambda _: self._room.notify_all()
        supervisor.on_forgotten = self._forget

    # State

    @property
    def is_closed(self) -> bool:
        """Whether no orders are taken any more."""
        return self.closed_because is not None

    def close(self, why: str) -> None:
        """No orders are taken any more; those that were, stand."""
        self.closed_because = why
        self._room.notify_all()

    @property
    def queued(self) -> int:
        """How many submissions wait or are being created."""
        return len(self._queue) + self._workers

    def check_open(self) -> None:
        """Refuses orders that come too late.

        Raises:
            RunnerClosedError: The runner is closed.
            OwnershipError: The runner lost its Lease; it must not act any more.
        """
        if self.closed_because is not None:
            raise RunnerClosedError(self.closed_because)
        self._check_owner()

    @property
    def leaves_alone(self) -> bool:
        """Whether no pod is ended any more: they are somebody else's business."""
        return self._supervisor.deletions.frozen or not self._is_owner()

    def _is_owner(self) -> bool:
        return self._supervisor.may_act() and self.fenced_because is None

    def _check_owner(self) -> None:
        if self._is_owner():
            return
        raise OwnershipError(
            f"this runner lost its lease and acts no more: {self.fenced_because}", namespace="", name=""
        )

    def fence(self, why: str) -> None:
        """The Lease is lost: whatever is not over is given up, and nothing is begun or deleted any more."""
        self.fenced_because = why
        self._supervisor.fence(why)
        waiting = [tracked for _, tracked in self._queue]
        self._queue.clear()
        for tracked in (*waiting, *self._scopes):
            self._by_name.pop((tracked.namespace, tracked.name), None)
            self._supervisor.abandon(tracked, why)
        for scope in self._scopes.values():
            scope.cancel()
        self._room.notify_all()

    def knows(self, pod: Pod) -> bool:
        """Whether a pod is tracked, or being created: then its creation is the one that tracks it."""
        meta = pod.metadata
        return self._supervisor.known(meta.uid) or self._launcher.is_launching(meta.namespace, meta.name)

    def check_fresh(self, tracked: TrackedPod) -> None:
        """Refuses to answer from stale knowledge about a pod that is not known to be over.

        Raises:
            StaleError: The watch of its namespace has been interrupted for too long.
        """
        if tracked.outcome is not None or tracked.pod is None or self.is_closed:
            return
        for health in self._watches():
            if health.stale and health.covers(tracked.namespace):
                raise StaleError(
                    f"the watch has been interrupted for {health.interrupted_s:.0f} s: {health.error}; what "
                    f"is known of pod {tracked.namespace}/{tracked.name} may be out of date",
                    age_s=health.last_event_age_s,
                )

    def adopt(self, tracked: TrackedPod, pod: Pod) -> TrackedPod:
        """Takes in a pod that an earlier runner made: who launches its attempt gets this one."""
        known = self._supervisor.track(tracked, pod, kind=EventKind.ADOPTED)
        backdate(known, pod, now_s=anyio.current_time(), now=self._now())
        self._by_name[known.namespace, known.name] = known
        return known

    # Launching

    async def launch(self, workload: Workload) -> TrackedPod:
        """Creates the workload's pod; returns when it exists.

        Raises:
            PodrunnerError: It could not be created; nothing is left behind.
        """
        self.check_open()
        plan = self._plan(workload)
        known = self._by_name.get((plan.namespace, plan.name))
        if known is not None and not known.gone:
            return await self._created(known)
        tracked = self._register(plan)
        try:
            return await self._create(plan, tracked)
        except PodrunnerError as error:
            self._fail(tracked, error, tell=False)
            raise
        except BaseException:
            self._fail(tracked, None, tell=False)
            raise

    def _plan(self, workload: Workload) -> PodPlan:
        """Builds the pod; what was said without effect is told in the log, each sentence once."""
        plan = self._builder.build(workload)
        for warning in plan.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                _logger.warning("%s", warning)
        return plan

    async def launch_many(
        self, workloads: Iterable[Workload], *, concurrency: int | None
    ) -> list[LaunchResult]:
        """Launches all, so many at once; failures are told beside the pods, in the workloads' order."""
        self.check_open()
        orders = enumerate(workloads)
        results: dict[int, LaunchResult] = {}
        async with anyio.create_task_group() as group:
            for number in range(concurrency or self.config.connections):
                group.start_soon(self._work_through, orders, results, name=f"launch-many {number}")
        return [results[index] for index in sorted(results)]

    async def _work_through(
        self, orders: Iterator[tuple[int, Workload]], results: dict[int, LaunchResult]
    ) -> None:
        for index, workload in orders:
            try:
                results[index] = await self.launch(workload), None
            except PodrunnerError as error:
                tracked = TrackedPod(workload.key, workload.namespace or self.config.namespace, "")
                self._fail(tracked, error, tell=True)
                results[index] = tracked, error

    def submit(self, workload: Workload, *, priority: int = 0, group: str = "") -> TrackedPod:
        """Queues the workload: a higher priority goes first, groups of one priority take turns.

        Raises:
            SpecError: The workload makes no pod.
            QueueFullError: Too many wait already.
        """
        self.check_open()
        limit = self.config.submit_queue_size
        if len(self._queue) >= limit:
            raise QueueFullError(f"{limit} submissions wait already", limit=limit)
        return self.enqueue(workload, priority=priority, group=group)

    async def submit_when_room(
        self, workload: Workload, *, priority: int, group: str, timeout_s: float | None
    ) -> TrackedPod:
        """Like :meth:`submit`, but waits where that raises QueueFullError."""
        self.check_open()
        with anyio.fail_after(timeout_s):
            await self.room_in_line()
        return self.submit(workload, priority=priority, group=group)

    async def room_in_line(self) -> None:
        """Returns when one more submission may wait, or none may any more."""
        while len(self._queue) >= self.config.submit_queue_size and not (self._cancelling or self.is_closed):
            await self._room.wait()

    def enqueue(self, workload: Workload, *, priority: int = 0, group: str = "") -> TrackedPod:
        """Puts a workload into the line, also of a runner that takes no new orders.

        Raises:
            SpecError: The workload makes no pod.
            OwnershipError: The runner lost its Lease.
        """
        self._check_owner()
        plan = self._plan(workload)
        known = self._by_name.get((plan.namespace, plan.name))
        if known is not None and not known.gone:
            return known
        tracked = self._register(plan)
        self._queue.put((plan, tracked), priority=priority, group=group)
        if self._workers < self.config.connections:
            self._workers += 1
            self._group.start_soon(self._serve, name="submissions")
        return tracked

    async def _serve(self) -> None:
        try:
            while self._queue:
                await self._room_for_one()
                if not self._queue:
                    return
                # Taken no sooner than its turn has come: until then somebody more urgent may be put before it.
                plan, tracked = self._queue.take()
                self._room.notify_all()
                if tracked.outcome is None:
                    await self._launch_submitted(plan, tracked)
        finally:
            self._workers -= 1
            self._room.notify_all()

    async def _launch_submitted(self, plan: PodPlan, tracked: TrackedPod) -> None:
        with anyio.CancelScope() as scope:
            self._scopes[tracked] = scope
            try:
                await self._create(plan, tracked)
            except PodrunnerError as error:
                self._fail(tracked, error, tell=True)
            finally:
                del self._scopes[tracked]
        if scope.cancelled_caught and tracked.pod is None and tracked.outcome is None:
            self._withdraw(tracked)

    async def _create(self, plan: PodPlan, tracked: TrackedPod) -> TrackedPod:
        await self._slot()
        self._supervisor.launching += 1
        try:
            launched = await self._launcher.launch(plan)
            self._check_owner()
            known = self._supervisor.track(tracked, launched.pod, kind=EventKind.CREATED)
        finally:
            self._supervisor.launch_ended()
            self._room.notify_all()
        self._by_name[plan.namespace, plan.name] = known
        return known

    async def _created(self, known: TrackedPod) -> TrackedPod:
        while known.pod is None and known.outcome is None:
            await known.changed()
        if known.launch_error is not None:
            raise known.launch_error
        return known

    def _register(self, plan: PodPlan) -> TrackedPod:
        tracked = TrackedPod(
            plan.key,
            plan.namespace,
            plan.name,
            main_container=plan.main_container,
            log_path=plan.log_path,
        )
        self._by_name[plan.namespace, plan.name] = tracked
        return tracked

    def _fail(self, tracked: TrackedPod, error: PodrunnerError | None, *, tell: bool) -> None:
        """A workload that has no pod: its end, told as an event if no exception tells it."""
        self._by_name.pop((tracked.namespace, tracked.name), None)
        tracked.launch_error = error
        outcome = _withdrawn() if error is None else refused_by_api(error)
        if tracked.lost:
            return  # the runner was closed meanwhile
        if tell:
            self._supervisor.settle(tracked, outcome)
        else:
            tracked.settle(outcome)
        tracked.finish()

    def _withdraw(self, tracked: TrackedPod) -> None:
        self._fail(tracked, None, tell=True)

    async def _slot(self) -> None:
        await self._room_for_one()
        if self._cancelling:
            raise RunnerClosedError("the runner is being closed")
        self._check_owner()

    async def _room_for_one(self) -> None:
        """Waits for room under ``max_active_pods``, or until the runner is closing."""
        while self._is_full() and not self._cancelling:
            await self._room.wait()

    def _is_full(self) -> bool:
        limit = self.config.max_active_pods
        return limit is not None and self._supervisor.active + self._supervisor.launching >= limit

    def _forget(self, tracked: TrackedPod) -> None:
        if self._by_name.get((tracked.namespace, tracked.name)) is tracked:
            del self._by_name[tracked.namespace, tracked.name]
        self._room.notify_all()

    async def idle(self) -> None:
        """Returns when no submission waits and no create is under way."""
        while self._queue or self._workers or self._supervisor.launching:
            await self._room.wait()

    # Ending

    async def cancel(self, tracked: TrackedPod, *, grace_period_s: int | None = None) -> None:
        """Ends a pod, wherever it is."""
        if tracked.outcome is not None or tracked.lost:
            return
        tracked.grace_period_s = grace_period_s
        if tracked.pod is None:
            await self._stop_launch(tracked)
        if tracked.pod is not None:
            await self._supervisor.evict(tracked, Intent.CANCEL)

    async def _stop_launch(self, tracked: TrackedPod) -> None:
        scope = self._scopes.get(tracked)
        if scope is not None:
            scope.cancel()
            while tracked.pod is None and tracked.outcome is None:
                await tracked.changed()
        elif any(tracked is waiting for _, waiting in self._queue):
            self._withdraw(tracked)

    async def cancel_all(self) -> None:
        """Ends everything that is not over."""
        self._cancelling = True
        self._room.notify_all()
        for _, tracked in tuple(self._queue):
            await self.cancel(tracked)
        async with anyio.create_task_group() as group:
            for tracked in (*self._scopes, *self._supervisor.pods):
                group.start_soon(self.cancel, tracked, name=f"cancel {tracked.name}")

    async def delete(self, tracked: TrackedPod, *, grace_period_s: int | None = None) -> None:
        """Deletes a pod, whatever the policy says."""
        if tracked.outcome is None:
            await self.cancel(tracked, grace_period_s=grace_period_s)
            return
        tracked.grace_period_s = grace_period_s
        if tracked.uid and not tracked.gone:
            await self._supervisor.remove(tracked)

    def leave_alone(self) -> None:
        """Wakes those who wait for outcomes that will not come from here any more."""
        for tracked in (*self._by_name.values(), *self._supervisor.pods):
            tracked.lose()

    # Reading logs

    @property
    def log_limiter(self) -> LogStreamLimiter:
        """The connections that all who read logs share."""
        return self._supervisor.log_limiter

    def start(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs a reader's task beside the runner.

        Raises:
            RunnerClosedError: The runner is closed.
        """
        if self.closed_because is not None:
            raise RunnerClosedError(self.closed_because)
        self._group.start_soon(job, name="log reader")


def _withdrawn() -> Outcome:
    return Outcome(
        category=Category.CANCELLED,
        fault=Fault.CALLER,
        started=False,
        retryable=False,
        message="cancelled before there was a pod",
    )
