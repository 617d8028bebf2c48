"""Adoption: taking over the pods of a runner that is gone.

The pod itself is the arbiter: the owner's name is changed by a compare-and-swap on its resourceVersion, so that of
several adopters exactly one wins, and the others see it. Whether an owner is gone is read off its Lease
(:mod:`podrunner.ownership.leases`).
"""

from __future__ import annotations

import logging
import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from podrunner.builder import read_ownership, safe_label
from podrunner.builder.labels import ADOPTIONS, OWNER
from podrunner.errors import ConflictError, NotFoundError
from podrunner.log_fields import pod_fields
from podrunner.ownership.outcome_records import is_reported

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence

    from podrunner.builder import OwnershipMetadata
    from podrunner.kube import KubeClient
    from podrunner.outcome.record import Pod
    from podrunner.ownership.scope import ScopeReader
    from podrunner.workload import WorkloadKey

__all__ = ["Adopter", "adoptions_of", "owner_of"]

_logger = logging.getLogger(__name__)

# A kubelet writes a starting pod's status a few times; each write makes one swap void.
_SWAPS: Final = 5
_is_number = re.compile(r"[0-9]{1,18}").fullmatch


def owner_of(pod: Pod) -> str | None:
    """Returns the runner that a pod says it belongs to; None: it is not podrunner's."""
    stamp = read_ownership(pod.metadata.labels, pod.metadata.annotations)
    return stamp.owner if stamp is not None else None


def adoptions_of(pod: Pod) -> int:
    """Returns how often a pod went over to another runner: a number that is higher for each further owner."""
    text = (pod.metadata.annotations or {}).get(ADOPTIONS, "")
    return int(text) if _is_number(text) else 0


class Adopter:
    """Takes over the pods of one scope whose owners are gone.

    Args:
        client: The API server.
        reader: Reads our scope.
        owner: Our name.
        before_send: Called right before a pod is made ours, after all waiting; if it raises, such as because our own
            Lease is lost, nothing is sent. None: nothing is asked.
    """

    def __init__(
        self,
        client: KubeClient,
        reader: ScopeReader,
        *,
        owner: str,
        before_send: Callable[[], None] | None = None,
    ) -> None:
        self._client = client
        self._reader = reader
        self._owner = owner
        self._before_send = before_send

    async def adopt(
        self,
        namespaces: Sequence[str | None],
        *,
        known: Callable[[Pod], bool],
        on_retained: Callable[[Pod, OwnershipMetadata], None] = lambda _pod, _stamp: None,
        owners: Collection[str] = (),
        is_gone: Callable[[str], Awaitable[bool]] | None = None,
        which: Callable[[WorkloadKey], bool] | None = None,
    ) -> AsyncGenerator[tuple[Pod, OwnershipMetadata], None]:
        """Gives each pod that was won, as it is now. To be closed by ``aclosing``.

        Pods whose outcome was reported and that are kept are left as they are. Pods that bear our own name but are not
        known (an earlier process of this name made them) come without a swap.

        Args:
            namespaces: Where to look; None: everywhere.
            known: Whether the pod is tracked already, or being launched just now.
            on_retained: Called with each pod that is left as it is because its outcome was reported.
            owners: Runners that are gone, whatever their Leases say.
            is_gone: Decides of each other owner, once, whether it is gone; None: its Lease does.
            which: Called with the key of each pod that may be taken: False leaves it as it is. None: all are taken.

        Raises:
            ApiError: A list or a Lease could not be read: without an answer no runner is taken for gone.
            OwnershipError: We lost our own Lease meanwhile.
        """
        is_gone = is_gone or self._reader.is_gone
        gone = dict.fromkeys(owners, True)
        async with aclosing(self._reader.pods(namespaces)) as pods:
            async for pod in pods:
                stamp = read_ownership(pod.metadata.labels, pod.metadata.annotations)
                if stamp is None or stamp.scope != self._reader.scope or known(pod):
                    continue
                if is_reported(pod):
                    on_retained(pod, stamp)
                    continue
                if which is not None and not which(stamp.key):
                    continue
                if stamp.owner == self._owner:
                    # The list may be old: of a pod that we have reported, deleted and forgotten since.
                    found = await self._read_again(pod)
                    if found is not None and owner_of(found) == self._owner and not known(found):
                        yield found, stamp
                    continue
                if stamp.owner not in gone:
                    gone[stamp.owner] = await is_gone(stamp.owner)
                if gone[stamp.owner] and (won := await self.take(pod)) is not None:
                    yield won, stamp

    async def take(self, pod: Pod) -> Pod | None:
        """Makes us the owner of a pod whose owner is gone, by compare-and-swap.

        Returns:
            The pod as it is then; None if another runner becomes its owner first, or if the pod is gone.

        Raises:
            ApiError: The server refuses.
            OwnershipError: We lost our own Lease meanwhile.
        """
        former = owner_of(pod)
        for _ in range(_SWAPS):
            won, seen = await self._swap_once(pod)
            if won is not None or seen is None or owner_of(seen) != former:
                return won
            pod = seen  # only its status or the like had changed
        return None

    async def _swap_once(self, pod: Pod) -> tuple[Pod | None, Pod | None]:
        """Swaps if the pod is still as it was read. Gives the pod if it was won, else as it is now."""
        meta = pod.metadata
        # The swap is for this very version of the pod, so that the number grows by one with each owner.
        annotations = {OWNER: self._owner, ADOPTIONS: str(adoptions_of(pod) + 1)}
        patch = {"metadata": {"labels": {OWNER: safe_label(self._owner)}, "annotations": annotations}}
        try:
            won = await self._reader.retrying(
                lambda: self._client.patch_pod(
                    meta.namespace,
                    meta.name,
                    patch,
                    resource_version=meta.resource_version,
                    before_send=self._before_send,
                ),
                name=f"adopt pod {meta.namespace}/{meta.name}",
            )
        except NotFoundError:
            return None, None
        except ConflictError as error:
            _logger.info(
                "pod %s/%s changed while it was being adopted: %s",
                meta.namespace,
                meta.name,
                error,
                extra=pod_fields(meta),
            )
            found = await self._read_again(pod)
            # The swap may be ours all the same, if its answer was lost and it was tried again.
            return (found, None) if found is not None and owner_of(found) == self._owner else (None, found)
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
