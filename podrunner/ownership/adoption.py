"""Adoption: taking over the pods of a runner that is gone, and marking pods with a reported outcome.

The pod itself is the arbiter: the owner's name is changed by a compare-and-swap on its resourceVersion, so that of
several adopters exactly one wins, and the others see it. Whether an owner is gone is read off its Lease
(:mod:`podrunner.ownership.leases`).
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import anyio

from podrunner.builder import read_ownership, safe_label
from podrunner.builder.labels import OWNER, REPORTED
from podrunner.errors import ConflictError, NotFoundError, PodrunnerError
from podrunner.kube import retrying

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from podrunner.builder import OwnershipMetadata
    from podrunner.kube import KubeClient, RequestRetry
    from podrunner.outcome.record import Pod
    from podrunner.ownership.scope import ScopeReader

__all__ = ["Adopter", "is_reported", "mark_reported"]

_logger = logging.getLogger(__name__)

# A kubelet writes a starting pod's status a few times; each write makes one swap void.
_SWAPS: Final = 5
# A mark is worth a few tries, not that a runner's end waits for a server that is gone.
_MARK_WITHIN_S: Final = 10.0


def _owner_of(pod: Pod) -> str | None:
    stamp = read_ownership(pod.metadata.labels, pod.metadata.annotations)
    return stamp.owner if stamp is not None else None


async def mark_reported(client: KubeClient, pod: Pod, category: str, *, policy: RequestRetry) -> None:
    """Marks a pod that is kept: its outcome was reported, so a successor does not report it again.

    Without the mark, such as for want of rights, a successor reports it once more. That is logged and nothing else.
    """
    meta = pod.metadata
    patch = {"metadata": {"uid": meta.uid, "annotations": {REPORTED: category}}}
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


def is_reported(pod: Pod) -> bool:
    """Whether the pod bears the mark of :func:`mark_reported`."""
    return REPORTED in (pod.metadata.annotations or {})


class Adopter:
    """Takes over the pods of one scope whose owners are gone.

    Args:
        client: The API server.
        reader: Reads our scope.
        owner: Our name.
    """

    def __init__(self, client: KubeClient, reader: ScopeReader, *, owner: str) -> None:
        self._client = client
        self._reader = reader
        self._owner = owner

    async def adopt(
        self,
        namespaces: Sequence[str | None],
        *,
        known: Callable[[Pod], bool],
        on_retained: Callable[[Pod, OwnershipMetadata], None] = lambda _pod, _stamp: None,
    ) -> AsyncGenerator[tuple[Pod, OwnershipMetadata], None]:
        """Gives each pod that was won, as it is now. To be closed by ``aclosing``.

        Pods whose outcome was reported and that are kept are left as they are. Pods that bear our own name but are not
        known (an earlier process of this name made them) come without a swap.

        Args:
            namespaces: Where to look; None: everywhere.
            known: Whether the pod is tracked already, or being launched just now.
            on_retained: Called with each pod that is left as it is because its outcome was reported.

        Raises:
            ApiError: A list or a Lease could not be read: without an answer no runner is taken for gone.
        """
        gone: dict[str, bool] = {}
        async with aclosing(self._reader.pods(namespaces)) as pods:
            async for pod in pods:
                stamp = read_ownership(pod.metadata.labels, pod.metadata.annotations)
                if stamp is None or stamp.scope != self._reader.scope or known(pod):
                    continue
                if is_reported(pod):
                    on_retained(pod, stamp)
                    continue
                if stamp.owner == self._owner:
                    # The list may be old: of a pod that we have reported, deleted and forgotten since.
                    found = await self._read_again(pod)
                    if found is not None and _owner_of(found) == self._owner and not known(found):
                        yield found, stamp
                    continue
                if stamp.owner not in gone:
                    gone[stamp.owner] = await self._reader.is_gone(stamp.owner)
                if gone[stamp.owner] and (won := await self._swap_owner(pod)) is not None:
                    yield won, stamp

    async def _swap_owner(self, pod: Pod) -> Pod | None:
        """Makes us the owner. None if another runner becomes it first, or if the pod is gone."""
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
            won = await self._reader.retrying(
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
            found = await self._reader.retrying(
                lambda: self._client.read_pod(meta.namespace, meta.name),
                name=f"read pod {meta.namespace}/{meta.name}",
            )
        except NotFoundError:
            return None
        return found if found.metadata.uid == meta.uid else None
