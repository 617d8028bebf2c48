"""The engine: what exists while a runner is open. Wires the layers together, owns the tasks, and ends the pods.

Each decision lives in a layer below: what a pod looks like in the builder, creating it in the launcher, what
happened to it in the watch and ``podrunner.outcome``, its log in ``podrunner.logs``, whose it is in
``podrunner.ownership``. What users call is :mod:`podrunner.runner.core`.
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import anyio

from podrunner.builder import PodBuilder, safe_label
from podrunner.builder.labels import KEY, OWNER
from podrunner.config.failure_policy import conditions_of
from podrunner.kube import RequestRetry, retrying
from podrunner.launcher import Launcher
from podrunner.ownership import Adopter, LeaseKeeper, RetainedPods, ScopeReader
from podrunner.runner.access import open_client
from podrunner.runner.background import Background
from podrunner.runner.desk import Desk
from podrunner.runner.health import RunnerHealth, combine
from podrunner.runner.runs import Runs
from podrunner.runner.staleness import tell_staleness
from podrunner.runner.supervision import Supervisor
from podrunner.runner.tracked import TrackedPod
from podrunner.runner.upkeep import Upkeep
from podrunner.watch import Reflector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AsyncExitStack
    from random import Random

    from podrunner.builder import OwnershipMetadata, PodHook
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.logs import SinkFactory
    from podrunner.outcome.record import Pod
    from podrunner.runner.events import EventBus
    from podrunner.watch import WatchHealth

__all__ = ["ClosePolicy", "Engine", "Equipment", "open_engine"]

_logger = logging.getLogger(__name__)

# After a cancel: a pod's default grace period, as much again for the node to say so, and what the log may
# take.
_CLOSE_WITHIN_S: Final = 90.0
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
class Equipment:
    """What a runner brings, whether it is open or not.

    Attributes:
        owner: The runner's name, stamped on its pods.
        bus: Takes all events.
        random: Source of jitter.
        pod_hook: An embedder's last word on each pod; None: none.
        extra_sinks: An embedder's own sinks for a pod; None: none.
    """

    owner: str
    bus: EventBus
    random: Random
    pod_hook: PodHook | None
    extra_sinks: Callable[[TrackedPod], Sequence[SinkFactory]] | None


async def open_engine(
    stack: AsyncExitStack, config: RunnerConfig, given_client: Any, *, equipment: Equipment
) -> Engine:
    """Reaches the cluster, takes the Lease and starts all tasks.

    Args:
        stack: Closes all of it, in the right order.
        config: The configuration.
        given_client: An embedder's own client, which stays open; None: as configured.
        equipment: What the runner brings.

    Raises:
        PodrunnerError: The cluster cannot be reached, or it refuses the Lease.
    """
    client = await stack.enter_async_context(open_client(config, given_client))
    lease = LeaseKeeper(
        client,
        config.namespace,
        owner=equipment.owner,
        scope=config.scope,
        duration_s=config.lease_duration_s,
    )
    await retrying(lease.acquire, policy=RequestRetry.of(config.retry), name=f"take lease {lease.name}")
    stack.push_async_callback(_shielded, lease.release)
    background = Background(await stack.enter_async_context(anyio.create_task_group()))
    stack.callback(background.cancel)
    engine = Engine(client, lease, config=config, equipment=equipment, background=background)
    engine.start()
    return engine


class Engine:
    """The layers of one open runner, and its tasks.

    Attributes:
        client: The API server.
        desk: Takes orders.
        runs: All runs.
        supervisor: All pods.
        background: All tasks.
        reflectors: One per watch.
    """

    def __init__(
        self,
        client: KubeClient,
        lease: LeaseKeeper,
        *,
        config: RunnerConfig,
        equipment: Equipment,
        background: Background,
    ) -> None:
        self._config = config
        self._owner = owner = equipment.owner
        self._lease = lease
        self._bus = equipment.bus
        self._random = random = equipment.random
        self._launcher = Launcher(
            client, owner=owner, scope=config.scope, config=config, random=random, may_act=lease.is_held
        )
        self.client: KubeClient = client
        self.background: Background = background
        self.supervisor: Supervisor = Supervisor(
            client,
            self._launcher,
            config=config,
            bus=self._bus,
            group=background,
            random=random,
            may_act=lease.is_held,
            extra_sinks=equipment.extra_sinks,
        )
        self.desk: Desk = Desk(
            client,
            self._launcher,
            builder=PodBuilder(config, owner=owner, pod_hook=equipment.pod_hook),
            supervisor=self.supervisor,
            config=config,
            group=background,
            random=random,
            watches=self._watches,
        )
        self.runs: Runs = Runs(self.desk, group=background, random=random)
        self.reflectors: list[Reflector] = [self._reflector(namespace) for namespace in self._watched]

    # Tasks

    def start(self) -> None:
        """Starts all tasks."""
        self._lease.guard(self._fence)
        for namespace, reflector in zip(self._watched, self.reflectors, strict=True):
            self.background.start_soon(reflector.run, name=f"watch {namespace or 'all namespaces'}")
        self.background.start_soon(self.supervisor.lookout.patrol, name="patrol")
        self.background.start_soon(
            tell_staleness, self._watches, self.supervisor.report_staleness, name="staleness"
        )
        self.background.start_soon(self._lease.keep, name="lease")
        retained = RetainedPods(
            self._scope_reader(),
            self._launcher.delete,
            owner=self._owner,
            is_settled=self.supervisor.is_settled,
        )
        upkeep = Upkeep(self._config, self._watched, adopt=self.adopt, retained=retained, random=self._random)
        upkeep.start(self.background)

    @property
    def _watched(self) -> tuple[str | None, ...]:
        return (None,) if self._config.all_namespaces else self._config.watched_namespaces

    def _watches(self) -> list[WatchHealth]:
        return [reflector.health() for reflector in self.reflectors]

    def _reflector(self, namespace: str | None) -> Reflector:
        return Reflector(
            self.client,
            namespace=namespace,
            label_selector=f"{OWNER}={safe_label(self._owner)}",
            settings=self._config.watch,
            random=self._random,
            sink=self.supervisor.observe,
            accept=self._is_ours,
            conditions=conditions_of(self._config.failure_policy),
        )

    def _is_ours(self, pod: Pod) -> bool:
        # Asked of every event: the whole stamp is read only where it is needed.
        annotations = pod.metadata.annotations or {}
        return annotations.get(OWNER) == self._owner and KEY in annotations

    def _scope_reader(self) -> ScopeReader:
        config = self._config
        return ScopeReader(
            self.client,
            scope=config.scope,
            lease_namespace=config.namespace,
            policy=RequestRetry.of(config.retry),
            page_size=config.watch.page_size,
        )

    def _fence(self, why: str) -> None:
        _logger.error("runner %s lost its lease and acts no more: %s", self._owner, why)
        self.runs.stop(leave=True)
        self.desk.fence(why)

    # What earlier runners left

    async def adopt(self) -> list[TrackedPod]:
        """Takes over what is left of runners of the same scope that are gone.

        Raises:
            ApiError: Pods or leases cannot be read.
            RunnerClosedError: The runner is not open.
        """
        self.desk.check_open()
        adopted = []
        adopter = Adopter(self.client, self._scope_reader(), owner=self._owner)
        found = adopter.adopt(self._watched, known=self.desk.knows, on_retained=self.runs.note_kept)
        async with aclosing(found) as won:
            async for pod, stamp in won:
                tracked = self.desk.adopt(_adopted(pod, stamp), pod)
                self.runs.note_adopted(tracked)
                adopted.append(tracked)
        return adopted

    # Looking

    def health(self) -> RunnerHealth:
        """How well the runner is."""
        supervisor = self.supervisor
        fields: dict[str, Any] = combine(
            self._watches(),
            pods=len(list(supervisor.pods)),
            active=supervisor.active,
            submitted=self.desk.queued,
            runs=self.runs.active,
            events_waiting=len(self._bus.queue),
            events_coalesced=self._bus.queue.coalesced,
            log_troubles=supervisor.log_troubles,
            logs_waiting=supervisor.log_limiter.waiting,
            deletes_failing=supervisor.deletions.failing,
        )
        return RunnerHealth(lease=self.desk.fenced_because or "held", **fields)

    async def idle(self) -> None:
        """Returns when nothing is queued, every run is over and every pod is done."""
        await self.runs.idle()
        await self.desk.idle()
        await self.supervisor.idle()

    # Closing

    async def close(self, policy: ClosePolicy) -> None:
        """Stops taking orders and ends the pods by a policy. A second call does nothing.

        If waiting is interrupted (cancelled, Ctrl-C), the rest is cancelled.
        """
        if self.desk.is_closed:
            return
        self.desk.close("the runner is closed")
        self.supervisor.close()
        try:
            await self._close_by(policy)
        except BaseException:
            if policy is not ClosePolicy.DETACH:
                with anyio.CancelScope(shield=True):
                    await self._close_by(ClosePolicy.CANCEL)
            raise
        finally:
            self.desk.leave_alone()
            self._bus.close()

    async def _close_by(self, policy: ClosePolicy) -> None:
        if policy is ClosePolicy.DETACH or self.background.is_cancelled:
            self.runs.stop(leave=True)
            self.supervisor.deletions.freeze()
        elif policy is ClosePolicy.DRAIN:
            await self.idle()
            with anyio.move_on_after(_GONE_WITHIN_S):
                await self.supervisor.deletions.over()
        else:
            self.runs.stop(leave=False)
            await self._cancel_all()

    async def _cancel_all(self) -> None:
        desk, supervisor = self.desk, self.supervisor
        with anyio.move_on_after(_CLOSE_WITHIN_S, shield=True) as scope:
            await desk.cancel_all()
            await desk.idle()
            await desk.cancel_all()
            await supervisor.idle()
            await supervisor.deletions.over()
        if scope.cancelled_caught:
            _logger.error("%d pods did not end in %.0f s", supervisor.active, _CLOSE_WITHIN_S)


def _adopted(pod: Pod, stamp: OwnershipMetadata) -> TrackedPod:
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
