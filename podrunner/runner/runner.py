"""AsyncPodRunner: what callers use. Every method asks the engine and returns handles; nothing is decided here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

import anyio

from podrunner.errors import RunnerClosedError, UnknownPodError, UsageError
from podrunner.kube.namespace import with_namespace_of_cluster
from podrunner.markup import html_table, rich_table
from podrunner.ownership import new_owner
from podrunner.runner.closing import ClosePolicy
from podrunner.runner.completion import AsyncCompletions
from podrunner.runner.event_queue import AsyncEvents, EventBus
from podrunner.runner.events import EventKind, RunnerEvent
from podrunner.runner.handles import AsyncPod, tracked_of
from podrunner.runner.hooks import HookCalls
from podrunner.runner.life import RunnerLife
from podrunner.runner.many import Group, Priority, batch_of, cancel_all
from podrunner.runner.mapping import AsyncOutcomes, RunWindow, window_size
from podrunner.runner.opening import open_engine
from podrunner.runner.progress import runner_facts
from podrunner.runner.resources import RunnerResources
from podrunner.runner.run_handle import AsyncRun
from podrunner.workload import WorkloadKey

if TYPE_CHECKING:
    from contextlib import AsyncExitStack
    from pathlib import Path
    from types import TracebackType

    from rich.table import Table

    from podrunner.builder import PodHook
    from podrunner.config import RunnerConfig
    from podrunner.logs import SinkFactory
    from podrunner.outcome import Outcome
    from podrunner.runner.batches import LaunchBatch
    from podrunner.runner.engine import Engine
    from podrunner.runner.health import RunnerHealth
    from podrunner.runner.hooks import RunnerHooks
    from podrunner.runner.retries import RetryPolicy
    from podrunner.runner.runs import TrackedRun
    from podrunner.runner.tracked import TrackedPod
    from podrunner.workload import Workload

__all__ = [
    "Acknowledged",
    "AsyncPodRunner",
    "LogSinks",
    "carry_handles",
    "has_events",
    "health_at",
    "run_window",
]

Acknowledged: TypeAlias = "RunnerEvent | AsyncPod | WorkloadKey"
"""By what an outcome is acknowledged."""
H = TypeVar("H", bound=AsyncPod | AsyncRun)
"""The handle of a pod or run."""
LogSinks = Callable[[AsyncPod], Sequence["SinkFactory"]]
"""Makes an embedder's own log sinks for a pod."""


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
        hooks: What is called with everything that happens, such as to make metrics of it: see ``RunnerHooks``.
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
        hooks: Iterable[RunnerHooks] = (),
    ) -> None:
        self._config = config if config is not None else _default_config()
        self._given_client = client
        self._on_exit = ClosePolicy(on_exit)
        self._log_sinks = log_sinks
        self._pod_hook = pod_hook
        self._random = random or Random()  # noqa: S311  # jitter, not a secret
        self._owner = self._config.owner or new_owner()
        self._bus = EventBus(self._config.event_queue_size, HookCalls.of(hooks))
        self._event_handle: Callable[[AsyncPod], object] = lambda pod: pod
        self._life: RunnerLife | None = None
        self._engine: Engine | None = None

    def _repr_html_(self) -> str:
        return html_table("runner", runner_facts(self._owner, self._engine))

    def __rich__(self) -> Table:
        return rich_table("runner", runner_facts(self._owner, self._engine))

    # Opening and closing

    async def __aenter__(self) -> Self:
        if self._life is not None:
            raise RunnerClosedError("a runner is entered once; make a new one")
        resources = RunnerResources(
            owner=self._owner,
            bus=self._bus,
            random=self._random,
            pod_hook=self._pod_hook,
            extra_sinks=self._extra_sinks if self._log_sinks else None,
            event_handle=self._event_handle,
        )
        self._life = RunnerLife(partial(self._open, resources), policy=self._policy_after_error())
        self._engine = await self._life.enter()
        return self

    async def _open(
        self, resources: RunnerResources, stack: AsyncExitStack, opening: anyio.CancelScope
    ) -> Engine | None:
        if self._given_client is None:
            self._config = with_namespace_of_cluster(self._config)
        return await open_engine(
            stack, self._config, self._given_client, resources=resources, opening=opening
        )

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._life is not None:
            await self._life.leave(self._on_exit if exc is None else self._policy_after_error(), exc)

    def _policy_after_error(self) -> ClosePolicy:
        return ClosePolicy.DETACH if self._on_exit is ClosePolicy.DETACH else ClosePolicy.CANCEL

    def _extra_sinks(self, tracked: TrackedPod) -> Sequence[SinkFactory]:
        assert self._log_sinks is not None, "given only if there are some"
        return self._log_sinks(self._handle(tracked))

    async def close(self, policy: ClosePolicy | str = ClosePolicy.DRAIN) -> None:
        """Launches nothing more and ends the pods by a policy.

        Leaving the context does it; a second call does nothing.

        Args:
            policy: What becomes of the pods. If waiting is interrupted (cancelled, Ctrl-C), the rest is
                cancelled; the interruption is raised when that is done.

        Raises:
            CloseTimeoutError: Pods did not end in the time for it.
        """
        if self._life is not None:
            await self._life.close(ClosePolicy(policy), is_clean=True)

    # Launching

    async def launch(self, workload: Workload) -> AsyncPod:
        """Creates the workload's pod, exactly once, and returns when it exists.

        A workload whose attempt was launched before gives the handle of that pod. One that another runner of the scope
        made is taken over if that runner is gone, as ``adopt`` does; while its Lease may still count, the call waits.
        Of a pod that is over already, ``reported_attempt`` says what follows: by default its outcome is given again,
        and the handle's ``replayed`` is True.

        Args:
            workload: What to run.

        Raises:
            SpecError: The workload makes no valid pod.
            KeyReusedError: Its attempt was launched here as another workload.
            AttemptOwnedError: The attempt's pod belongs to another runner, which is alive, or may be.
            AttemptEndedError: The attempt has ended already, and ``reported_attempt`` is ``error``; or it was another
                workload.
            OwnershipError: Its name is taken by a pod that is not this attempt's, or this runner lost its lease.
            ApiError: The server refuses; nothing is left behind.
            TransportError: The server could not be reached.
            RunnerClosedError: The runner is not open.
        """
        return self._handle(await self._entered().queue.launch(workload))

    async def launch_many(
        self, workloads: Iterable[Workload], *, concurrency: int | None = None
    ) -> LaunchBatch[AsyncPod]:
        """Creates the pods of many workloads.

        One that fails does not hold up the others: it gets a handle too, whose outcome is
        ``rejected-by-api``, or whose ``wait`` raises what ``launch`` would.

        Args:
            workloads: What to run.
            concurrency: How many are created at once at most; None: as many as there are connections.

        Returns:
            One handle per workload, in order; ``errors`` tells which failed, and why.

        Raises:
            RunnerClosedError: The runner is not open.
        """
        listed = list(workloads)
        results = await self._entered().queue.launch_many(listed, concurrency=concurrency)
        return batch_of(listed, results, self._handle)

    def submit(self, workload: Workload, *, priority: int = 0, group: str = "") -> AsyncPod:
        """Queues the workload and returns its handle at once.

        A failure to create the pod becomes its outcome (``rejected-by-api``). A pod of an earlier launch of the attempt
        counts as for ``launch``; where that raises ``AttemptOwnedError`` or ``AttemptEndedError``, the pod has the
        event ``lost``, and ``wait`` raises the error.

        Args:
            workload: What to run.
            priority: Whose turn comes first while submissions wait: the higher number's.
            group: Whose turns are shared: of one priority, groups take turns, however many each has submitted. Such
                as a DAG's or a user's name; "" is a group too.

        Raises:
            SpecError: The workload makes no valid pod.
            KeyReusedError: Its attempt was launched here as another workload.
            QueueFullError: Too many wait already.
            RunnerClosedError: The runner is not open.
        """
        return self._handle(self._entered().queue.submit(workload, priority=priority, group=group))

    async def submit_many(
        self, workloads: Iterable[Workload], *, priority: Priority = 0, group: Group = ""
    ) -> LaunchBatch[AsyncPod]:
        """Queues many workloads in one step and returns their handles, without waiting for a pod.

        One that cannot be queued does not hold up the others, as for ``launch_many``. If too many wait already, those
        for which there was no room have no outcome: hand them in again. A call that is cancelled has queued all of
        them, or none.

        Args:
            workloads: What to run.
            priority: As for ``submit``: that of all of them, or a function that says each one's.
            group: As for ``submit``: that of all of them, or a function that says each one's.

        Returns:
            One handle per workload, in order; ``errors`` tells which were not queued, and why.

        Raises:
            RunnerClosedError: The runner is not open.
        """
        listed, bulk = list(workloads), self._entered().bulk
        return batch_of(listed, await bulk.submit(listed, priority=priority, group=group), self._handle)

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
            KeyReusedError: Its attempt was launched here as another workload.
            TimeoutError: The time is over; nothing was submitted.
            RunnerClosedError: The runner is not open (any more).
        """
        tracked = await self._entered().queue.submit_when_room(
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
            KeyReusedError: Its attempt was launched here as another workload.
            QueueFullError: Too many wait already.
            RunnerClosedError: The runner is not open.
        """
        engine = self._entered()
        run = engine.runs.run(workload, policy=retry, priority=priority, group=group)
        return self._run_handle(run)

    async def run_many(
        self,
        workloads: Iterable[Workload],
        *,
        retry: RetryPolicy | None = None,
        priority: Priority = 0,
        group: Group = "",
    ) -> LaunchBatch[AsyncRun]:
        """Queues many workloads in one step, each to be tried again as ``run`` does, and returns the handles of all.

        One that cannot be queued does not hold up the others: its run is over, as for ``submit_many``.

        Args:
            workloads: What to run.
            retry: When they are tried again; None: as the configuration's ``run_retry`` says.
            priority: Of each try: as for ``submit_many``.
            group: Of each try: as for ``submit_many``.

        Returns:
            One handle per workload, in order; ``errors`` tells which were not queued, and why.

        Raises:
            RunnerClosedError: The runner is not open.
        """
        listed, bulk = list(workloads), self._entered().bulk
        results = await bulk.run(listed, policy=retry, priority=priority, group=group)
        return batch_of(listed, results, self._run_handle)

    async def cancel_many(
        self, pods: Iterable[AsyncPod | AsyncRun], *, grace_period_s: int | None = None, wait: bool = True
    ) -> None:
        """Ends many pods or runs at once, as ``cancel`` of each handle does.

        Args:
            pods: Handles of pods or runs.
            grace_period_s: Seconds that their processes have to end; None: the configuration's, or the pod's own.
            wait: Whether to return when the API server has accepted all; False: at once, while the runner goes on.

        Raises:
            ExceptionGroup: Of the errors of those that are another runner's; all others are cancelled.
        """
        await cancel_all(pods, grace_period_s=grace_period_s, wait=wait)

    def as_completed(self, pods: Iterable[H], *, timeout_s: float | None = None) -> AsyncIterator[H]:
        """The pods, each as soon as it is over: ``async for pod in runner.as_completed(pods)``.

        A pod whose outcome will not come from here is given too: its ``result`` raises why. Coming back for the next
        one takes the outcome of the one before (``outcome_delivery``), and so does reading it.

        Args:
            pods: Handles of pods or runs; those that are over already come first.
            timeout_s: Seconds from the call until waiting ends; None: as long as it takes.

        Raises:
            TimeoutError: When the next one is asked for: the time is over, and not every pod is. They go on.
            StaleError: Likewise, and nothing is known because the watch is interrupted.
            RunnerClosedError: The runner was never open.
        """
        self._entered()
        return AsyncCompletions(pods, timeout_s=timeout_s)

    def map(
        self,
        workloads: Iterable[Workload],
        *,
        retry: RetryPolicy | None = None,
        priority: int = 0,
        group: str = "",
        concurrency: int | None = None,
    ) -> AsyncIterator[Outcome]:
        """Runs workloads as ``run`` does, and gives their outcomes in the order of the workloads.

        It begins with the first outcome that is asked for, and reads the workloads as it goes on. One that makes no
        valid pod, or that the server refuses, has its outcome (``rejected-by-api``) in its place. Coming back for the
        next outcome takes the one before (``outcome_delivery``). Leaving early cancels nothing.

        Args:
            workloads: What to run.
            retry: When they are tried again; None: as the configuration's ``run_retry`` says.
            priority: Of each try: as for ``submit``.
            group: Of each try: as for ``submit``.
            concurrency: How many are under way at most, counted from the one whose outcome is next; None: 1,000, or
                ``max_active_pods`` if that is more. Never more than half of ``max_undelivered_pods``.

        Raises:
            OwnershipError: In the place of a workload that another runner has. Asking again goes on with the next.
            RunnerClosedError: The runner is not open.
        """
        window = run_window(self, retry=retry, priority=priority, group=group, concurrency=concurrency)
        return AsyncOutcomes(workloads, window)

    async def adopt(
        self,
        *,
        owners: Iterable[str] | Callable[[str], bool] = (),
        which: Callable[[WorkloadKey], bool] | None = None,
    ) -> list[AsyncPod]:
        """Takes over what is left of runners of the same scope that are gone.

        A runner is gone when its lease ran out, or was given back; and when the caller says so. Its Lease is revoked
        then, so that a runner that is alive after all relinquishes its pods, and acts no more.

        Args:
            owners: Names of runners that are gone, though their leases may count: the verdict of a scheduler that has
                heartbeats of its own. Or a function that decides of each owner's name whether it is gone; no Lease
                is asked then, and of other runners nothing is taken. It is called on the runner's event loop and must
                return at once.
            which: A function that is called in the same way with the key of each pod that may be taken; False: the pod
                is left as it is. None: all are taken.

        Returns:
            Handles as if the pods had been launched here; of pods that are over already, the outcome follows at once.
            Pods that an earlier call had won before it failed are among them.

        Raises:
            ApiError: Pods or leases cannot be read, or a lease cannot be revoked.
            OwnershipError: One of the owners is of another scope, or this runner lost its lease.
            RunnerClosedError: The runner is not open.
        """
        adopted = await self._entered().adoption.adopt(owners, which=which)
        return [self._handle(tracked) for tracked in adopted]

    # Looking

    @property
    def owner(self) -> str:
        """This runner's name, stamped on its pods."""
        return self._owner

    @property
    def kubeconfig(self) -> Path | None:
        """A kubeconfig of this runner's cluster, such as for ``kubectl --kubeconfig``; also that of a LocalCluster.

        None: the cluster is reached in another way, or by several files that are merged.

        Raises:
            RunnerClosedError: The runner was never open.
        """
        return self._entered().kubeconfig

    def pods(self) -> list[AsyncPod]:
        """The pods that are tracked: all that exist, and ended ones until they are deleted.

        Raises:
            RunnerClosedError: The runner was never open.
        """
        return [self._handle(tracked) for tracked in self._entered().pods]

    def pod(self, which: WorkloadKey | str) -> AsyncPod:
        """The handle of a pod that is tracked: submitted, launched or adopted here, and not done with.

        Args:
            which: Its key, or its UID. Of a key, the pod that was submitted, launched or adopted last.

        Raises:
            UnknownPodError: No such pod is tracked (any more).
            RunnerClosedError: The runner was never open.
        """
        pods = self._entered().pods
        found = pods.get(which) if isinstance(which, str) else pods.newest(which)
        if found is None:
            what = f"UID {which!r}" if isinstance(which, str) else f"key {which}"
            raise UnknownPodError(
                f"runner {self._owner} tracks no pod of {what}: it was not launched or adopted here, or is done with",
                which=which,
            )
        return self._handle(found)

    def events(self, *, observe: bool = False) -> AsyncEvents:
        """The outcomes that are not delivered, then everything that happens: ``async with runner.events() as events``.

        Coming back for more takes the outcomes of the last batch (``outcome_delivery``), and so does leaving without an
        exception.

        Args:
            observe: Only look on, such as for metrics or a display: from now on, delivering nothing.
        """
        self._entered()
        return AsyncEvents(self._bus, observe=observe)

    def acknowledge(self, what: Acknowledged | Iterable[Acknowledged]) -> None:
        """Says that outcomes are stored, so that their pods may be deleted or marked as reported.

        What is not tracked (any more), and events of other kinds than ``finished``, are left out; again is harmless.

        Args:
            what: A ``finished`` event, a pod's handle, or a key; or many of them.

        Raises:
            UsageError: A pod has no outcome yet.
            RunnerClosedError: The runner was never open.
        """
        engine = self._entered()
        many = (what,) if isinstance(what, RunnerEvent | AsyncPod | WorkloadKey) else what
        engine.closing.acknowledge([found for each in many for found in self._tracked(each)])

    def _tracked(self, one: Acknowledged) -> list[TrackedPod]:
        if isinstance(one, AsyncPod):
            return [tracked_of(one)]
        pods = self._entered().pods
        if isinstance(one, RunnerEvent):
            found = pods.get(one.uid) if one.kind is EventKind.FINISHED else None
            return [] if found is None else [found]
        if not isinstance(one, WorkloadKey):
            raise UsageError(f"acknowledge takes events, pods and keys, not {one!r}"[:200])
        return pods.of_key(one)

    def poll_events(self, max_events: int | None = None) -> list[RunnerEvent[AsyncPod]]:
        """Takes the events that wait, without waiting for any: what a scheduler's heartbeat drains.

        Asking again takes the outcomes of the last batch (``outcome_delivery``).

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
        return self._entered().health()

    async def wait_synced(self) -> None:
        """Returns when every watch has taken in a complete list: from then on nothing is missed.

        Raises:
            ForbiddenError: The server refuses to list or watch pods, and never allowed it: a right is missing.
            RunnerClosedError: The runner was never open, or was closed before that.
        """
        for reflector in self._entered().reflectors:
            await reflector.wait_synced()

    async def wait_all(self, timeout_s: float | None = None) -> None:
        """Waits until nothing is queued, every run is over and every pod is done: outcome, log, deleted or kept.

        Args:
            timeout_s: Seconds to wait at most; None: as long as it takes.

        Raises:
            TimeoutError: The time is over; the pods go on.
            RunnerClosedError: The runner was never open.
        """
        engine = self._entered()
        with anyio.fail_after(timeout_s):
            await engine.closing.idle()

    def _entered(self) -> Engine:
        if self._engine is None:
            raise RunnerClosedError("the runner is not open; use it as a context manager")
        return self._engine

    def _handle(self, tracked: TrackedPod) -> AsyncPod:
        return AsyncPod(tracked, self._entered().context)

    def _run_handle(self, run: TrackedRun) -> AsyncRun:
        engine = self._entered()
        return AsyncRun(run, engine.runs, engine.context)


def run_window(
    runner: AsyncPodRunner,
    *,
    retry: RetryPolicy | None,
    priority: int,
    group: str,
    concurrency: int | None,
) -> RunWindow:
    """Returns what :meth:`AsyncPodRunner.map` has under way."""
    size = window_size(runner._config, concurrency)  # noqa: SLF001  # the runner's own room
    run = partial(runner.run, retry=retry, priority=priority, group=group)
    return RunWindow(run, runner._entered().queue, size=size)  # noqa: SLF001


def _default_config() -> RunnerConfig:
    from podrunner.config import RunnerConfig

    return RunnerConfig()


def carry_handles(runner: AsyncPodRunner, make: Callable[[AsyncPod], object]) -> None:
    """Lets the events of a runner that is not open yet carry handles of another face."""
    runner._event_handle = make  # noqa: SLF001  # the runner's own room


# What the blocking face reads in the thread of its caller


def has_events(runner: AsyncPodRunner) -> bool:
    """Returns whether ``poll_events`` of a runner that was opened would do anything."""
    return runner._bus.queue.has_news  # noqa: SLF001  # the runner's own room


def health_at(runner: AsyncPodRunner, now_s: float) -> RunnerHealth:
    """Returns ``health`` of a runner that was opened, by the time of its event loop."""
    return runner._entered().health(now_s)  # noqa: SLF001  # the runner's own room
