"""Whose pods are whose: a Lease per runner, and taking over the pods of a runner that is gone.

A runner renews its Lease; a pod whose owner's Lease ran out, was given back or never was may be adopted by
another runner of the same scope. The pod itself is the arbiter: the owner's name is changed by a
compare-and-swap on its resourceVersion, so that of several adopters exactly one wins, and the others see it.

A runner that did not renew in time counts itself as gone *before* others do: by its own clocks it stops when the
Lease's time is over, while others wait :data:`CLOCK_SKEW_S` longer. It never comes back as the same owner, so what it
knew before it was stopped, suspended or cut off is never reported beside what its successor reports.

Whether a Lease is still held is a pure decision (:func:`lease_state`) on a time that is handed in. Runners
that may adopt each other's pods share the namespace of their Leases, which is the configuration's
``namespace``.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio

from podrunner.builder import Stamp, read_stamp, safe_label
from podrunner.builder.labels import MANAGED_BY, MANAGER, OWNER, SCOPE, TOLD
from podrunner.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    OwnershipError,
    PodrunnerError,
)
from podrunner.kube import KubeClient, RequestRetry, retrying

if TYPE_CHECKING:
    from podrunner.kube import PodPage
    from podrunner.outcome.record import Pod

__all__ = ["Adopter", "LeaseKeeper", "LeaseState", "lease_name", "lease_state", "mark_told", "new_owner"]

T = TypeVar("T")

_logger = logging.getLogger(__name__)

# client-go's leader election trusts no remote clock; we do, for so far as clocks of one cluster may differ.
CLOCK_SKEW_S: Final = 5.0
_RENEWALS_PER_DURATION: Final = 3
# A renewal that failed or hangs is tried again this often per duration: one lost answer must not cost the Lease.
_TRIES_PER_DURATION: Final = 12
# A kubelet writes a starting pod's status a few times; each write makes one swap void.
_SWAPS: Final = 5
# A mark is worth a few tries, not that a runner's end waits for a server that is gone.
_MARK_WITHIN_S: Final = 10.0

WallClock = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """The time of day, in UTC."""
    return dt.datetime.now(dt.UTC)


def new_owner() -> str:
    """A name for a runner that was given none."""
    return f"runner-{uuid.uuid4().hex[:12]}"


def lease_name(owner: str) -> str:
    """The name of an owner's Lease: a valid object name for every owner."""
    return f"podrunner-{safe_label(owner).lower().replace('_', '-').replace('.', '-')}"


class LeaseState(StrEnum):
    """What a Lease says about its owner."""

    HELD = "held"
    """The owner is there."""
    EXPIRED = "expired"
    """It was not renewed in time."""
    RELEASED = "released"
    """It names no holder: given back."""
    ABSENT = "absent"
    """There is none: given back and removed, or never taken."""


def lease_state(
    lease: Mapping[str, Any] | None, *, now: dt.datetime, skew_s: float = CLOCK_SKEW_S
) -> LeaseState:
    """Decides whether a Lease is held.

    Args:
        lease: The Lease, or None if there is none.
        now: The present time.
        skew_s: Seconds that the clocks of runners may differ; an owner is given that much longer.
    """
    if lease is None:
        return LeaseState.ABSENT
    spec = lease.get("spec") or {}
    if not spec.get("holderIdentity"):
        return LeaseState.RELEASED
    renewed = _parse_time(spec.get("renewTime") or spec.get("acquireTime"))
    if renewed is None:
        return LeaseState.EXPIRED
    patience = dt.timedelta(seconds=float(spec.get("leaseDurationSeconds") or 0) + skew_s)
    return LeaseState.HELD if now < renewed + patience else LeaseState.EXPIRED


def _parse_time(text: object) -> dt.datetime | None:
    try:
        parsed = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)


def _format_time(moment: dt.datetime) -> str:
    # MicroTime of the API: six digits, always.
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class LeaseKeeper:
    """One runner's Lease: taken, kept, given back.

    Args:
        client: The API server.
        namespace: Where the Lease lives.
        owner: The runner's name.
        scope: The runner's scope, as a label.
        duration_s: Seconds without renewal after which the runner counts as gone.
        now: The time of day.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        *,
        owner: str,
        scope: str,
        duration_s: float,
        now: WallClock = utc_now,
    ) -> None:
        self.name: str = lease_name(owner)
        self.lost: bool = False
        self._client = client
        self._namespace = namespace
        self._owner = owner
        self._scope = scope
        self._duration_s = duration_s
        self._now = now
        # Two processes that were given one owner's name are still two holders.
        self._holder = f"{owner}_{uuid.uuid4().hex}"
        self._lease: dict[str, Any] | None = None
        self._renewed_at = 0.0
        self._renewed_on = dt.datetime.min.replace(tzinfo=dt.UTC)
        self._on_lost: Callable[[str], None] = lambda _: None

    async def acquire(self) -> None:
        """Takes the Lease. One that an earlier process of this name left behind is waited out.

        Raises:
            OwnershipError: A living runner has this name.
            ApiError: The server refuses Leases, such as for want of rights.
        """
        if not await self._create():
            await self._take_over()

    def guard(self, on_lost: Callable[[str], None]) -> None:
        """Names who is told, once, why the Lease is lost."""
        self._on_lost = on_lost

    async def keep(self) -> None:
        """Renews until it is cancelled, or until the Lease is lost."""
        pause_s = self._duration_s / _RENEWALS_PER_DURATION
        while self.is_held():
            await anyio.sleep(pause_s)
            if self.is_held():
                renewed = await self._renew()
                pause_s = self._duration_s / (_RENEWALS_PER_DURATION if renewed else _TRIES_PER_DURATION)

    def is_held(self) -> bool:
        """Whether we may act, by our own clocks: to be asked before whatever only an owner may do.

        A process that was stopped or suspended for longer than the Lease's duration finds here that it is no owner.
        """
        if not self.lost and (silence_s := self._silence_s()) > self._duration_s:
            self._lose(f"not renewed for {silence_s:.0f} s")
        return not self.lost

    def _silence_s(self) -> float:
        """Seconds since the last renewal was sent. The loop's clock may stand still while a machine sleeps."""
        by_day = (self._now() - self._renewed_on).total_seconds()
        return max(anyio.current_time() - self._renewed_at, by_day)

    def _lose(self, why: str) -> None:
        self.lost = True
        self._on_lost(why)

    async def release(self) -> None:
        """Gives the Lease back, if it is still ours: others may adopt at once. A failure lets it run out."""
        if self._lease is None or self.lost:
            return
        try:
            await self._client.delete_lease(self._namespace, self.name)
        except PodrunnerError as error:
            _logger.info("lease %s is left to run out: %s", self.name, error)

    async def _create(self) -> bool:
        sent = self._sent()
        try:
            self._lease = await self._client.create_lease(self._namespace, self._manifest())
        except AlreadyExistsError:
            return False
        self._renewed_at, self._renewed_on = sent
        return True

    def _sent(self) -> tuple[float, dt.datetime]:
        """When a renewal is sent: others count from then, not from when its answer comes."""
        return anyio.current_time(), self._now()

    async def _take_over(self) -> None:
        found = await self._read()
        if _holder(found) == self._holder:
            _logger.info("lease %s is ours already: the answer was lost", self.name)
        elif lease_state(found, now=self._now()) is LeaseState.HELD:
            _logger.info("lease %s is held; waiting for it to be renewed or to run out", self.name)
            found = await self._wait_out(found)
        sent = self._sent()
        try:
            version = ((found or {}).get("metadata") or {}).get("resourceVersion")
            if version is None:
                self._lease = await self._client.create_lease(self._namespace, self._manifest())
            else:
                self._lease = await self._client.replace_lease(
                    self._namespace, self.name, self._manifest(version)
                )
        except ConflictError as error:
            raise self._taken("somebody else took it just now") from error
        self._renewed_at, self._renewed_on = sent

    async def _wait_out(self, found: Mapping[str, Any] | None) -> dict[str, Any] | None:
        first = _renewal(found)
        while True:
            await anyio.sleep(1.0)
            lease = await self._read()
            if lease_state(lease, now=self._now()) is not LeaseState.HELD:
                return lease
            if _renewal(lease) != first:
                raise self._taken("it is being renewed")

    def _taken(self, why: str) -> OwnershipError:
        return OwnershipError(
            f"another runner is called {self._owner!r}: lease {self._namespace}/{self.name}: {why}; "
            "give each runner an owner's name of its own, or none",
            namespace=self._namespace,
            name=self.name,
            owner=self._owner,
        )

    async def _read(self) -> dict[str, Any] | None:
        try:
            return await self._client.read_lease(self._namespace, self.name)
        except NotFoundError:
            return None

    async def _renew(self) -> bool:
        """Renews once, in a bounded time. False: not this time, or never again."""
        try:
            with anyio.fail_after(self._duration_s / _RENEWALS_PER_DURATION):
                # A conflict is most often with our own renewal, whose answer was lost: read, and replaced at once.
                return await self._replace() or (await self._is_ours() and await self._replace())
        except (PodrunnerError, TimeoutError) as error:
            _logger.warning("lease %s was not renewed: %s", self.name, str(error) or "no answer in time")
            return False

    async def _replace(self) -> bool:
        version = ((self._lease or {}).get("metadata") or {}).get("resourceVersion")
        sent = self._sent()
        try:
            self._lease = await self._client.replace_lease(
                self._namespace, self.name, self._manifest(version)
            )
        except ConflictError:
            return False
        except NotFoundError:
            return await self._create()
        self._renewed_at, self._renewed_on = sent
        return True

    async def _is_ours(self) -> bool:
        """Looks whether the Lease is ours still; if it is another's, it is lost."""
        self._lease = lease = await self._read()
        if lease is not None and _holder(lease) != self._holder:
            self._lose(f"it is held by {_holder(lease)}")
        return not self.lost

    def _manifest(self, resource_version: str | None = None) -> dict[str, Any]:
        now = _format_time(self._now())
        metadata: dict[str, Any] = {
            "name": self.name,
            "namespace": self._namespace,
            "labels": {MANAGED_BY: MANAGER, SCOPE: safe_label(self._scope)},
            "annotations": {OWNER: self._owner},
        }
        if resource_version is not None:
            metadata["resourceVersion"] = resource_version
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": max(1, round(self._duration_s)),
            "renewTime": now,
            "acquireTime": ((self._lease or {}).get("spec") or {}).get("acquireTime") or now,
        }
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": spec,
        }


def _holder(lease: Mapping[str, Any] | None) -> str | None:
    holder: str | None = ((lease or {}).get("spec") or {}).get("holderIdentity")
    return holder


def _renewal(lease: Mapping[str, Any] | None) -> object:
    spec = (lease or {}).get("spec") or {}
    return spec.get("renewTime"), spec.get("holderIdentity")


def _owner_of(pod: Pod) -> str | None:
    stamp = read_stamp(pod.metadata.labels, pod.metadata.annotations)
    return stamp.owner if stamp is not None else None


async def mark_told(client: KubeClient, pod: Pod, category: str, *, policy: RequestRetry) -> None:
    """Marks a pod that is kept: its outcome was reported, so whoever comes after does not report it again.

    Without the mark, such as for want of rights, a successor reports it once more. That is logged and nothing else.
    """
    meta = pod.metadata
    patch = {"metadata": {"uid": meta.uid, "annotations": {TOLD: category}}}
    try:
        with anyio.fail_after(_MARK_WITHIN_S):
            await retrying(
                lambda: client.patch_pod(meta.namespace, meta.name, patch),
                policy=policy,
                name=f"mark pod {meta.namespace}/{meta.name}",
            )
    except NotFoundError:
        return
    except (PodrunnerError, TimeoutError) as error:
        _logger.warning("pod %s/%s was not marked as reported: %s", meta.namespace, meta.name, error)


def _is_told(pod: Pod) -> bool:
    return TOLD in (pod.metadata.annotations or {})


class Adopter:
    """Takes over the pods of one scope whose owners are gone.

    Args:
        client: The API server.
        owner: Our name.
        scope: Our scope.
        lease_namespace: Where the owners' Leases live.
        policy: How each request is tried again: nobody is taken for gone because the server was busy.
        now: The time of day.
        page_size: Pods per page of a list.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        owner: str,
        scope: str,
        lease_namespace: str,
        policy: RequestRetry,
        now: WallClock = utc_now,
        page_size: int = 500,
    ) -> None:
        self._client = client
        self._owner = owner
        self._scope = scope
        self._lease_namespace = lease_namespace
        self._policy = policy
        self._now = now
        self._page_size = page_size

    async def adopt(
        self,
        namespaces: Sequence[str | None],
        *,
        known: Callable[[Pod], bool],
        kept: Callable[[Pod, Stamp], None] = lambda _pod, _stamp: None,
    ) -> AsyncGenerator[tuple[Pod, Stamp], None]:
        """Gives each pod that was won, as it is now. To be closed by ``aclosing``.

        Pods whose outcome was reported and that are kept are left as they are. Pods that bear our own name but are not
        known (an earlier process of this name made them) come without a swap.

        Args:
            namespaces: Where to look; None: everywhere.
            known: Whether the pod is tracked already, or being launched just now.
            kept: Told of each pod that is left as it is because its outcome was reported.

        Raises:
            ApiError: A list or a Lease could not be read: nobody is taken for gone for want of an answer.
        """
        gone: dict[str, bool] = {}
        async with aclosing(self._candidates(namespaces)) as pods:
            async for pod in pods:
                stamp = read_stamp(pod.metadata.labels, pod.metadata.annotations)
                if stamp is None or stamp.scope != self._scope or known(pod):
                    continue
                if _is_told(pod):
                    kept(pod, stamp)
                    continue
                if stamp.owner == self._owner:
                    # The list may be old: of a pod that we have reported, deleted and forgotten since.
                    found = await self._read_again(pod)
                    if found is not None and _owner_of(found) == self._owner and not known(found):
                        yield found, stamp
                    continue
                if stamp.owner not in gone:
                    gone[stamp.owner] = await self._is_gone(stamp.owner)
                if gone[stamp.owner] and (won := await self._swap_owner(pod)) is not None:
                    yield won, stamp

    async def _candidates(self, namespaces: Sequence[str | None]) -> AsyncGenerator[Pod, None]:
        for namespace in namespaces:
            token: str | None = None
            while True:
                page = await self._page(namespace, token)
                for pod in page.items:
                    yield pod
                token = page.continue_token
                if not token:
                    break

    async def _page(self, namespace: str | None, token: str | None) -> PodPage:
        selector = f"{MANAGED_BY}={MANAGER},{SCOPE}={safe_label(self._scope)}"
        return await self._retrying(
            lambda: self._client.list_pods(
                namespace, label_selector=selector, limit=self._page_size, continue_token=token
            ),
            name=f"list pods of scope {self._scope}",
        )

    async def _is_gone(self, owner: str) -> bool:
        try:
            lease: dict[str, Any] | None = await self._retrying(
                lambda: self._client.read_lease(self._lease_namespace, lease_name(owner)),
                name=f"read lease of {owner}",
            )
        except NotFoundError:
            lease = None
        return lease_state(lease, now=self._now()) is not LeaseState.HELD

    async def _swap_owner(self, pod: Pod) -> Pod | None:
        """Makes us the owner unless somebody else becomes it first; None then, or if the pod is gone."""
        former = _owner_of(pod)
        for _ in range(_SWAPS):
            won, seen = await self._swap_once(pod)
            if won is not None or seen is None or _owner_of(seen) != former:
                return won
            pod = seen  # only its status or the like had changed
        return None

    async def _swap_once(self, pod: Pod) -> tuple[Pod | None, Pod | None]:
        """Swaps if the pod is still as it was read. Gives the pod if it was won, else as it is now."""
        meta = pod.metadata
        patch = {
            "metadata": {"labels": {OWNER: safe_label(self._owner)}, "annotations": {OWNER: self._owner}}
        }
        try:
            won = await self._retrying(
                lambda: self._client.patch_pod(
                    meta.namespace, meta.name, patch, resource_version=meta.resource_version
                ),
                name=f"adopt pod {meta.namespace}/{meta.name}",
            )
        except NotFoundError:
            return None, None
        except ConflictError as error:
            _logger.info("pod %s/%s changed while it was being adopted: %s", meta.namespace, meta.name, error)
            found = await self._read_again(pod)
            # The swap may be ours all the same, if its answer was lost and it was tried again.
            return (found, None) if found is not None and _owner_of(found) == self._owner else (None, found)
        return won, None

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

    async def _retrying(self, call: Callable[[], Awaitable[T]], *, name: str) -> T:
        return await retrying(call, policy=self._policy, name=name)
