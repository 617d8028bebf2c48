"""The engine: what exists while a runner is open. Wires the rooms together, owns the tasks, and closes.

Each decision lives elsewhere: what a pod looks like in the builder, creating it in the launcher, what happened to it in
the watch and ``podrunner.outcome``, what follows in :mod:`podrunner.runner.lifecycle`, its log in ``podrunner.logs``,
which runner owns it in ``podrunner.ownership``. What users call is :mod:`podrunner.runner.runner`.
"""

from __future__ import annotations

import importlib
import logging
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio

from podrunner.builder import PodBuilder, read_ownership, safe_label
from podrunner.builder.labels import KEY, OWNER
from podrunner.config.failure_policy import conditions_of
from podrunner.errors import CloseTimeoutError, ConfigError, RunnerClosedError, UsageError
from podrunner.interruption import persist, withdraw_cancellation
from podrunner.kube import KubeClient, RequestRetry, connect, retrying
from podrunner.launcher import Launcher
from podrunner.ownership import (
    Adopter,
    ExistingPods,
    LeaseKeeper,
    Leftovers,
    Owners,
    RetainedPods,
    ScopeReader,
    release_finalizer,
)
from podrunner.runner.context import Fence, RunnerContext
from podrunner.runner.delivery import Deliveries
from podrunner.runner.earlier import EarlierPods
from podrunner.runner.finalize import Finalizer, PodDeleter
from podrunner.runner.health import RunnerHealth, combine
from podrunner.runner.log_collection import LogCollection
from podrunner.runner.periodic import PeriodicTasks
from podrunner.runner.runs import Runs
from podrunner.runner.states import Rules
from podrunner.runner.submission import SubmissionQueue
from podrunner.runner.supervisor import Supervisor
from podrunner.runner.tasks import SupervisedTasks
from podrunner.runner.tracked import TrackedPod, TrackedPods
from podrunner.watch import Reflector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AsyncExitStack
    from random import Random

    from podrunner.builder import OwnershipMetadata, PodHook
    from podrunner.config import RunnerConfig
    from podrunner.logs import SinkFactory
    from podrunner.outcome.record import Pod
    from podrunner.runner.event_queue import EventBus
    from podrunner.watch import WatchHealth

__all__ = ["ClosePolicy", "Engine", "RunnerResources", "open_client", "open_engine"]

_logger = logging.getLogger(__name__)

# Imported by :mod:`podrunner.kube` at the first failure that needs them. An import opens files, and the failure may be
# that no descriptors are left: then it would be the import that fails, and the runner with it.
_IMPORTED_AT_FAILURES: Final = ("tenacity", "email.utils")

# After a cancel: a pod's default grace period, as much again for the node to confirm the end, and the log's time.
_CLOSE_WITHIN_S: Final = 90.0
# For a last look at the pods that the watch did not show as gone.
_ASK_WITHIN_S: Final = 5.0
# After a drain all that is left is deleting pods whose processes have ended.
_GONE_WITHIN_S: Final = 35.0


class ClosePolicy(StrEnum):
    """What becomes of the pods when a runner closes."""

    DRAIN = "drain"
    """Wait until every run is over, with all its tries, and every pod: its log read, itself deleted or kept, as the
    configuration says."""
    CANCEL = "cancel"
    """End every pod that is not over, then as ``drain``; bounded in time. No run has another try."""
    DETACH = "detach"
    """Leave the pods as they are, for a successor to adopt. No run has another try here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerResources:
    """What a runner has, whether it is open or not.

    Attributes:
        owner: The runner's name, which its pods bear.
        bus: Takes all events.
        random: Source of jitter.
        pod_hook: An embedder's hook, applied to each manifest before the create request; None: none.
        extra_sinks: Makes an embedder's own sinks for a pod; None: none.
    """

    owner: str
    bus: EventBus
    random: Random
    pod_hook: PodHook | None
    extra_sinks: Callable[[TrackedPod], Sequence[SinkFactory]] | None


@asynccontextmanager
async def open_client(config: RunnerConfig, client: Any = None) -> AsyncIterator[KubeClient]:
    """Opens the client that a configuration means, without a request; closes what was opened.

    Args:
        config: The configuration; ``cluster="local"`` starts a LocalCluster that lives as long as the client.
        client: An embedder's :class:`KubeClient`, used as it is and left open, or its kubernetes-asyncio
            ``ApiClient``, whose configuration and credentials are used; None: as configured.

    Raises:
        ConfigError: The cluster cannot be reached as configured.
    """
    if isinstance(client, KubeClient):
        yield client
    elif client is not None:
        async with connect(config, api_client=client) as connected:
            yield connected
    elif config.cluster == "local":
        async with _open_local(config) as connected:
            yield connected
    else:
        async with connect(config) as connected:
            yield connected


@asynccontextmanager
async def _open_local(config: RunnerConfig) -> AsyncIterator[KubeClient]:
    from podrunner.local import LocalCluster

    try:
        local = LocalCluster()
    except ConfigError as error:
        remedy = "Run pip install 'podrunner[local]'."
        raise ConfigError(error.problem, key="cluster", value="local", remedy=remedy) from error
    async with local as cluster:
        there = config.model_copy(update={"cluster": "kubeconfig", "kubeconfig": cluster.kubeconfig})
        async with connect(there) as connected:
            yield connected


async def open_engine(
    stack: AsyncExitStack,
    config: RunnerConfig,
    given_client: Any,
    *,
    resources: RunnerResources,
    opening: anyio.CancelScope,
) -> Engine | None:
    """Reaches the cluster, takes the Lease and starts all tasks.

    Args:
        stack: Closes all of it, in the right order.
        config: The configuration.
        given_client: An embedder's own client, which stays open; None: as configured.
        resources: What the runner has.
        opening: Cancelling it ends the opening, before a task is started.

    Returns:
        The engine; None if the opening was cancelled.

    Raises:
        PodrunnerError: The cluster cannot be reached, or it refuses the Lease.
    """
    for name in _IMPORTED_AT_FAILURES:
        importlib.import_module(name)
    with opening:
        client = await stack.enter_async_context(open_client(config, given_client))
        lease = LeaseKeeper(
            client,
            config.namespace,
            owner=resources.owner,
            scope=config.scope,
            duration_s=config.lease_duration_s,
            namespaces=_watched_by(config),
        )
        # Before it is taken: whether an interrupted request took it is not known.
        stack.push_async_callback(persist, lease.release)
        await retrying(lease.acquire, policy=RequestRetry.of(config.retry), name=f"take lease {lease.name}")
    if opening.cancel_called:
        return None
    tasks = SupervisedTasks(await stack.enter_async_context(anyio.create_task_group()))
    stack.callback(tasks.cancel)
    engine = Engine(client, lease, config=config, resources=resources, tasks=tasks)
    engine.start()
    return engine


class Engine:
    """The rooms of one open runner, and its tasks.

    Attributes:
        pods: All pods.
        queue: Launches them.
        runs: All runs.
        context: What handles ask.
        tasks: All tasks.
        reflectors: One per watch.
    """

    def __init__(
        self,
        client: KubeClient,
        lease: LeaseKeeper,
        *,
        config: RunnerConfig,
        resources: RunnerResources,
        tasks: SupervisedTasks,
    ) -> None:
        self._client = client
        self._lease = lease
        self._config = config
        self._owner = owner = resources.owner
        self._owner_label = safe_label(owner)
        self._bus = resources.bus
        self._random = random = resources.random
        self._fence = Fence(lease)
        self._launcher = Launcher(
            client,
            owner=owner,
            scope=config.scope,
            config=config,
            random=random,
            may_act=self._fence.may_act,
            on_begun=self._take_begun,
        )
        self._logs = LogCollection(
            client,
            config,
            tasks=tasks,
            random=random,
            extra_sinks=resources.extra_sinks,
            bus=self._bus,
            fence=self._fence,
            owner=owner,
        )
        self._finalizer = Finalizer(client, config, limiter=self._logs.limiter, fence=self._fence)
        self._deleter = PodDeleter(client, self._launcher, config, fence=self._fence)
        self._has_left = False
        self._is_shortened = False
        self._draining: anyio.CancelScope | None = None
        self._cancelling: anyio.CancelScope | None = None
        self.tasks: SupervisedTasks = tasks
        self.pods: TrackedPods = TrackedPods()
        self._supervisor = self._make_supervisor()
        self._deliveries = Deliveries(config.outcome_delivery, self.pods, self._supervisor.send)
        self._bus.deliver_to(self._deliveries)
        self.queue: SubmissionQueue = SubmissionQueue(
            self.pods,
            self._launcher,
            builder=PodBuilder(config, owner=owner, pod_hook=resources.pod_hook),
            earlier=self._earlier_pods(),
            supervisor=self._supervisor,
            config=config,
            fence=self._fence,
            tasks=tasks,
        )
        self.context: RunnerContext = self._make_context()
        self.runs: Runs = Runs(self.queue, self.context, tasks=tasks, random=random)
        self.reflectors: list[Reflector] = [self._reflector(namespace) for namespace in self._watched]

    def _make_supervisor(self) -> Supervisor:
        return Supervisor(
            self.pods,
            self._client,
            self._launcher,
            tasks=self.tasks,
            finalizer=self._finalizer,
            deleter=self._deleter,
            logs=self._logs,
            bus=self._bus,
            may_act=self._fence.may_act,
            on_end=self._note_end,
        )

    def _make_context(self) -> RunnerContext:
        return RunnerContext(
            self._client,
            config=self._config,
            random=self._random,
            limiter=self._logs.limiter,
            fence=self._fence,
            pods=self.pods,
            queue=self.queue,
            supervisor=self._supervisor,
            deleter=self._deleter,
            deliveries=self._deliveries,
            tasks=self.tasks,
            watches=self._watches,
        )

    def _earlier_pods(self) -> EarlierPods:
        reader = self._scope_reader()
        owners = Owners(reader)
        existing = ExistingPods(
            reader,
            self._adopter(reader),
            owners,
            delete=self._launcher.delete,
            release=self._release,
            me=self._owner,
            config=self._config,
        )
        return EarlierPods(
            existing,
            owners,
            supervisor=self._supervisor,
            launcher=self._launcher,
            fence=self._fence,
            tasks=self.tasks,
        )

    def _adopter(self, reader: ScopeReader) -> Adopter:
        return Adopter(self._client, reader, owner=self._owner, before_send=self._fence.check_owner)

    async def _release(self, pod: Pod) -> object:
        policy = RequestRetry.of(self._config.retry)
        return await release_finalizer(self._client, pod, policy=policy, before_send=self._fence.check_owner)

    def _note_end(self, pod: TrackedPod) -> None:
        self.runs.note_end(pod)

    # Tasks

    def start(self) -> None:
        """Starts all tasks."""
        self._lease.guard(self._lose_lease)
        for namespace, reflector in zip(self._watched, self.reflectors, strict=True):
            self.tasks.start_soon(reflector.run, name=f"watch {namespace or 'all namespaces'}", repeats=True)
        self._supervisor.start()
        self.tasks.start_soon(self._lease.keep, name="lease", repeats=True)
        self._periodic().start(self.tasks)

    def _periodic(self) -> PeriodicTasks:
        retained = RetainedPods(
            self._scope_reader(),
            self._launcher.delete,
            owner=self._owner,
            is_settled=self.pods.is_settled,
        )
        return PeriodicTasks(
            self._config,
            self._watched,
            adopt=self.adopt,
            retained=retained,
            leftovers=self._leftovers(),
            watches=self._watches,
            report_staleness=self._supervisor.report_staleness,
            random=self._random,
        )

    def _leftovers(self) -> Leftovers:
        return Leftovers(
            self._client,
            self._scope_reader(),
            lease_namespace=self._config.namespace,
            namespaces=self._watched,
            forget=partial(self._logs.remove_leftovers, knows=lambda uid: self.pods.get(uid) is not None),
            before_send=self._fence.check_owner,
        )

    @property
    def _watched(self) -> tuple[str | None, ...]:
        return _watched_by(self._config)

    def _watches(self) -> list[WatchHealth]:
        return [reflector.health() for reflector in self.reflectors]

    def _reflector(self, namespace: str | None) -> Reflector:
        return Reflector(
            self._client,
            namespace=namespace,
            label_selector=f"{OWNER}={self._owner_label}",
            settings=self._config.watch,
            random=self._random,
            sink=self._supervisor.observe,
            accept=self._is_ours,
            conditions=conditions_of(self._config.failure_policy),
        )

    def _is_ours(self, pod: Pod) -> bool:
        # Asked of every event: the ownership metadata is read as a whole only where it is needed.
        labels, annotations = pod.metadata.labels or {}, pod.metadata.annotations or {}
        is_selected = labels.get(OWNER) == self._owner_label
        return is_selected and annotations.get(OWNER) == self._owner and KEY in annotations

    def _scope_reader(self) -> ScopeReader:
        config = self._config
        return ScopeReader(
            self._client,
            scope=config.scope,
            lease_namespace=config.namespace,
            policy=RequestRetry.of(config.retry),
            page_size=config.watch.page_size,
        )

    def _lose_lease(self, why: str) -> None:
        """Relinquishes whatever is not over, and begins or deletes nothing any more."""
        _logger.error("runner %s lost its lease and acts no more: %s", self._owner, why)
        self.runs.stop(relinquish=True)
        self._fence.lost_because = why
        self._deleter.freeze()
        self._supervisor.lose_all(why)
        self.queue.relinquish(why)

    # What earlier runners left

    async def adopt(self) -> list[TrackedPod]:
        """Takes over what is left of runners of the same scope that are gone.

        Raises:
            ApiError: Pods or leases cannot be read.
            OwnershipError: This runner lost its Lease.
            RunnerClosedError: The runner is not open.
        """
        self._fence.check_open()
        adopted = []
        adopter = self._adopter(self._scope_reader())
        found = adopter.adopt(self._watched, known=self._knows, on_retained=self.runs.note_retained)
        async with aclosing(found) as won:
            async for pod, ownership in won:
                self._fence.check_owner()
                tracked = self._supervisor.adopt(self._as_tracked(pod, ownership), pod)
                self.queue.adopted(tracked)
                self.runs.note_adopted(tracked)
                adopted.append(tracked)
        return adopted

    def _knows(self, pod: Pod) -> bool:
        """Whether a pod is tracked, or being created: then its creation is the one that tracks it."""
        meta = pod.metadata
        return self.pods.get(meta.uid) is not None or self._launcher.is_launching(meta.namespace, meta.name)

    def _take_begun(self, pod: Pod) -> None:
        ownership = read_ownership(pod.metadata.labels, pod.metadata.annotations)
        assert ownership is not None, "it was created by this runner"
        self._supervisor.take_begun(self._as_tracked(pod, ownership), pod)

    def _as_tracked(self, pod: Pod, ownership: OwnershipMetadata) -> TrackedPod:
        containers = pod.spec.containers
        main = ownership.main_container or (containers[0].name if containers else "base")
        meta = pod.metadata
        rules = Rules(main, self._config)
        return TrackedPod(ownership.key, meta.namespace, meta.name, rules=rules, log_path=ownership.log_path)

    def acknowledge(self, pods: Sequence[TrackedPod]) -> None:
        """The caller stored the outcomes of these pods.

        Raises:
            UsageError: One of them has no outcome yet.
            RunnerClosedError: The runner was closed, and has left its pods.
        """
        if self._has_left or self.tasks.is_cancelled:
            why = "the runner was closed: a successor reports what was not acknowledged before"
            raise RunnerClosedError(why)
        for pod in pods:
            if not pod.state.is_ended:
                raise UsageError(f"pod {pod.namespace}/{pod.name} has no outcome to acknowledge yet")
        self._deliveries.acknowledge(pods)

    # Looking

    def health(self) -> RunnerHealth:
        """Returns how well the runner is."""
        fields: dict[str, Any] = combine(
            self._watches(),
            pods=len(self.pods),
            active=self.pods.active,
            undelivered=self.pods.undelivered,
            submitted=self.queue.queued,
            runs=self.runs.active,
            events_waiting=len(self._bus.queue),
            events_coalesced=self._bus.queue.coalesced,
            log_troubles=self._logs.troubles,
            logs_waiting=self._logs.limiter.waiting,
            deletes_failing=self._deleter.failing,
        )
        lease = self._fence.lost_because or "held"
        return RunnerHealth(lease=lease, launches_wait_for=self.queue.waits_for, **fields)

    async def idle(self) -> None:
        """Returns when nothing is queued, every run is over, and of every pod no more than delivery is left to do."""
        await self.runs.idle()
        await self.queue.idle()
        await self.pods.idle()

    # Closing

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
        self.pods.notify()
        self._finalizer.close()
        left: list[str] = []
        try:
            left = await self._end_pods(policy, is_clean=is_clean)
            if left:
                asked_until_s = anyio.current_time() + _ASK_WITHIN_S
                await persist(self._deleter.ask_for_rest, deadline_s=asked_until_s)
                left = self._not_ended()
        finally:
            self._report_undelivered()
            self._supervisor.leave_all()
            self._has_left = True
            self._bus.close()
        if left:
            error = CloseTimeoutError(left)
            _logger.error("%s", error)
            raise error

    def shorten_close(self) -> None:
        """A close that waits for the pods ends them instead."""
        self._is_shortened = True
        if self._draining is not None:
            self._draining.cancel()

    def abandon_close(self) -> None:
        """A task has failed, and all were ended: a close waits for nothing any more."""
        for scope in (self._draining, self._cancelling):
            if scope is not None and self.tasks.is_cancelled:
                scope.cancel()

    async def _end_pods(self, policy: ClosePolicy, *, is_clean: bool) -> list[str]:
        """Ends the pods by a policy; returns the names of those that did not end in the time for it."""
        if policy is ClosePolicy.DRAIN and not self._is_lost() and await self._drained(is_clean=is_clean):
            return self._not_ended()
        if policy is ClosePolicy.DETACH or self._is_lost():
            self.runs.stop(relinquish=True)
            self._deleter.freeze()
            return []
        self.runs.stop(relinquish=False)
        within_s = anyio.current_time() + _CLOSE_WITHIN_S
        is_over = await persist(self._cancel_all, deadline_s=within_s, on_begin=self._note_cancelling)
        return [] if is_over or self._is_lost() else self._not_ended()

    def _is_lost(self) -> bool:
        return self.tasks.is_cancelled

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
        await self.idle()
        self._deliveries.close(is_drain=True, is_clean=is_clean)
        await self.pods.idle()
        with anyio.move_on_after(_GONE_WITHIN_S):
            await self._deleter.wait_gone()

    def _note_cancelling(self, scope: anyio.CancelScope) -> None:
        self._cancelling = scope

    async def _cancel_all(self) -> None:
        await self.context.cancel_all()
        await self.queue.idle()
        await self.context.cancel_all()
        await self.pods.idle()
        await self._deleter.wait_gone()

    def _not_ended(self) -> list[str]:
        """Returns the names of pods that may run on."""
        active = [pod for pod in self.pods if pod.state.is_active]
        pods = {*active, *self._deleter.still_running(), *self.queue.creating()}
        return sorted(f"{pod.namespace}/{pod.name}" for pod in pods)

    def _report_undelivered(self) -> None:
        left = sum(pod.state.is_undelivered and not pod.is_gone for pod in self.pods)
        if left:
            _logger.warning(
                "%d pods that are over stay for a runner that adopts them: their outcomes were not delivered "
                "(outcome_delivery=%r)",
                left,
                self._deliveries.mode,
            )


def _watched_by(config: RunnerConfig) -> tuple[str | None, ...]:
    return (None,) if config.all_namespaces else config.watched_namespaces
