"""Launching: the queue of submissions, the admission of creates, and the workers.

What belongs here: in which order workloads become pods, how many at once, and stopping one that has no pod yet. How a
pod is created exactly once is the launcher's business; what becomes of it, the supervisor's.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar, overload

import anyio
import msgspec

from podrunner.errors import PodrunnerError, QueueFullError, RunnerClosedError
from podrunner.runner.states import (
    Creating,
    LaunchCancelled,
    LaunchRefused,
    LaunchStarted,
    LeaseLost,
    NotCreatedState,
    Queued,
    Rules,
    Submitted,
)
from podrunner.runner.tracked import TrackedPod

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podrunner.builder import PodBuilder, PodPlan
    from podrunner.config import RunnerConfig
    from podrunner.launcher import Launcher
    from podrunner.runner.context import Fence
    from podrunner.runner.supervisor import Supervisor
    from podrunner.runner.tasks import SupervisedTasks
    from podrunner.runner.tracked import TrackedPods
    from podrunner.workload import Workload

__all__ = ["FailedLaunch", "FairPriorityQueue", "LaunchBatch", "LaunchResult", "SubmissionQueue"]

_logger = logging.getLogger(__name__)

P = TypeVar("P")
T = TypeVar("T")

LaunchResult = tuple[TrackedPod, PodrunnerError | None]


class FairPriorityQueue(Generic[T]):
    """A queue by priority, and fair among groups.

    A higher priority goes first; of one priority, the groups take turns; in a group, first come first. Putting and
    taking cost the same however many items wait; they grow with the number of different priorities only.
    """

    def __init__(self) -> None:
        self._levels: dict[int, OrderedDict[str, deque[T]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        """Goes through all waiting items, in no order that means anything."""
        return (item for groups in self._levels.values() for waiting in groups.values() for item in waiting)

    def put(self, item: T, *, priority: int = 0, group: str = "") -> None:
        """Puts an item at the end of its group."""
        self._levels.setdefault(priority, OrderedDict()).setdefault(group, deque()).append(item)
        self._count += 1

    def take(self) -> T:
        """Takes the next item; its group is then behind the others.

        Raises:
            IndexError: The queue is empty.
        """
        if not self._count:
            raise IndexError("the queue is empty")
        level = max(self._levels)
        groups = self._levels[level]
        group, waiting = next(iter(groups.items()))
        item = waiting.popleft()
        self._count -= 1
        groups.move_to_end(group)
        if not waiting:
            del groups[group]
        if not groups:
            del self._levels[level]
        return item

    def clear(self) -> None:
        """Drops all items."""
        self._levels.clear()
        self._count = 0


class SubmissionQueue:
    """Launches pods: at once, or when their turn comes.

    Args:
        pods: All pods.
        launcher: Creates one exactly once.
        builder: Makes its manifest.
        supervisor: Takes over what was created.
        config: The limits.
        fence: Whether the runner may act.
        tasks: Where the workers run.
    """

    def __init__(
        self,
        pods: TrackedPods,
        launcher: Launcher,
        *,
        builder: PodBuilder,
        supervisor: Supervisor,
        config: RunnerConfig,
        fence: Fence,
        tasks: SupervisedTasks,
    ) -> None:
        self._pods = pods
        self._launcher = launcher
        self._builder = builder
        self._supervisor = supervisor
        self._config = config
        self._fence = fence
        self._tasks = tasks
        self._warned: set[str] = set()
        self._queue: FairPriorityQueue[tuple[PodPlan, TrackedPod]] = FairPriorityQueue()
        self._workers = 0
        self._scopes: dict[TrackedPod, anyio.CancelScope] = {}
        self._refusing = False

    # Looking

    @property
    def queued(self) -> int:
        """How many submissions wait or are being created."""
        return len(self._queue) + self._workers

    def waiting(self) -> list[TrackedPod]:
        """Returns the pods whose submissions wait."""
        return [pod for _, pod in self._queue]

    def creating(self) -> list[TrackedPod]:
        """Returns the submitted pods that are being created."""
        return list(self._scopes)

    async def idle(self) -> None:
        """Returns when no submission waits and no create is under way."""
        while self._queue or self._workers or self._supervisor.launching:
            await self._pods.changed()

    # Launching at once

    async def launch(self, workload: Workload) -> TrackedPod:
        """Creates the workload's pod; returns when it exists.

        Raises:
            PodrunnerError: It could not be created; nothing is left behind.
        """
        self._fence.check_open()
        plan = self._plan(workload)
        known = self._pods.named(plan.namespace, plan.name)
        if known is not None:
            return await _created(known)
        pod = self._register(plan)
        self._supervisor.send(pod, LaunchStarted())
        try:
            return await self._create(plan, pod)
        except PodrunnerError as error:
            self._supervisor.send(pod, LaunchRefused(error, is_reported=False))
            raise
        except BaseException:
            self._supervisor.send(pod, LaunchCancelled(is_reported=False))
            raise

    async def launch_many(
        self, workloads: Iterable[Workload], *, concurrency: int | None
    ) -> list[LaunchResult]:
        """Launches all, so many at once; returns each pod with its failure, in the workloads' order."""
        self._fence.check_open()
        numbered = enumerate(workloads)
        results: dict[int, LaunchResult] = {}
        async with anyio.create_task_group() as group:
            for number in range(concurrency or self._config.connections):
                group.start_soon(self._launch_each, numbered, results, name=f"launch-many {number}")
        return [results[index] for index in sorted(results)]

    async def _launch_each(
        self, workloads: Iterator[tuple[int, Workload]], results: dict[int, LaunchResult]
    ) -> None:
        for index, workload in workloads:
            try:
                results[index] = await self.launch(workload), None
            except PodrunnerError as error:
                namespace = workload.namespace or self._config.namespace
                pod = TrackedPod(workload.key, namespace, "", rules=Rules("base", self._config))
                self._supervisor.send(pod, LaunchRefused(error, is_reported=True))
                results[index] = pod, error

    def _plan(self, workload: Workload) -> PodPlan:
        """Builds the pod; logs what the workload says without effect, each sentence once."""
        plan = self._builder.build(workload)
        for warning in plan.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                _logger.warning("%s", warning)
        return plan

    def _register(self, plan: PodPlan) -> TrackedPod:
        rules = Rules(plan.main_container, self._config)
        pod = TrackedPod(plan.key, plan.namespace, plan.name, rules=rules, log_path=plan.log_path)
        self._pods.add_name(pod)
        return pod

    async def _create(self, plan: PodPlan, pod: TrackedPod) -> TrackedPod:
        await self._admitted()
        self._check_admission()
        with self._supervisor.launch():
            launched = await self._launcher.launch(plan)
            self._fence.check_owner()
            known = self._supervisor.track(pod, launched.pod)
        self._pods.add_name(known)
        return known

    # Admission

    async def _admitted(self) -> None:
        """Returns when one more pod is within ``max_active_pods``, or when launches are refused."""
        while self._is_full() and not self._refusing:
            await self._pods.changed()

    def _check_admission(self) -> None:
        if self._refusing:
            raise RunnerClosedError("the runner is being closed")
        self._fence.check_owner()

    def _is_full(self) -> bool:
        limit = self._config.max_active_pods
        return limit is not None and self._pods.active + self._supervisor.launching >= limit

    def refuse(self) -> None:
        """Launches nothing any more."""
        self._refusing = True
        self._pods.notify()

    # Submissions

    def submit(self, workload: Workload, *, priority: int = 0, group: str = "") -> TrackedPod:
        """Queues the workload: a higher priority goes first, groups of one priority take turns.

        Raises:
            SpecError: The workload makes no pod.
            QueueFullError: Too many wait already.
        """
        self._fence.check_open()
        limit = self._config.submit_queue_size
        if len(self._queue) >= limit:
            raise QueueFullError(f"{limit} submissions wait already", limit=limit)
        return self.enqueue(workload, priority=priority, group=group)

    async def submit_when_room(
        self, workload: Workload, *, priority: int, group: str, timeout_s: float | None
    ) -> TrackedPod:
        """Like :meth:`submit`, but waits where that raises QueueFullError."""
        self._fence.check_open()
        with anyio.fail_after(timeout_s):
            await self.wait_for_room()
        return self.submit(workload, priority=priority, group=group)

    async def wait_for_room(self) -> None:
        """Returns when one more submission may wait, or none may any more."""
        while len(self._queue) >= self._config.submit_queue_size and not (
            self._refusing or self._fence.is_closed
        ):
            await self._pods.changed()

    def enqueue(self, workload: Workload, *, priority: int = 0, group: str = "") -> TrackedPod:
        """Queues a workload, also in a runner that is closed to its callers.

        Raises:
            SpecError: The workload makes no pod.
            OwnershipError: The runner lost its Lease.
        """
        self._fence.check_owner()
        plan = self._plan(workload)
        known = self._pods.named(plan.namespace, plan.name)
        if known is not None:
            return known
        pod = self._register(plan)
        self._supervisor.send(pod, Submitted())
        self._queue.put((plan, pod), priority=priority, group=group)
        if self._workers < self._config.connections:
            self._workers += 1
            self._tasks.start_soon(self._work, name="submissions")
        return pod

    async def _work(self) -> None:
        """One worker: launches submissions until none waits."""
        try:
            while self._queue:
                await self._admitted()
                if not self._queue:
                    return
                # Taken no sooner than it is admitted: until then one of a higher priority may be put before it.
                plan, pod = self._queue.take()
                self._pods.notify()
                if isinstance(pod.state, Queued):  # not withdrawn, adopted or relinquished meanwhile
                    self._supervisor.send(pod, LaunchStarted())
                    await self._launch_submitted(plan, pod)
        finally:
            self._workers -= 1
            self._pods.notify()

    async def _launch_submitted(self, plan: PodPlan, pod: TrackedPod) -> None:
        with anyio.CancelScope() as scope:
            self._scopes[pod] = scope
            try:
                await self._create(plan, pod)
            except PodrunnerError as error:
                self._supervisor.send(pod, LaunchRefused(error, is_reported=True))
            finally:
                del self._scopes[pod]
        if scope.cancelled_caught and isinstance(pod.state, Creating):
            self._supervisor.send(pod, LaunchCancelled(is_reported=True))

    # Stopping

    async def stop(self, pod: TrackedPod) -> None:
        """Withdraws a pod that does not exist yet; if it is being created, returns when it is known whether it does."""
        scope = self._scopes.get(pod)
        if scope is not None:
            scope.cancel()
            while isinstance(pod.state, Creating):
                await pod.changed()
        elif isinstance(pod.state, Queued):
            self._supervisor.send(pod, LaunchCancelled(is_reported=True))

    def relinquish(self, why: str) -> None:
        """The Lease is lost: gives up what waits or is being created. A successor will see whether there are pods."""
        given_up = [*self.waiting(), *self.creating()]
        self._queue.clear()
        for pod in given_up:
            self._supervisor.send(pod, LeaseLost(why))
        for scope in self._scopes.values():
            scope.cancel()
        self._pods.notify()


async def _created(pod: TrackedPod) -> TrackedPod:
    """Returns a pod that another call launches, once it exists."""
    while isinstance(pod.state, NotCreatedState):
        await pod.changed()
    if pod.launch_error is not None:
        raise pod.launch_error
    return pod


# What launching many workloads returns


class FailedLaunch(msgspec.Struct, frozen=True):
    """A workload of a batch that did not become a pod.

    Attributes:
        index: Its place in the batch, from 0.
        workload: The workload.
        error: Why.
    """

    index: int
    workload: Workload
    error: PodrunnerError


class LaunchBatch(Sequence[P], Generic[P]):
    """The handles of a batch, one per workload and in its order.

    A workload that could not be launched has a handle too: its outcome (``rejected-by-api``) is there
    already, so that waiting for all of them tells the whole story. ``errors`` lists them,
    ``raise_for_errors()`` raises.
    """

    def __init__(self, pods: Sequence[P], errors: Sequence[FailedLaunch]) -> None:
        self._pods = tuple(pods)
        self.errors: tuple[FailedLaunch, ...] = tuple(errors)

    @overload
    def __getitem__(self, index: int) -> P: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[P]: ...
    def __getitem__(self, index: int | slice) -> P | Sequence[P]:
        return self._pods[index]

    def __len__(self) -> int:
        return len(self._pods)

    def __iter__(self) -> Iterator[P]:
        return iter(self._pods)

    def __repr__(self) -> str:
        return f"<LaunchBatch of {len(self._pods)} pods, {len(self.errors)} failed>"

    @property
    def launched(self) -> tuple[P, ...]:
        """The handles of those that became pods."""
        failed = {failure.index for failure in self.errors}
        return tuple(pod for index, pod in enumerate(self._pods) if index not in failed)

    def raise_for_errors(self) -> None:
        """Raises all failures together, if there are any.

        Raises:
            ExceptionGroup: Of the errors of those that failed.
        """
        if self.errors:
            problems = [failure.error for failure in self.errors]
            raise ExceptionGroup(f"{len(problems)} of {len(self._pods)} launches failed", problems)
