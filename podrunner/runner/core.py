"""AsyncPodRunner: wires the layers together and owns the tasks.

Each decision lives in a layer below: what a pod looks like in the builder, creating it in the launcher, what
happened to it in the watch and ``podrunner.outcome``, its log in ``podrunner.logs``, whose it is in
``podrunner.ownership``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING, Any, Final, Self

import anyio

from podrunner.builder import PodBuilder, safe_label
from podrunner.builder.labels import KEY, OWNER
from podrunner.config.failure_policy import conditions_of
from podrunner.errors import RunnerClosedError
from podrunner.kube import KubeClient, RequestRetry, retrying
from podrunner.launcher import Launcher
from podrunner.ownership import Adopter, KeptPods, LeaseKeeper, ScopeReader, new_owner
from podrunner.runner.access import open_client, settled
from podrunner.runner.background import Background
from podrunner.runner.batch import FailedLaunch, LaunchBatch
from podrunner.runner.desk import Desk
from podrunner.runner.events import EventBus, RunnerEvent
from podrunner.runner.handle import AsyncPod
from podrunner.runner.health import RunnerHealth, combine
from podrunner.runner.run import AsyncRun
from podrunner.runner.runs import Runs
from podrunner.runner.staleness import tell_staleness
from podrunner.runner.subscription import AsyncEvents
from podrunner.runner.supervision import Supervisor
from podrunner.runner.tracked import TrackedPod
from podrunner.runner.upkeep import Upkeep
from podrunner.watch import Reflector

if TYPE_CHECKING:
    from types import TracebackType

    from podrunner.builder import PodHook, Stamp
    from podrunner.config import RunnerConfig
    from podrunner.logs import SinkFactory
    from podrunner.outcome.record import Pod
    from podrunner.runner.retries import RetryPolicy
    from podrunner.workload import Workload

__all__ = ["AsyncPodRunner", "ClosePolicy", "LogSinks"]

_logger = logging.getLogger(__name__)

# After a cancel: a pod's default grace period, as much again for the node to say so, and what the log may
# take.
_CLOSE_WITHIN_S: Final = 90.0
# After a drain all that is left is deleting pods whose processes have ended.
_GONE_WITHIN_S: Final = 35.0

LogSinks = Callable[[AsyncPod], Sequence["SinkFactory"]]
"""Makes an embedder's own log sinks for a pod."""


class ClosePolicy(StrEnum):
    """What becomes of the pods when a runner closes."""

    DRAIN = "drain"
    """Wait until every run is over, with all its tries, and every pod: its log read, itself deleted or kept, as the
    configuration says."""
    CANCEL = "cancel"
    """End every pod that is not over, then as ``drain``; bounded in time. No run has another try."""
    DETACH = "detach"
    """Leave the pods as they are, for a successor to adopt. No run has another try here."""


class AsyncPodRunner:
    """Launches pods and reports exactly one outcome for each. For asyncio and trio.

    Use it as a context manager: ``async with AsyncPodRunner(config) as runner``. Leaving it closes it by the
    policy ``on_exit``; leaving it by an exception cancels what still runs.

    Args:
        config: The configuration; None: ``RunnerConfig()``.
        client: An embedder's own ``podrunner.kube.KubeClient`` or kubernetes-asyncio ``ApiClient``, which
            stays open;
            None: as configured.
        on_exit: What becomes of the pods at the end of the context.
        log_sinks: Called with each pod whose log is collected; gives more sinks for it. None: none.
        pod_hook: Called with each pod's manifest before it is created: changes it, or returns another one
            (Airflow's ``pod_mutation_hook``). The pod's name and identity stand. None: none.
        random: Source of jitter; None: a new one.
    """

    def __init__(
        self,
        config: RunnerConfig | None = None,
        *,
        client: Any = None,
        on_exit: ClosePolicy | str = ClosePolicy.DRAIN,
        log_sinks: LogSinks | None = None,
        pod_hook: PodHook | None = None,
        random: Random | None = None,
    ) -> None:
        self._config = config if config is not None else _default_config()
        self._given_client = client
        self._on_exit = ClosePolicy(on_exit)
        self._log_sinks = log_sinks
        self._pod_hook = pod_hook
        self._random = random or Random()  # noqa: S311  # jitter, not a secret
        self._owner = self._config.owner or new_owner()
        self._bus = EventBus(self._config.event_queue_size)
        self._reflectors: list[Reflector] = []
        self._stack = AsyncExitStack()
        self._opened: _Opened | None = None

    # Opening and closing

    async def __aenter__(self) -> Self:
        if self._opened is not None:
            raise RunnerClosedError("a runner is entered once; make a new one")
        async with AsyncExitStack() as stack:
            self._opened = await self._open(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        try:
            await self.close(self._on_exit if exc is None else self._policy_after_error())
        except BaseException as error:
            await self._stack.__aexit__(type(error), error, error.__traceback__)
            raise
        if isinstance(exc, anyio.get_cancelled_exc_class()):
            return await self._stack.__aexit__(exc_type, exc, traceback)
        # A task group would wrap the body's own error in a group: it is not told of it.
        await self._stack.aclose()
        return None

    def _policy_after_error(self) -> ClosePolicy:
        return ClosePolicy.DETACH if self._on_exit is ClosePolicy.DETACH else ClosePolicy.CANCEL

    async def _open(self, stack: AsyncExitStack) -> _Opened:
        config = self._config = settled(self._config, self._given_client)
        client = await stack.enter_async_context(open_client(config, self._given_client))
        lease = self._lease(client)
        await retrying(lease.acquire, policy=RequestRetry.of(config.retry), name=f"take lease {lease.name}")
        stack.push_async_callback(_shielded, lease.release)
        group = Background(await stack.enter_async_context(anyio.create_task_group()))
        stack.callback(group.cancel)
        lease.guard(self._fence)
        launcher = Launcher(
            client,
            owner=self._owner,
            scope=config.scope,
            config=config,
            random=self._random,
            may_act=lease.is_held,
        )
        supervisor = Supervisor(
            client,
            launcher,
            config=config,
            bus=self._bus,
            group=group,
            random=self._random,
            extra_sinks=self._extra_sinks if self._log_sinks else None,
        )
        desk = Desk(
            client,
            launcher,
            builder=PodBuilder(config, owner=self._owner, pod_hook=self._pod_hook),
            supervisor=supervisor,
            config=config,
            group=group,
            random=self._random,
            watches=lambda: [reflector.health() for reflector in self._reflectors],
        )
        runs = Runs(desk, group=group, random=self._random)
        opened = _Opened(client, desk, supervisor=supervisor, runs=runs, background=group)
        for namespace in self._watched:
            reflector = self._reflector(client, namespace, supervisor)
            self._reflectors.append(reflector)
            group.start_soon(reflector.run, name=f"watch {namespace or 'all namespaces'}")
        group.start_soon(supervisor.patrol, name="patrol")
        group.start_soon(
            lambda: tell_staleness(
                lambda: [reflector.health() for reflector in self._reflectors], supervisor.report_staleness
            ),
            name="staleness",
        )
        supervisor.may_act = lease.is_held
        group.start_soon(lease.keep, name="lease")
        self._start_upkeep(opened, launcher)
        return opened

    def _start_upkeep(self, opened: _Opened, launcher: Launcher) -> None:
        kept = KeptPods(
            self._scope_reader(opened.client),
            launcher.delete,
            owner=self._owner,
            is_settled=opened.supervisor.is_settled,
        )
        upkeep = Upkeep(self._config, self._watched, adopt=self.adopt, kept=kept, random=self._random)
        upkeep.start(opened.background)

    def _scope_reader(self, client: KubeClient) -> ScopeReader:
        config = self._config
        return ScopeReader(
            client,
            scope=config.scope,
            lease_namespace=config.namespace,
            policy=RequestRetry.of(config.retry),
            page_size=config.watch.page_size,
        )

    @property
    def _watched(self) -> tuple[str | None, ...]:
        return (None,) if self._config.all_namespaces else self._config.watched_namespaces

    def _lease(self, client: KubeClient) -> LeaseKeeper:
        return LeaseKeeper(
            client,
            self._config.namespace,
            owner=self._owner,
            scope=self._config.scope,
            duration_s=self._config.lease_duration_s,
        )

    def _reflector(self, client: KubeClient, namespace: str | None, supervisor: Supervisor) -> Reflector:
        return Reflector(
            client,
            namespace=namespace,
            label_selector=f"{OWNER}={safe_label(self._owner)}",
            settings=self._config.watch,
            random=self._random,
            sink=supervisor.observe,
            accept=self._is_ours,
            conditions=conditions_of(self._config.failure_policy),
        )

    def _is_ours(self, pod: Pod) -> bool:
        # Asked of every event: the whole stamp is read only where it is needed.
        annotations = pod.metadata.annotations or {}
        return annotations.get(OWNER) == self._owner and KEY in annotations

    def _fence(self, why: str) -> None:
        _logger.error("runner %s lost its lease and acts no more: %s", self._owner, why)
        if self._opened is not None:
            self._opened.runs.stop(leave=True)
            self._opened.desk.fence(why)

    def _extra_sinks(self, tracked: TrackedPod) -> Sequence[SinkFactory]:
        assert self._log_sinks is not None, "given only if there are some"
        return self._log_sinks(self._handle(tracked))

    async def close(self, policy: ClosePolicy | str = ClosePolicy.DRAIN) -> None:
        """Stops taking orders and ends the pods by a policy.

        Leaving the context does it; a second call does nothing.

        Args:
            policy: What becomes of the pods. If waiting is interrupted (cancelled, Ctrl-C), the rest is
                cancelled.
        """
        if self._opened is None or self._opened.desk.is_closed:
            return
        desk = self._opened.desk
        desk.close("the runner is closed")
        self._opened.supervisor.close()
        try:
            await self._close_by(ClosePolicy(policy))
        except BaseException:
            if policy != ClosePolicy.DETACH:
                with anyio.CancelScope(shield=True):
                    await self._close_by(ClosePolicy.CANCEL)
            raise
        finally:
            desk.leave_alone()
            self._bus.close()

    async def _close_by(self, policy: ClosePolicy) -> None:
        assert self._opened is not None, "checked by close"
        desk, supervisor, runs = self._opened.desk, self._opened.supervisor, self._opened.runs
        if policy is ClosePolicy.DETACH or self._opened.background.is_cancelled:
            runs.stop(leave=True)
            supervisor.frozen = True
        elif policy is ClosePolicy.DRAIN:
            await runs.idle()
            await desk.idle()
            await supervisor.idle()
            with anyio.move_on_after(_GONE_WITHIN_S):
                await supervisor.deleted()
        else:
            runs.stop(leave=False)
            await self._cancel_all(desk, supervisor)

    async def _cancel_all(self, desk: Desk, supervisor: Supervisor) -> None:
        with anyio.move_on_after(_CLOSE_WITHIN_S, shield=True) as scope:
            await desk.cancel_all()
            await desk.idle()
            await desk.cancel_all()
            await supervisor.idle()
            await supervisor.deleted()
        if scope.cancelled_caught:
            _logger.error("%d pods did not end in %.0f s", supervisor.active, _CLOSE_WITHIN_S)

    # Launching

    async def launch(self, workload: Workload) -> AsyncPod:
        """Creates the workload's pod, exactly once, and returns when it exists.

        A workload whose attempt was launched before gives the handle of that pod.

        Args:
            workload: What to run.

        Raises:
            SpecError: The workload makes no valid pod.
            OwnershipError: Its name is taken by a pod that is not this attempt's, or this runner lost its
                lease.
            ApiError: The server refuses; nothing is left behind.
            TransportError: The server could not be reached.
            RunnerClosedError: The runner is not open.
        """
        return self._handle(await self._desk.launch(workload))

    async def launch_many(
        self, workloads: Iterable[Workload], *, concurrency: int | None = None
    ) -> LaunchBatch[AsyncPod]:
        """Creates the pods of many workloads.

        One that fails does not hold up the others: it gets a handle too, whose outcome is
        ``rejected-by-api``.

        Args:
            workloads: What to run.
            concurrency: How many are created at once at most; None: as many as there are connections.

        Returns:
            One handle per workload, in order; ``errors`` tells which failed, and why.

        Raises:
            RunnerClosedError: The runner is not open.
        """
        orders = list(workloads)
        results = await self._desk.launch_many(orders, concurrency=concurrency)
        failures = [
            FailedLaunch(index, workload, error)
            for index, (workload, (_, error)) in enumerate(zip(orders, results, strict=True))
            if error is not None
        ]
        return LaunchBatch([self._handle(tracked) for tracked, _ in results], failures)

    def submit(self, workload: Workload, *, priority: int = 0, group: str = "") -> AsyncPod:
        """Queues the workload and returns its handle at once.

        A failure to create the pod becomes its outcome (``rejected-by-api``).

        Args:
            workload: What to run.
            priority: Whose turn comes first while submissions wait: the higher number's.
            group: Whose turns are shared: of one priority, groups take turns, however many each has submitted. Such
                as a DAG's or a user's name; "" is a group too.

        Raises:
            SpecError: The workload makes no valid pod.
            QueueFullError: Too many wait already.
            RunnerClosedError: The runner is not open.
        """
        return self._handle(self._desk.submit(workload, priority=priority, group=group))

    async def submit_when_room(
        self, workload: Workload, *, priority: int = 0, group: str = "", timeout_s: float | None = None
    ) -> AsyncPod:
        """Like ``submit``, but waits while too many submissions wait already.

        Args:
            workload: What to run.
            priority: As for ``submit``.
            group: As for ``submit``.
            timeout_s: Seconds to wait for room at most; None: as long as it takes.

        Raises:
            SpecError: The workload makes no valid pod.
            TimeoutError: The time is over; nothing was submitted.
            RunnerClosedError: The runner is not open (any more).
        """
        tracked = await self._desk.submit_when_room(
            workload, priority=priority, group=group, timeout_s=timeout_s
        )
        return self._handle(tracked)

    def run(
        self, workload: Workload, *, retry: RetryPolicy | None = None, priority: int = 0, group: str = ""
    ) -> AsyncRun:
        """Queues the workload and tries it again as its retry policy says; returns the handle of all its tries at once.

        A workload that is being run already gives the handle of that run. One of which ``adopt`` found a pod goes on
        from the newest one: after a restart, call ``adopt`` first.

        Args:
            workload: What to run; its key says the first attempt.
            retry: When it is tried again; None: as the configuration's ``run_retry`` says.
            priority: Of each try: as for ``submit``.
            group: Of each try: as for ``submit``.

        Raises:
            SpecError: The workload makes no valid pod.
            QueueFullError: Too many wait already.
            RunnerClosedError: The runner is not open.
        """
        opened = self._entered()
        run = opened.runs.run(workload, policy=retry, priority=priority, group=group)
        return AsyncRun(run, opened.runs, opened.desk)

    async def adopt(self) -> list[AsyncPod]:
        """Takes over what is left of runners of the same scope that are gone.

        A runner is gone when its lease ran out, or was given back.

        Returns:
            Handles as if the pods had been launched here; of pods that are over already, the outcome follows
            at once.

        Raises:
            ApiError: Pods or leases cannot be read.
            RunnerClosedError: The runner is not open.
        """
        self._desk.check_open()
        opened = self._entered()
        adopted = []
        adopter = Adopter(opened.client, self._scope_reader(opened.client), owner=self._owner)
        found = adopter.adopt(self._watched, known=opened.desk.knows, kept=opened.runs.note_kept)
        async with aclosing(found) as won:
            async for pod, stamp in won:
                tracked = opened.desk.adopt(_adopted(pod, stamp), pod)
                opened.runs.note_adopted(tracked)
                adopted.append(self._handle(tracked))
        return adopted

    # Looking

    @property
    def owner(self) -> str:
        """This runner's name, stamped on its pods."""
        return self._owner

    def pods(self) -> list[AsyncPod]:
        """The pods that are tracked: all that exist, and ended ones until they are deleted.

        Raises:
            RunnerClosedError: The runner was never open.
        """
        return [self._handle(tracked) for tracked in self._entered().supervisor.pods]

    def events(self) -> AsyncEvents:
        """Everything that happens to the pods from now on: ``async with runner.events() as events``."""
        self._entered()
        return AsyncEvents(self._bus)

    def poll_events(self, max_events: int | None = None) -> list[RunnerEvent]:
        """Takes the events that wait, without waiting for any: what a scheduler's heartbeat drains.

        Args:
            max_events: How many at most; None: all.

        Raises:
            RunnerClosedError: The runner was never open.
        """
        self._entered()
        return self._bus.queue.poll(max_events)

    def health(self) -> RunnerHealth:
        """How well the runner is.

        Raises:
            RunnerClosedError: The runner was never open.
        """
        opened = self._entered()
        supervisor = opened.supervisor
        fields: dict[str, Any] = combine(
            [reflector.health() for reflector in self._reflectors],
            pods=len(list(supervisor.pods)),
            active=supervisor.active,
            submitted=opened.desk.queued,
            runs=opened.runs.active,
            events_waiting=len(self._bus.queue),
            events_coalesced=self._bus.queue.coalesced,
            log_troubles=supervisor.log_troubles,
            logs_waiting=supervisor.log_turns.waiting,
            deletes_failing=supervisor.deletes_failing,
        )
        return RunnerHealth(lease=opened.desk.fenced_because or "held", **fields)

    async def wait_synced(self) -> None:
        """Returns when every watch has taken in a complete list: from then on nothing is missed.

        Raises:
            RunnerClosedError: The runner was never open.
        """
        self._entered()
        for reflector in self._reflectors:
            await reflector.wait_synced()

    async def wait_all(self, timeout_s: float | None = None) -> None:
        """Waits until nothing is queued, every run is over and every pod is done: outcome, log, deleted or kept.

        Args:
            timeout_s: Seconds to wait at most; None: as long as it takes.

        Raises:
            TimeoutError: The time is over; the pods go on.
            RunnerClosedError: The runner was never open.
        """
        opened = self._entered()
        with anyio.fail_after(timeout_s):
            await opened.runs.idle()
            await opened.desk.idle()
            await opened.supervisor.idle()

    @property
    def _desk(self) -> Desk:
        return self._entered().desk

    def _entered(self) -> _Opened:
        if self._opened is None:
            raise RunnerClosedError("the runner is not open; use it as a context manager")
        return self._opened

    def _handle(self, tracked: TrackedPod) -> AsyncPod:
        return AsyncPod(tracked, self._desk)


class _Opened:
    """What exists while a runner is open."""

    def __init__(
        self, client: KubeClient, desk: Desk, *, supervisor: Supervisor, runs: Runs, background: Background
    ) -> None:
        self.client = client
        self.desk = desk
        self.runs = runs
        self.supervisor = supervisor
        self.background = background


def _default_config() -> RunnerConfig:
    from podrunner.config import RunnerConfig

    return RunnerConfig()


def _adopted(pod: Pod, stamp: Stamp) -> TrackedPod:
    main = stamp.main_container or (pod.spec.containers[0].name if pod.spec.containers else "base")
    return TrackedPod(
        stamp.key,
        pod.metadata.namespace,
        pod.metadata.name,
        main_container=main,
        log_path=stamp.log_path,
    )


async def _shielded(function: Callable[[], Any]) -> None:
    with anyio.CancelScope(shield=True):
        await function()
