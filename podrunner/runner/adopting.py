"""Taking in pods that this runner does not track: those of runners that are gone, and those of cancelled launches.

Which pods may be taken over is decided in ``podrunner.ownership``; what follows for a pod, by the supervisor.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from podrunner.builder import read_ownership
from podrunner.runner.states import Rules
from podrunner.runner.tracked import TrackedPod

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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

    async def adopt(self, owners: Iterable[str] = ()) -> list[TrackedPod]:
        """Takes over what is left of runners of the same scope that are gone.

        Args:
            owners: Runners that are gone by the embedder's verdict. Their Leases are revoked first: one that is alive
                after all acts no more when its pods are taken.

        Raises:
            ApiError: Pods or Leases cannot be read, or a Lease cannot be revoked.
            OwnershipError: This runner lost its Lease, or one of the owners is of another scope.
            RunnerClosedError: The runner is not open.
        """
        self._fence.check_open("adopt")
        dead = [owner for owner in dict.fromkeys(owners) if owner != self._owner]
        for owner in dead:
            await self._revoker.revoke(owner)
        adopted = []
        found = self._adopter.adopt(
            self._namespaces, known=self._knows, on_retained=self._runs.note_retained, owners=dead
        )
        async with aclosing(found) as won:
            async for pod, ownership in won:
                self._fence.check_owner()
                tracked = self._supervisor.adopt(self._as_tracked(pod, ownership), pod)
                self._queue.adopted(tracked)
                self._runs.note_adopted(tracked)
                adopted.append(tracked)
        return adopted

    def _knows(self, pod: Pod) -> bool:
        """Whether a pod is tracked, or being created: then its creation is the one that tracks it."""
        meta = pod.metadata
        return self._pods.get(meta.uid) is not None or self._launcher.is_launching(meta.namespace, meta.name)

    def take_begun(self, pod: Pod) -> None:
        """Takes in the pod of a launch that was cancelled, though it has started."""
        ownership = read_ownership(pod.metadata.labels, pod.metadata.annotations)
        assert ownership is not None, "it was created by this runner"
        self._supervisor.take_begun(self._as_tracked(pod, ownership), pod)

    def _as_tracked(self, pod: Pod, ownership: OwnershipMetadata) -> TrackedPod:
        containers = pod.spec.containers
        main = ownership.main_container or (containers[0].name if containers else "base")
        meta = pod.metadata
        rules = Rules(main, self._config)
        return TrackedPod(ownership.key, meta.namespace, meta.name, rules=rules, log_path=ownership.log_path)
