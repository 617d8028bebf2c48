"""Releasing pods that no runner will ever come back for: their finalizer is removed, nothing else.

A pod with the outcome's finalizer stays until its runner, or one that adopts it, has delivered its outcome. Where no
runner of its scope will ever run again, an operator releases it. A pod counts as abandoned if its owner's Lease is not
held; whether that is certain depends on looking in the right namespace for the Lease.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

from podrunner.builder import read_ownership
from podrunner.builder.labels import MANAGED_BY, MANAGER, OUTCOME_FINALIZER
from podrunner.errors import ConflictError, NotFoundError
from podrunner.kube import retrying
from podrunner.ownership.leases import LeaseState, WallClock, lease_name, lease_state, utc_now
from podrunner.ownership.outcome_records import bears_finalizer
from podrunner.ownership.scope import each_pod

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence

    from podrunner.kube import KubeClient, RequestRetry
    from podrunner.outcome.record import Pod

__all__ = ["HeldPod", "PodReleaser"]

T = TypeVar("T")

_Leases: TypeAlias = dict[tuple[str, str], LeaseState]

_TRIES: Final = 5
"""A kubelet writes the status of a pod that ends a few times; each write makes one compare-and-swap void."""

# The state that says most comes first.
_WEIGHT: Final = (LeaseState.HELD, LeaseState.EXPIRED, LeaseState.RELEASED, LeaseState.ABSENT)


class HeldPod(NamedTuple):
    """A pod that the outcome's finalizer holds.

    Attributes:
        pod: Its record.
        owner: The runner that owns it; None: it does not say.
        lease: The state of that runner's Lease.
    """

    pod: Pod
    owner: str | None
    lease: LeaseState

    @property
    def is_abandoned(self) -> bool:
        """Whether its owner is gone."""
        return self.lease is not LeaseState.HELD


class PodReleaser:
    """Finds pods that the outcome's finalizer holds, in all scopes, and releases them.

    Args:
        client: The API server.
        lease_namespace: Where the owners' Leases live; the pod's own namespace is looked at too.
        policy: How each request is tried again.
        now: The time of day.
    """

    def __init__(
        self, client: KubeClient, *, lease_namespace: str, policy: RequestRetry, now: WallClock = utc_now
    ) -> None:
        self._client = client
        self._lease_namespace = lease_namespace
        self._policy = policy
        self._now = now

    async def held(
        self, namespaces: Sequence[str | None], *, label_selector: str = ""
    ) -> AsyncGenerator[HeldPod, None]:
        """Gives the pods of podrunner that bear the finalizer. To be closed by ``aclosing``.

        Args:
            namespaces: Where to look; None: everywhere.
            label_selector: As ``kubectl get -l``: which of podrunner's pods; "": all.

        Raises:
            ApiError: Pods or a Lease could not be read.
        """
        ours = f"{MANAGED_BY}={MANAGER}"
        selector = f"{ours},{label_selector}" if label_selector else ours
        leases: _Leases = {}
        pods = each_pod(self._client, namespaces, label_selector=selector, policy=self._policy)
        async with aclosing(pods):
            async for pod in pods:
                if bears_finalizer(pod):
                    yield await self._looked_up(pod, leases)

    async def release(
        self,
        pods: Iterable[HeldPod],
        *,
        also_held: bool = False,
        on_released: Callable[[HeldPod], None] = lambda _pod: None,
    ) -> list[HeldPod]:
        """Removes the finalizer from pods whose owner is still gone; returns those that were released.

        Each pod is released as it was read: one that a runner adopts meanwhile keeps its finalizer.

        Args:
            pods: The pods.
            also_held: Whether also pods whose owner is alive are released.
            on_released: Called with each pod when it is released.

        Raises:
            ApiError: A request is refused. What was released before stays released.
            TransportError: The server cannot be reached.
        """
        leases: _Leases = {}
        released = []
        for held in pods:
            if await self._release(held.pod, leases, also_held=also_held):
                released.append(held)
                on_released(held)
        return released

    async def _release(self, pod: Pod, leases: _Leases, *, also_held: bool) -> bool:
        """Whether the pod is held no more. False: its owner is alive, or it changed each time."""
        current: Pod | None = pod
        for _ in range(_TRIES):
            if current is None or not bears_finalizer(current):
                return True
            held = await self._looked_up(current, leases)
            if not (held.is_abandoned or also_held):
                return False
            if await self._swapped(current):
                return True
            current = await self._read_again(pod)
        return False

    async def _swapped(self, pod: Pod) -> bool:
        """Removes the finalizer if the pod is still as it was read."""
        meta = pod.metadata
        patch = {"metadata": {"uid": meta.uid, "$deleteFromPrimitiveList/finalizers": [OUTCOME_FINALIZER]}}
        try:
            await self._retrying(
                lambda: self._client.patch_pod(
                    meta.namespace, meta.name, patch, resource_version=meta.resource_version, strategic=True
                ),
                name=f"release pod {meta.namespace}/{meta.name}",
            )
        except (ConflictError, NotFoundError):
            return False
        return True

    async def _read_again(self, pod: Pod) -> Pod | None:
        meta = pod.metadata
        try:
            found = await self._retrying(
                lambda: self._client.read_pod(meta.namespace, meta.name),
                name=f"read pod {meta.namespace}/{meta.name}",
            )
        except NotFoundError:
            return None
        return found if found.metadata.uid == meta.uid else None

    async def _looked_up(self, pod: Pod, leases: _Leases) -> HeldPod:
        """Reads the owner's Lease, once per owner and namespace."""
        stamp = read_ownership(pod.metadata.labels, pod.metadata.annotations)
        if stamp is None:
            return HeldPod(pod, None, LeaseState.ABSENT)
        states = []
        for namespace in {self._lease_namespace, pod.metadata.namespace}:
            place = (namespace, stamp.owner)
            if place not in leases:
                leases[place] = await self._lease_state(*place)
            states.append(leases[place])
        return HeldPod(pod, stamp.owner, min(states, key=_WEIGHT.index))

    async def _lease_state(self, namespace: str, owner: str) -> LeaseState:
        try:
            lease: dict[str, Any] | None = await self._retrying(
                lambda: self._client.read_lease(namespace, lease_name(owner)), name=f"read lease of {owner}"
            )
        except NotFoundError:
            lease = None
        return lease_state(lease, now=self._now())

    async def _retrying(self, call: Callable[[], Awaitable[T]], *, name: str) -> T:
        return await retrying(call, policy=self._policy, name=name)
