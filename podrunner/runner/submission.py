"""Launching: the queue of submissions, and the workers.

What belongs here: in which order workloads become pods, how many at once, and stopping one that has no pod yet. Whether
one more may be created is decided in ``podrunner.runner.admission``. How a pod is created exactly once is the
launcher's business; what becomes of a pod of an earlier launch of the attempt is decided in ``podrunner.ownership``,
and what becomes of a pod that is this runner's, by the supervisor.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from podrunner.builder.overrides import namespace_of
from podrunner.errors import PodrunnerError, QueueFullError
from podrunner.launcher import Launched, Occupied
from podrunner.runner.admission import Admission
from podrunner.runner.deferred import Deferral, DeferredLaunches
from podrunner.runner.earlier import LaunchTurn, check_same_workload, is_attempt_lost
from podrunner.runner.fair_queue import FairPriorityQueue
from podrunner.runner.inputs import (
    AttemptLost,
    LaunchCancelled,
    LaunchDeferred,
    LaunchRefused,
    LaunchStarted,
    LeaseLost,
    Submitted,
)
from podrunner.runner.states import Creating, NotCreatedState, Queued, Rules
from podrunner.runner.tracked import TrackedPod

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator

    from anyio.abc import TaskGroup

    from podrunner.builder import PodBuilder, PodPlan
    from podrunner.config import RunnerConfig
    from podrunner.launcher import Launcher
    from podrunner.runner.context import Fence
    from podrunner.runner.earlier import EarlierPods
    from podrunner.runner.supervisor import Supervisor
    from podrunner.runner.tasks import SupervisedTasks
    from podrunner.runner.tracked import TrackedPods
    from podrunner.workload import Workload

__all__ = ["LaunchResult", "SubmissionQueue"]

_logger = logging.getLogger(__name__)

LaunchResult = tuple[TrackedPod, PodrunnerError | None]


class _Deferred(NamedTuple):
    """A launch that waits, in a task of its caller's."""

    turn: LaunchTurn
    deferral: Deferral


class _Batch:
    """What the tasks of one ``launch_many`` share."""

    def __init__(
        self,
        workloads: Iterator[tuple[int, Workload]],
        group: TaskGroup,
        permits: anyio.Semaphore,
        results: dict[int, LaunchResult],
    ) -> None:
        self.workloads = workloads
        self.group = group
        self.permits = permits
        self.results = results


class SubmissionQueue:
    """Launches pods: at once, or when their turn comes.

    Args:
        pods: All pods.
        launcher: Creates one exactly once.
        builder: Makes its manifest.
        earlier: Knows what to do about a pod of an earlier launch.
        supervisor: Takes over what was created.
        config: The limits.
        fence: Whether the runner may act.
        tasks: Where the workers run.

    Attributes:
        admission: The limits that launches wait for.
    """

    def __init__(
        self,
        pods: TrackedPods,
        launcher: Launcher,
        *,
        builder: PodBuilder,
        earlier: EarlierPods,
        supervisor: Supervisor,
        config: RunnerConfig,
        fence: Fence,
        tasks: SupervisedTasks,
    ) -> None:
        self.admission: Admission = Admission(pods, supervisor, config, fence)
        self._pods = pods
        self._launcher = launcher
        self._builder = builder
        self._earlier = earlier
        self._supervisor = supervisor
        self._config = config
        self._fence = fence
        self._tasks = tasks
        self._warned: set[str] = set()
        self._queue: FairPriorityQueue[LaunchTurn] = FairPriorityQueue()
        self._deferred = DeferredLaunches(tasks)
        self._workers = 0
        self._scopes: dict[TrackedPod, anyio.CancelScope] = {}
        self._queued: dict[TrackedPod, LaunchTurn] = {}  # those whose turns wait in the queue
        self._waited_for: dict[TrackedPod, None] = {}  # those of them for whose end a caller waits

    # Looking

    @property
    def queued(self) -> int:
        """How many submissions wait or are being created."""
        # In this order none is missed that moves on while another thread looks.
        return self._workers + self._waiting

    @property
    def has_room(self) -> bool:
        """Whether one more submission may wait."""
        return self._waiting < self._config.submit_queue_size

    @property
    def _waiting(self) -> int:
        return len(self._deferred) + len(self._queue)

    def waiting(self) -> list[TrackedPod]:
        """Returns the pods whose launches wait, for their turn or for an earlier pod of their attempt."""
        return [*(turn.pod for turn in self._queue), *self._deferred.pods()]

    def creating(self) -> list[TrackedPod]:
        """Returns the submitted pods that are being created."""
        return list(self._scopes)

    async def idle(self) -> None:
        """Returns when no submission waits and no create is under way."""
        while self._waiting or self._workers or self._supervisor.launching:
            await self._pods.changed()

    # Launching at once

    async def launch(self, workload: Workload) -> TrackedPod:
        """Creates the workload's pod; returns when it exists.

        Raises:
            PodrunnerError: It could not be created; nothing is left behind.
        """
        self._fence.check_open("launch")
        turns: list[LaunchTurn] = []
        undo, name = partial(self._undo, turns), f"launch {workload.key}"
        return await self._tasks.call(self._launch, workload, turns, name=name, undo=undo)

    async def _undo(self, turns: list[LaunchTurn], pod: TrackedPod) -> None:
        """The caller was cancelled in the instant in which it was to have its pod: ends it, if this call made it."""
        if turns and turns[0].pod is pod and not turns[0].is_occupied:
            await self._supervisor.terminate(pod)

    async def _launch(self, workload: Workload, turns: list[LaunchTurn]) -> TrackedPod:
        begun = await self._begin(workload, turns)
        while isinstance(begun, _Deferred):
            begun = await self._go_on(begun)
        return begun

    async def _begin(self, workload: Workload, turns: list[LaunchTurn]) -> TrackedPod | _Deferred:
        """Begins a launch, and notes its turn; returns its pod, or what it waits for."""
        self._fence.check_open("launch")
        plan = self.plan(workload)
        known = self._known(plan)
        if known is not None:
            return await self._created(known)
        turn = LaunchTurn(plan, self._register(plan))
        turns.append(turn)
        self._supervisor.send(turn.pod, LaunchStarted())
        try:
            return await self._create_or_defer(turn)
        except BaseException as error:
            self._end_launch(turn.pod, error)
            raise

    async def _go_on(
        self, deferred: _Deferred, permits: anyio.Semaphore | None = None
    ) -> TrackedPod | _Deferred:
        """Waits, and tries again.

        Args:
            deferred: The launch.
            permits: The second try takes one of them; None: it needs none.
        """
        turn = deferred.turn
        try:
            if isinstance(turn.pod.state, Creating):
                await self._wait_out(turn, deferred.deferral)
            if not isinstance(turn.pod.state, Creating):
                return await self._created(turn.pod)  # adopted or given up meanwhile
            async with permits or nullcontext():
                return await self._create_or_defer(turn)
        except BaseException as error:
            self._end_launch(turn.pod, error)
            raise

    async def _created(self, pod: TrackedPod) -> TrackedPod:
        """Returns a pod that another call launches, once it exists.

        Raises:
            PodrunnerError: It could not be created, or was given up.
        """
        while isinstance(pod.state, NotCreatedState):
            await pod.changed()
        if pod.is_relinquished:
            self._fence.check_open("launch")
        if pod.launch_error is not None:
            raise pod.launch_error
        return pod

    async def _create_or_defer(self, turn: LaunchTurn) -> TrackedPod | _Deferred:
        created = await self._create(turn)
        return _Deferred(turn, created) if isinstance(created, Deferral) else created

    def _end_launch(self, pod: TrackedPod, error: BaseException) -> None:
        """Ends a launch that fails; the exception reports it."""
        if isinstance(error, PodrunnerError):
            self._refuse(pod, error, is_reported=False)
        else:
            self._supervisor.send(pod, LaunchCancelled(is_reported=False))

    def _refuse(self, pod: TrackedPod, error: PodrunnerError, *, is_reported: bool) -> None:
        lost = is_attempt_lost(error)
        refused = AttemptLost(error, is_reported) if lost else LaunchRefused(error, is_reported)
        self._supervisor.send(pod, refused)

    async def launch_many(
        self, workloads: Iterable[Workload], *, concurrency: int | None
    ) -> list[LaunchResult]:
        """Launches all, so many at once; returns each pod with its failure, in the workloads' order."""
        self._fence.check_open("launch_many")
        at_once = concurrency or self._config.connections
        results: dict[int, LaunchResult] = {}
        try:
            async with anyio.create_task_group() as group:
                permits = anyio.Semaphore(at_once, fast_acquire=True)
                batch = _Batch(enumerate(workloads), group, permits, results)
                for number in range(at_once):
                    group.start_soon(self._launch_each, batch, name=f"launch-many {number}")
        finally:
            self.admission.count_unreadable(-len(results))
        return [results[index] for index in sorted(results)]

    async def _launch_each(self, batch: _Batch) -> None:
        """Launches one workload after the other. One that has to wait does so in a task of its own."""
        for index, workload in batch.workloads:
            async with batch.permits:
                begun = await self._recorded(batch, index, workload, self._begin(workload, []))
            if begun is not None:
                batch.group.start_soon(self._launch_late, batch, index, workload, begun)

    async def _launch_late(
        self, batch: _Batch, index: int, workload: Workload, deferred: _Deferred | None
    ) -> None:
        while deferred is not None:
            deferred = await self._recorded(batch, index, workload, self._go_on(deferred, batch.permits))

    async def _recorded(
        self,
        batch: _Batch,
        index: int,
        workload: Workload,
        launching: Coroutine[Any, Any, TrackedPod | _Deferred],
    ) -> _Deferred | None:
        """Writes down how a launch of a batch ended; returns what it waits for if it did not."""
        try:
            begun = await launching
        except PodrunnerError as error:
            self._note(batch, index, (self.not_taken(workload, error), error))
            return None
        if isinstance(begun, _Deferred):
            return begun
        self._note(batch, index, (begun, None))
        return None

    def _note(self, batch: _Batch, index: int, result: LaunchResult) -> None:
        batch.results[index] = result
        self.admission.count_unreadable(1)

    def not_taken(self, workload: Workload, error: PodrunnerError) -> TrackedPod:
        """Returns a pod for the handle of a workload of a batch that was not launched, or not taken for want of room.

        The first has its outcome, ``rejected-by-api``; the second has none, as it may be handed in again.
        """
        namespace = namespace_of(self._config, workload)
        pod = TrackedPod(workload.key, namespace, "", rules=Rules("base", self._config))
        if isinstance(error, QueueFullError):
            self._supervisor.send(pod, AttemptLost(error, is_reported=False))
        else:
            self._refuse(pod, error, is_reported=True)
        return pod

    def check_open(self, call: str) -> None:
        """Refuses calls that come too late.

        Args:
            call: What the caller called.

        Raises:
            RunnerClosedError: The runner is closed.
            OwnershipError: The runner lost its Lease.
        """
        self._fence.check_open(call)

    def plan(self, workload: Workload) -> PodPlan:
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
        pod.manifest_hash = plan.manifest_hash
        self._pods.add_name(pod)
        return pod

    def _known(self, plan: PodPlan) -> TrackedPod | None:
        """Returns the pod of an attempt that is launched already; None: there is none.

        Raises:
            KeyReusedError: It was launched here with another workload.
        """
        known = self._pods.named(plan.namespace, plan.name)
        if known is not None:
            check_same_workload(known, plan)
        return known

    async def _create(self, turn: LaunchTurn) -> TrackedPod | Deferral:
        """Creates the pod of a launch, or finds it; returns what the launch waits for if it cannot go on."""
        pod = turn.pod
        await self.admission.admitted(
            lambda: isinstance(pod.state, Creating), is_waited_for=lambda: pod.waits > 0
        )
        self.admission.check()
        if not isinstance(turn.pod.state, Creating):
            return await self._created(
                turn.pod
            )  # adopted or given up meanwhile: another pod would be a second one
        self._supervisor.begin_launch()
        try:
            if not turn.is_occupied:
                launched = await self._launch_or_resolve(turn)
                self._fence.check_owner()
                if isinstance(launched, Launched):
                    known = self._supervisor.track(turn.pod, launched.pod)
                    self._pods.add_name(known)
                    return known
                turn.occupied(launched.pod)
            return await self._earlier.resolve(turn)
        finally:
            self._supervisor.end_launch()

    async def _launch_or_resolve(self, turn: LaunchTurn) -> Launched | Occupied:
        """Creates the pod. If the launch is cancelled, what another pod of its name means is settled nevertheless."""
        try:
            plan = self._supervisor.prepared(turn.plan)
            return await self._launcher.launch(plan, on_occupied=turn.occupied)
        except anyio.get_cancelled_exc_class():
            if turn.is_occupied:
                await self._earlier.resolve_cancelled(turn)
            raise

    async def _wait_out(self, turn: LaunchTurn, deferral: Deferral) -> None:
        """Waits in the caller's task for what a launch waits for, or until it cannot be launched any more."""
        pod, results = turn.pod, list[object]()

        def resume(result: object) -> None:
            results.append(result)
            pod.notify()

        self._supervisor.send(pod, LaunchDeferred())
        self._deferred.add(pod, deferral, resume)
        try:
            while not results and isinstance(pod.state, Queued):
                self.admission.check()
                await pod.changed()
        finally:
            self._deferred.discard(pod)
            self._pods.notify()
        if isinstance(pod.state, Queued):
            self._supervisor.send(pod, LaunchStarted())
            self._go_on_with(turn, results[0])

    def _go_on_with(self, turn: LaunchTurn, result: object) -> None:
        if isinstance(result, PodrunnerError):
            raise result
        self._earlier.resume(turn, result)

    # What launches wait for

    @property
    def waits_for(self) -> str:
        """What keeps launches waiting; "": nothing does."""
        if reached := self.admission.limit_reached:
            return reached
        if not self._deferred:
            return ""
        return "; ".join(f"{count} for {why}" for why, count in self._deferred.reasons().most_common(3))

    def wait_begins(self, pod: TrackedPod) -> None:
        """A caller waits for the end of a pod."""
        pod.waits += 1
        if pod in self._queued:
            self._waited_for[pod] = None
        self.look_again()

    def wait_ends(self, pod: TrackedPod) -> None:
        """A caller waits no more for the end of a pod."""
        pod.waits -= 1
        if not pod.waits:
            self._waited_for.pop(pod, None)

    def look_again(self) -> None:
        """What waits for room may have it: a caller waits for its end by now."""
        if self.admission.is_undelivered_beyond() or not self.has_room:
            self._pods.notify()

    def refuse(self) -> None:
        """Launches nothing any more."""
        self.admission.refuse()
        for pod in self._deferred.pods():
            pod.notify()

    # Submissions

    def submit(
        self, workload: Workload, *, priority: int = 0, group: str = "", plan: PodPlan | None = None
    ) -> TrackedPod:
        """Queues the workload: a higher priority goes first, groups of one priority take turns.

        Args:
            workload: The workload.
            priority: The higher goes first.
            group: Takes turns with others.
            plan: Its pod, where that was built before; None: it is built.

        Raises:
            SpecError: The workload makes no pod.
            QueueFullError: Too many wait already.
        """
        self._fence.check_open("submit")
        limit = self._config.submit_queue_size
        if self._waiting >= limit:
            raise QueueFullError(f"{limit} submissions wait already", limit=limit)
        return self.enqueue(workload, priority=priority, group=group, plan=plan)

    async def submit_when_room(
        self, workload: Workload, *, priority: int, group: str, timeout_s: float | None
    ) -> TrackedPod:
        """Like :meth:`submit`, but waits where that raises QueueFullError."""
        self._fence.check_open("submit_when_room")
        with anyio.fail_after(timeout_s):
            await self.wait_for_room()
        return self.submit(workload, priority=priority, group=group)

    async def wait_for_room(self, *, is_waited_for: Callable[[], object] = lambda: False) -> None:
        """Returns when one more submission may wait, or a caller waits for its end, or none may wait any more."""
        while not (self.has_room or is_waited_for() or self.admission.is_refusing or self._fence.is_closed):
            await self._pods.changed()

    def enqueue(
        self, workload: Workload, *, priority: int = 0, group: str = "", plan: PodPlan | None = None
    ) -> TrackedPod:
        """Queues a workload, also in a runner that is closed to its callers.

        Raises:
            SpecError: The workload makes no pod.
            OwnershipError: The runner lost its Lease.
        """
        self._fence.check_owner()
        plan = plan or self.plan(workload)
        known = self._known(plan)
        if known is not None:
            return known
        pod = self._register(plan)
        self._supervisor.send(pod, Submitted())
        turn = self._queued[pod] = LaunchTurn(plan, pod, priority, group)
        self._queue.put(turn, priority=priority, group=group)
        self._start_worker()
        return pod

    def _next_turn(self) -> LaunchTurn:
        """Takes the next turn out of the queue; beyond ``max_undelivered_pods``, that of a pod that is waited for."""
        pod = next(iter(self._waited_for), None) if self.admission.is_undelivered_beyond() else None
        if pod is None:
            turn = self._queue.take()
        else:
            turn = self._queued[pod]
            self._queue.remove(turn, priority=turn.priority, group=turn.group)
        del self._queued[turn.pod]
        self._waited_for.pop(turn.pod, None)
        return turn

    def _start_worker(self) -> None:
        if self._workers < self._config.connections:
            self._workers += 1
            self._tasks.start_soon(self._work, name="submissions")

    async def _work(self) -> None:
        """One worker: launches submissions until none waits."""
        try:
            while self._queue:
                await self.admission.admitted(lambda: self._queue, is_waited_for=lambda: self._waited_for)
                if not self._queue:
                    return
                # Taken no sooner than it is admitted: until then one of a higher priority may be put before it.
                turn = self._next_turn()
                self._pods.notify()
                if isinstance(turn.pod.state, Queued):  # not withdrawn, adopted or relinquished meanwhile
                    self._supervisor.send(turn.pod, LaunchStarted())
                    await self._launch_submitted(turn)
        except anyio.get_cancelled_exc_class():
            if (
                self._queue and not self._tasks.is_cancelled
            ):  # asyncio's Task.cancel(), which ends this task alone
                self._tasks.start_soon(self._work_on, name="submissions")
            raise
        finally:
            self._workers -= 1
            self._pods.notify()

    async def _work_on(self) -> None:
        self._workers += 1
        await self._work()

    async def _launch_submitted(self, turn: LaunchTurn) -> None:
        pod = turn.pod
        with anyio.CancelScope() as scope:
            self._scopes[pod] = scope
            try:
                created = await self._create(turn)
                if isinstance(created, Deferral) and isinstance(pod.state, Creating):
                    self._supervisor.send(pod, LaunchDeferred())
                    self._deferred.add(pod, created, partial(self._resume, turn))
            except PodrunnerError as error:
                self._refuse(pod, error, is_reported=True)
            except anyio.get_cancelled_exc_class():
                if not (scope.cancel_called or self._tasks.is_cancelled) and isinstance(pod.state, Creating):
                    self._withdraw(pod, lost=turn.lost)  # asyncio's Task.cancel(): it was undone all the same
                raise
            finally:
                del self._scopes[pod]
        if scope.cancelled_caught and isinstance(pod.state, Creating):
            self._withdraw(pod, lost=turn.lost)

    def _resume(self, turn: LaunchTurn, result: object) -> None:
        """A submission has what it waited for: it is the next of its group."""
        if isinstance(turn.pod.state, Queued):
            try:
                self._go_on_with(turn, result)
            except PodrunnerError as error:
                self._refuse(turn.pod, error, is_reported=True)
            else:
                self._queued[turn.pod] = turn
                self._queue.put_back(turn, priority=turn.priority, group=turn.group)
                if turn.pod.waits:
                    self._waited_for[turn.pod] = None
                self._start_worker()
        self._pods.notify()

    # Stopping

    async def stop(self, pod: TrackedPod) -> None:
        """Withdraws a pod that does not exist yet; if it is being created, returns when it is known whether it does."""
        scope = self._scopes.get(pod)
        if scope is not None:
            scope.cancel()
            while isinstance(pod.state, Creating):
                await pod.changed()
        if isinstance(pod.state, Queued):
            deferral = self._deferred.deferral_of(pod)
            self._forget(pod)
            self._withdraw(pod, lost=None if deferral is None else deferral.if_cancelled)
            self._pods.notify()

    def _withdraw(self, pod: TrackedPod, *, lost: PodrunnerError | None) -> None:
        """Ends a submission that is cancelled. If there is a pod that is not this runner's, it is no end of that."""
        if lost is None:
            self._supervisor.send(pod, LaunchCancelled(is_reported=True))
        else:
            self._supervisor.send(pod, AttemptLost(lost, is_reported=True))

    def adopted(self, pod: TrackedPod) -> None:
        """A pod was adopted: its launch waits no more."""
        self._forget(pod)
        self._pods.notify()

    def _forget(self, pod: TrackedPod) -> None:
        """The launch of a pod waits for nothing any more: it counts no longer, also while there is no room."""
        self._deferred.discard(pod)
        turn = self._queued.pop(pod, None)
        self._waited_for.pop(pod, None)
        if turn is not None:
            self._queue.remove(turn, priority=turn.priority, group=turn.group)

    def relinquish(self, why: str) -> None:
        """The Lease is lost: gives up what waits or is being created. A successor will see whether there are pods."""
        given_up = [*self.waiting(), *self.creating()]
        self._queue.clear()
        self._queued.clear()
        self._waited_for.clear()
        for pod in given_up:
            self._deferred.discard(pod)
            self._supervisor.send(pod, LeaseLost(why))
        for scope in self._scopes.values():
            scope.cancel()
        self._pods.notify()
