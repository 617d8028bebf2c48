"""The engine: what exists while a runner is open. Wires the rooms together and owns the tasks.

It is opened in :mod:`podrunner.runner.opening` and closed in :mod:`podrunner.runner.closing`. Each decision lives
elsewhere: what a pod looks like in the builder, creating it in the launcher, what happened to it in the watch and
``podrunner.outcome``, what follows in :mod:`podrunner.runner.lifecycle`, its log in ``podrunner.logs``, which runner
owns it in ``podrunner.ownership``. What users call is :mod:`podrunner.runner.runner`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from podrunner.builder import PodBuilder, safe_label
from podrunner.builder.labels import KEY, OWNER
from podrunner.config.failure_policy import conditions_of
from podrunner.kube import RequestRetry
from podrunner.launcher import Launcher
from podrunner.ownership import (
    Adopter,
    ExistingPods,
    LeaseRevoker,
    Leftovers,
    OldLease,
    Owners,
    RetainedPods,
    ScopeReader,
    release_finalizer,
)
from podrunner.runner.adopting import PodAdoption
from podrunner.runner.closing import RunnerClose
from podrunner.runner.context import Fence, RunnerContext
from podrunner.runner.delivery import Deliveries
from podrunner.runner.earlier import EarlierPods
from podrunner.runner.finalize import Finalizer, PodDeleter
from podrunner.runner.handles import AsyncPod
from podrunner.runner.health import RunnerHealth, combine
from podrunner.runner.left_logs import LeftCursors
from podrunner.runner.log_collection import LogCollection
from podrunner.runner.many import BulkSubmission
from podrunner.runner.periodic import PeriodicTasks
from podrunner.runner.runs import Runs
from podrunner.runner.submission import SubmissionQueue
from podrunner.runner.supervisor import Supervisor
from podrunner.runner.tracked import TrackedPods
from podrunner.watch import Reflector

if TYPE_CHECKING:
    from pathlib import Path

    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.outcome.record import Pod
    from podrunner.ownership import LeaseKeeper
    from podrunner.runner.resources import RunnerResources
    from podrunner.runner.tasks import SupervisedTasks
    from podrunner.runner.tracked import TrackedPod
    from podrunner.watch import WatchHealth

__all__ = ["Engine", "watched_by"]

_logger = logging.getLogger(__name__)


class Engine:
    """The rooms of one open runner, and its tasks.

    Attributes:
        pods: All pods.
        queue: Launches them.
        runs: All runs.
        bulk: Submits many workloads in one step.
        context: What handles ask.
        adoption: Takes over pods of runners that are gone.
        closing: Ends the pods by a policy.
        tasks: All tasks.
        kubeconfig: How other programs reach the cluster; None: there is no single kubeconfig.
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
        kubeconfig: Path | None = None,
    ) -> None:
        self.kubeconfig: Path | None = kubeconfig
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
            on_retry=None if self._bus.hooks is None else self._bus.hooks.retried,
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
            lease=lambda: lease.uid,
        )
        self._finalizer = Finalizer(client, config, limiter=self._logs.limiter, fence=self._fence)
        self._deleter = PodDeleter(client, self._launcher, config, fence=self._fence)
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
        self._bus.hand_out(lambda tracked: resources.event_handle(AsyncPod(tracked, self.context)))
        self.runs: Runs = Runs(self.queue, self.context, tasks=tasks, random=random, hooks=self._bus.hooks)
        self.bulk: BulkSubmission = BulkSubmission(self.queue, self.runs)
        self.adoption: PodAdoption = self._make_adoption()
        self.closing: RunnerClose = self._make_closing()
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
            fence=self._fence,
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

    def _make_adoption(self) -> PodAdoption:
        reader = self._scope_reader()
        return PodAdoption(
            self.pods,
            self._adopter(reader),
            LeaseRevoker(self._client, reader, before_send=self._fence.check_owner),
            owner=self._owner,
            namespaces=self._watched,
            config=self._config,
            launcher=self._launcher,
            supervisor=self._supervisor,
            queue=self.queue,
            runs=self.runs,
            fence=self._fence,
        )

    def _make_closing(self) -> RunnerClose:
        return RunnerClose(
            self.pods,
            self.queue,
            self.runs,
            context=self.context,
            supervisor=self._supervisor,
            finalizer=self._finalizer,
            deleter=self._deleter,
            deliveries=self._deliveries,
            bus=self._bus,
            fence=self._fence,
            tasks=self.tasks,
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

    def _take_begun(self, pod: Pod) -> None:
        self.adoption.take_begun(pod)

    def _note_end(self, pod: TrackedPod) -> None:
        self.runs.note_end(pod)

    # Tasks

    def start(self) -> None:
        """Starts all tasks."""
        self._lease.guard(self._lose_lease, leaves_logs=self._leaves_logs)
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
            adopt=self.adoption.adopt,
            retained=retained,
            leftovers=self._leftovers(),
            watches=self._watches,
            report_staleness=self._supervisor.report_staleness,
            note_time=self._lease.pulse,
            random=self._random,
        )

    def _leaves_logs(self) -> bool:
        return any(sink.is_unread for pod in self.pods for sink in pod.files)

    def _leftovers(self) -> Leftovers:
        def knows(uid: str) -> bool:
            return self.pods.get(uid) is not None or self._logs.is_writing(uid)

        lease, watched = self._lease, self._watched
        own = OldLease(self._owner, lease.name, "", None, lease.uid) if lease.is_inherited else None
        return Leftovers(
            self._client,
            self._scope_reader(),
            lease_namespace=self._config.namespace,
            namespaces=self._watched,
            logs=LeftCursors(self._config.logs.folder, namespaces=watched, knows=knows),
            own=own,
            before_send=self._fence.check_owner,
        )

    @property
    def _watched(self) -> tuple[str | None, ...]:
        return watched_by(self._config)

    def _watches(self, now_s: float | None = None) -> list[WatchHealth]:
        return [reflector.health(now_s) for reflector in self.reflectors]

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
            texts_of=self.pods.texts_of,
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

    # Looking

    def health(self, now_s: float | None = None) -> RunnerHealth:
        """Returns how well the runner is. It only reads, and may be called in another thread.

        Args:
            now_s: The event loop's time, where this is called in another thread; None: it is asked for.
        """
        return combine(
            self._watches(now_s),
            # In the order in which pods move on: one that does so meanwhile is counted twice, but never missed.
            submitted=self.queue.queued,
            active=self.pods.active,
            undelivered=self.pods.undelivered,
            pods=len(self.pods),
            runs=self.runs.active,
            events_waiting=len(self._bus.queue),
            events_coalesced=self._bus.queue.coalesced,
            log_troubles=self._logs.troubles,
            logs_waiting=self._logs.limiter.waiting,
            deletes_failing=self._deleter.failing,
            lease=self._fence.lost_because or "held",
            launches_wait_for=self.queue.waits_for,
        )


def watched_by(config: RunnerConfig) -> tuple[str | None, ...]:
    """Returns the namespaces that a runner watches; None: all."""
    return (None,) if config.all_namespaces else config.watched_namespaces
