"""The blocking runner and its events. Signatures and bridge calls, nothing else."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, cast

from podrunner.blocking.bridge import Bridge
from podrunner.blocking.iteration import Completions, Outcomes, async_handle_of
from podrunner.blocking.pod import Pod, async_pod_of
from podrunner.blocking.run import Run, async_run_of
from podrunner.runner import (
    AsyncPodRunner,
    ClosePolicy,
    LaunchBatch,
    RunnerEvent,
    carry_handles,
    has_events,
    health_at,
    put_back,
    run_window,
)
from podrunner.workload import WorkloadKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from random import Random
    from types import TracebackType

    from rich.table import Table

    from podrunner.builder import PodHook
    from podrunner.config import RunnerConfig
    from podrunner.outcome import Outcome
    from podrunner.runner import (
        AsyncCompletions,
        AsyncEvents,
        AsyncPod,
        Group,
        LogSinks,
        Priority,
        RetryPolicy,
        RunnerHealth,
        RunnerHooks,
    )
    from podrunner.workload import Workload

__all__ = ["Events", "PodRunner", "runner_behind"]

Acknowledged: TypeAlias = RunnerEvent | Pod | WorkloadKey
"""By what an outcome is acknowledged."""
H = TypeVar("H", bound=Pod | Run)
"""The handle of a pod or run."""


class Events:
    """A runner's events from the moment of entering: ``with runner.events() as events``.

    Iterate over it, or take batches. Each reader has a queue of its own, which begins with the outcomes that are not
    delivered. Coming back for more takes the outcomes of the last batch, and so does leaving without an exception.
    """

    def __init__(self, events: AsyncEvents, bridge: Bridge) -> None:
        self._events = events
        self._bridge = bridge
        # What came over in one batch and was not yet given: leaving a loop early loses nothing.
        self._over: deque[RunnerEvent[Pod]] = deque()

    def __enter__(self) -> Self:
        self._bridge.call(self._events.__aenter__)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._over:
            self._bridge.run_if_open(partial(put_back, self._events, list(self._over)))
        self._bridge.call(self._events.__aexit__, exc_type, exc, traceback)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> RunnerEvent[Pod]:
        if not self._over:
            self._over.extend(self.next_batch())
        if not self._over:
            raise StopIteration
        return self._over.popleft()

    def next_batch(self, max_events: int | None = None) -> list[RunnerEvent[Pod]]:
        """Waits for events and takes those that are there.

        Args:
            max_events: How many at most; None: all.

        Returns:
            At least one event; an empty list once the runner is closed and everything was taken.
        """
        return self._left(max_events) or _ours(self._bridge.call(self._events.next_batch, max_events))

    def poll(self, max_events: int | None = None) -> list[RunnerEvent[Pod]]:
        """Takes the events that are there, without waiting.

        Args:
            max_events: How many at most; None: all.
        """
        return self._left(max_events) or _ours(self._bridge.run(self._events.poll, max_events))

    def _left(self, max_events: int | None) -> list[RunnerEvent[Pod]]:
        count = len(self._over) if max_events is None else min(max_events, len(self._over))
        return [self._over.popleft() for _ in range(count)]


class PodRunner:
    """Launches pods and reports exactly one outcome for each. For code without an event loop.

    Use it as a context manager: ``with PodRunner(config) as runner``. Leaving it closes it by the policy
    ``on_exit``; leaving it by an exception cancels what still runs.

    Args:
        config: The configuration; None: ``RunnerConfig()``.
        client: An embedder's own ``podrunner.kube.KubeClient`` or kubernetes-asyncio ``ApiClient``, which stays open;
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
        self._runner = AsyncPodRunner(
            config,
            client=client,
            on_exit=on_exit,
            log_sinks=log_sinks,
            pod_hook=pod_hook,
            random=random,
            hooks=hooks,
        )
        self._bridge = Bridge()
        carry_handles(self._runner, lambda pod: Pod(pod, self._bridge))

    def _repr_html_(self) -> str:
        return self._runner._repr_html_()  # the same of the other face

    def __rich__(self) -> Table:
        return self._runner.__rich__()

    def __enter__(self) -> Self:
        self._bridge.enter(self._runner)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bridge.exit(exc)

    def close(self, policy: ClosePolicy | str = ClosePolicy.DRAIN) -> None:
        """Launches nothing more and ends the pods by a policy.

        Leaving the context does it; a second call does nothing.

        Args:
            policy: What becomes of the pods. If waiting is interrupted (cancelled, Ctrl-C), the rest is cancelled; the
                interruption is raised when that is done.

        Raises:
            CloseTimeoutError: Pods did not end in the time for it.
        """
        self._bridge.call(self._runner.close, policy)

    def launch(self, workload: Workload) -> Pod:
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
        return Pod(self._bridge.call(self._runner.launch, workload), self._bridge)

    def launch_many(
        self, workloads: Iterable[Workload], *, concurrency: int | None = None
    ) -> LaunchBatch[Pod]:
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
        batch = self._bridge.call(self._runner.launch_many, workloads, concurrency=concurrency)
        return LaunchBatch([Pod(pod, self._bridge) for pod in batch], batch.errors)

    def submit(self, workload: Workload, *, priority: int = 0, group: str = "") -> Pod:
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
        return Pod(
            self._bridge.run(self._runner.submit, workload, priority=priority, group=group), self._bridge
        )

    def submit_many(
        self, workloads: Iterable[Workload], *, priority: Priority = 0, group: Group = ""
    ) -> LaunchBatch[Pod]:
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
        batch = self._bridge.call(self._runner.submit_many, list(workloads), priority=priority, group=group)
        return LaunchBatch([Pod(pod, self._bridge) for pod in batch], batch.errors)

    def submit_when_room(
        self, workload: Workload, *, priority: int = 0, group: str = "", timeout_s: float | None = None
    ) -> Pod:
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
        pod = self._bridge.call(
            self._runner.submit_when_room, workload, priority=priority, group=group, timeout_s=timeout_s
        )
        return Pod(pod, self._bridge)

    def run(
        self, workload: Workload, *, retry: RetryPolicy | None = None, priority: int = 0, group: str = ""
    ) -> Run:
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
        run = self._bridge.run(self._runner.run, workload, retry=retry, priority=priority, group=group)
        return Run(run, self._bridge)

    def run_many(
        self,
        workloads: Iterable[Workload],
        *,
        retry: RetryPolicy | None = None,
        priority: Priority = 0,
        group: Group = "",
    ) -> LaunchBatch[Run]:
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
        batch = self._bridge.call(
            self._runner.run_many, list(workloads), retry=retry, priority=priority, group=group
        )
        return LaunchBatch([Run(run, self._bridge) for run in batch], batch.errors)

    def cancel_many(
        self, pods: Iterable[Pod | Run], *, grace_period_s: int | None = None, wait: bool = True
    ) -> None:
        """Ends many pods or runs at once, as ``cancel`` of each handle does.

        Args:
            pods: Handles of pods or runs.
            grace_period_s: Seconds that their processes have to end; None: the configuration's, or the pod's own.
            wait: Whether to return when the API server has accepted all; False: at once, while the runner goes on.

        Raises:
            ExceptionGroup: Of the errors of those that are another runner's; all others are cancelled.
        """
        listed = [async_run_of(one) if isinstance(one, Run) else async_pod_of(one) for one in pods]
        self._bridge.call(self._runner.cancel_many, listed, grace_period_s=grace_period_s, wait=wait)

    def as_completed(self, pods: Iterable[H], *, timeout_s: float | None = None) -> Iterator[H]:
        """The pods, each as soon as it is over: ``for pod in runner.as_completed(pods)``.

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
        handles = {async_handle_of(pod): pod for pod in pods}
        make = partial(self._runner.as_completed, handles, timeout_s=timeout_s)
        completions = cast("AsyncCompletions[Any]", self._bridge.run_if_open(make))
        return Completions(completions, handles, self._bridge)

    def map(
        self,
        workloads: Iterable[Workload],
        *,
        retry: RetryPolicy | None = None,
        priority: int = 0,
        group: str = "",
        concurrency: int | None = None,
    ) -> Iterator[Outcome]:
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
        window = self._bridge.run(
            run_window, self._runner, retry=retry, priority=priority, group=group, concurrency=concurrency
        )
        return Outcomes(workloads, window, self._bridge)

    def adopt(
        self,
        *,
        owners: Iterable[str] | Callable[[str], bool] = (),
        which: Callable[[WorkloadKey], bool] | None = None,
    ) -> list[Pod]:
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
        adopted = self._bridge.call(self._runner.adopt, owners=owners, which=which)
        return [Pod(pod, self._bridge) for pod in adopted]

    @property
    def owner(self) -> str:
        """This runner's name, stamped on its pods."""
        return self._runner.owner

    @property
    def kubeconfig(self) -> Path | None:
        """A kubeconfig of this runner's cluster, such as for ``kubectl --kubeconfig``; also that of a LocalCluster.

        None: the cluster is reached in another way, or by several files that are merged.

        Raises:
            RunnerClosedError: The runner was never open.
        """
        return self._runner.kubeconfig

    def pods(self) -> list[Pod]:
        """The pods that are tracked: all that exist, and ended ones until they are deleted.

        Raises:
            RunnerClosedError: The runner was never open.
        """
        return [Pod(pod, self._bridge) for pod in self._bridge.run(self._runner.pods)]

    def pod(self, which: WorkloadKey | str) -> Pod:
        """The handle of a pod that is tracked: submitted, launched or adopted here, and not done with.

        Args:
            which: Its key, or its UID. Of a key, the pod that was submitted, launched or adopted last.

        Raises:
            UnknownPodError: No such pod is tracked (any more).
            RunnerClosedError: The runner was never open.
        """
        return Pod(self._bridge.run(self._runner.pod, which), self._bridge)

    def events(self, *, observe: bool = False) -> Events:
        """The outcomes that are not delivered, then everything that happens: ``with runner.events() as events``.

        Coming back for more takes the outcomes of the last batch (``outcome_delivery``), and so does leaving without an
        exception.

        Args:
            observe: Only look on, such as for metrics or a display: from now on, delivering nothing.
        """
        return Events(self._bridge.run(self._runner.events, observe=observe), self._bridge)

    def acknowledge(self, what: Acknowledged | Iterable[Acknowledged]) -> None:
        """Says that outcomes are stored, so that their pods may be deleted or marked as reported.

        What is not tracked (any more), and events of other kinds than ``finished``, are left out; again is harmless.

        Args:
            what: A ``finished`` event, a pod's handle, or a key; or many of them.

        Raises:
            UsageError: A pod has no outcome yet.
            RunnerClosedError: The runner was never open.
        """
        many = (what,) if isinstance(what, RunnerEvent | Pod | WorkloadKey) else what
        listed = [async_pod_of(one) if isinstance(one, Pod) else one for one in many]
        self._bridge.run(self._runner.acknowledge, listed)

    def poll_events(self, max_events: int | None = None) -> list[RunnerEvent[Pod]]:
        """Takes the events that wait, without waiting for any: what a scheduler's heartbeat drains.

        Asking again takes the outcomes of the last batch (``outcome_delivery``).

        Args:
            max_events: How many at most; None: all.

        Raises:
            RunnerClosedError: The runner was never open.
        """
        needed = partial(has_events, self._runner)
        return _ours(self._bridge.run_if(needed, self._runner.poll_events, max_events))

    def health(self) -> RunnerHealth:
        """How well the runner is.

        Raises:
            RunnerClosedError: The runner was never open.
        """
        return self._bridge.look(partial(health_at, self._runner), call="health")

    def wait_synced(self) -> None:
        """Returns when every watch has taken in a complete list: from then on nothing is missed.

        Raises:
            ForbiddenError: The server refuses to list or watch pods, and never allowed it: a right is missing.
            RunnerClosedError: The runner was never open, or was closed before that.
        """
        self._bridge.call(self._runner.wait_synced)

    def wait_all(self, timeout_s: float | None = None) -> None:
        """Waits until nothing is queued, every run is over and every pod is done: outcome, log, deleted or kept.

        Args:
            timeout_s: Seconds to wait at most; None: as long as it takes.

        Raises:
            TimeoutError: The time is over; the pods go on.
            RunnerClosedError: The runner was never open.
        """
        self._bridge.call(self._runner.wait_all, timeout_s)


def _ours(events: list[RunnerEvent[AsyncPod]]) -> list[RunnerEvent[Pod]]:
    """Says what the runner's events carry here: blocking handles (:func:`carry_handles`)."""
    return cast("list[RunnerEvent[Pod]]", events)


def runner_behind(runner: PodRunner) -> tuple[AsyncPodRunner, Bridge]:
    """Returns the asynchronous runner behind a blocking one, and the way to its event loop."""
    return runner._runner, runner._bridge  # noqa: SLF001  # the runner's own room
