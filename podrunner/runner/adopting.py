"""Taking in pods that this runner does not track: those of runners that are gone, and those of cancelled launches.

Which pods may be taken over is decided in ``podrunner.ownership``; what follows for a pod, by the supervisor.
"""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from podrunner.builder import read_ownership
from podrunner.runner.states import Rules
from podrunner.runner.tracked import TrackedPod

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

    from podrunner.builder import OwnershipMetadata
    from podrunner.config import RunnerConfig
    from podrunner.launcher import Launcher
    from podrunner.outcome.record import Pod
    from podrunner.ownership import Adopter, LeaseRevoker
    from podrunner.runner.context import Fence
    from podrunner.runner.runs import Runs
    from podrunner.runner.submission import SubmissionQueue
    from podrunner.runner.supervisor import Supervisor
    from podrunner.runner.tracked import TrackedPods
    from podrunner.workload import WorkloadKey

__all__ = ["PodAdoption"]


class PodAdoption:
    """Takes pods in.

    Args:
        pods: All pods.
        adopter: Makes pods this runner's.
        revoker: Revokes Leases of runners that count as gone by the embedder's verdict.
        owner: This runner.
        namespaces: Where to look; None among them: everywhere.
        config: The rules of what is taken in.
        launcher: Knows which pods are being created.
        supervisor: Tracks what was taken in.
        queue: A launch of the pod's attempt waits no more.
        runs: A run goes on with the pod.
        fence: Whether the runner may act.
    """

    def __init__(  # noqa: PLR0913  # the engine wires it
        self,
        pods: TrackedPods,
        adopter: Adopter,
        revoker: LeaseRevoker,
        *,
        owner: str,
        namespaces: Sequence[str | None],
        config: RunnerConfig,
        launcher: Launcher,
        supervisor: Supervisor,
        queue: SubmissionQueue,
        runs: Runs,
        fence: Fence,
    ) -> None:
        self._pods = pods
        self._adopter = adopter
        self._revoker = revoker
        self._owner = owner
        self._namespaces = namespaces
        self._config = config
        self._launcher = launcher
        self._supervisor = supervisor
        self._queue = queue
        self._runs = runs
        self._fence = fence
        self._not_returned: list[TrackedPod] = []  # of calls that failed

    async def adopt(
        self,
        owners: Iterable[str] | Callable[[str], bool] = (),
        *,
        which: Callable[[WorkloadKey], bool] | None = None,
    ) -> list[TrackedPod]:
        """Takes over what is left of runners of the same scope that are gone.

        Pods that a call had won before it failed are this runner's, and are returned by the next call that does not.

        Args:
            owners: Runners that are gone by the embedder's verdict, or a function that decides of each alone. Their
                Leases are revoked first: one that is alive after all acts no more when its pods are taken.
            which: Whether to take the pod of a key; None: all.

        Raises:
            ApiError: Pods or Leases cannot be read, or a Lease cannot be revoked.
            OwnershipError: This runner lost its Lease, or one of the owners is of another scope.
            RunnerClosedError: The runner is not open.
        """
        self._fence.check_open("adopt")
        verdict = partial(self._is_gone_by, owners) if callable(owners) else None
        dead = () if callable(owners) else await self._revoked(owners)
        won: list[TrackedPod] = []
        found = self._adopter.adopt(
            self._namespaces,
            known=self._knows,
            on_retained=self._runs.note_retained,
            owners=dead,
            is_gone=verdict,
            which=which,
        )
        try:
            await self._take_all(found, won)
        except BaseException:
            self._not_returned += won
            raise
        earlier, self._not_returned = self._not_returned, []
        return [*earlier, *won]

    async def _take_all(
        self, found: AsyncGenerator[tuple[Pod, OwnershipMetadata], None], won: list[TrackedPod]
    ) -> None:
        async with aclosing(found) as pods:
            async for pod, ownership in pods:
                self._fence.check_owner()
                tracked = self._supervisor.adopt(self._as_tracked(pod, ownership), pod)
                self._queue.adopted(tracked)
                self._runs.note_adopted(tracked)
                won.append(tracked)

    async def _revoked(self, owners: Iterable[str]) -> list[str]:
        dead = [owner for owner in dict.fromkeys(owners) if owner != self._owner]
        for owner in dead:
            await self._revoker.revoke(owner)
        return dead

    async def _is_gone_by(self, verdict: Callable[[str], bool], owner: str) -> bool:
        if not verdict(owner):
            return False
        await self._revoker.revoke(owner)
        return True

    def _knows(self, pod: Pod) -> bool:
        """Whether a pod is tracked, or being created: then its creation is the one that tracks it."""
        meta = pod.metadata
        return self._pods.get(meta.uid) is not None or self._launcher.is_launching(meta.namespace, meta.name)

    def take_begun(self, pod: Pod) -> None:
        """Takes in the pod of a launch that was cancelled, though it has started."""
        ownership = read_ownership(pod.metadata.labels, pod.metadata.annotations)
        assert ownership is not None, "it was created by this runner"
        tracked = self._supervisor.take_begun(self._as_tracked(pod, ownership), pod)
        self._queue.adopted(tracked)

    def _as_tracked(self, pod: Pod, ownership: OwnershipMetadata) -> TrackedPod:
        containers = pod.spec.containers
        main = ownership.main_container or (containers[0].name if containers else "base")
        meta = pod.metadata
        rules = Rules(main, self._config)
        return TrackedPod(ownership.key, meta.namespace, meta.name, rules=rules, log_path=ownership.log_path)
