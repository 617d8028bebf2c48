"""Taking a Lease from a runner that its embedder knows to be dead, before the Lease is over.

The holder is removed from the Lease by compare-and-swap. So others find its owner gone at once; and if the owner is
alive after all, its next renewal is refused, it finds that the Lease is not its own, and acts no more. The Lease is not
deleted: an owner that lives would make it anew.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from podrunner.builder import safe_label
from podrunner.builder.labels import SCOPE
from podrunner.errors import ConflictError, NotFoundError, OwnershipError
from podrunner.ownership.leases import LeaseState, lease_name, lease_state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from podrunner.kube import KubeClient
    from podrunner.ownership.scope import ScopeReader

__all__ = ["LeaseRevoker", "without_holder"]

_logger = logging.getLogger(__name__)

_SWAPS: Final = 5
"""An owner that is alive renews each few seconds at the most often; each renewal makes one swap void."""


def without_holder(lease: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a Lease as it is when no runner holds it; its version stays, for a compare-and-swap."""
    spec = {name: value for name, value in lease["spec"].items() if name != "holderIdentity"}
    return {**lease, "spec": spec}


class LeaseRevoker:
    """Revokes Leases of runners of our scope.

    Args:
        client: The API server.
        reader: Reads our scope.
        before_send: Called right before a Lease is changed; if it raises, such as because our own Lease is lost,
            nothing is sent.
    """

    def __init__(self, client: KubeClient, reader: ScopeReader, *, before_send: Callable[[], None]) -> None:
        self._client = client
        self._reader = reader
        self._before_send = before_send

    async def revoke(self, owner: str) -> None:
        """Removes an owner from its Lease; without a Lease, or without a holder, there is nothing to do.

        Raises:
            OwnershipError: The Lease is of another scope, or our own Lease is lost.
            ApiError: The server refuses, such as for want of rights.
            TransportError: The server cannot be reached.
        """
        for left in reversed(range(_SWAPS)):
            lease = await self._reader.lease(owner)
            state = lease_state(lease, now=self._reader.now())
            if lease is None or state in {LeaseState.ABSENT, LeaseState.RELEASED}:
                return
            self._check_scope(owner, lease)
            try:
                await self._swap(owner, lease)
            except NotFoundError:
                return
            except ConflictError:
                if not left:
                    raise
            else:
                _logger.warning(
                    "runner %s counts as gone by its embedder's verdict: its lease is revoked", owner
                )
                return

    def _check_scope(self, owner: str, lease: Mapping[str, Any]) -> None:
        labels = (lease.get("metadata") or {}).get("labels") or {}
        if labels.get(SCOPE) != safe_label(self._reader.scope):
            raise OwnershipError(
                f"runner {owner!r} is of scope {labels.get(SCOPE)!r}, not of {self._reader.scope!r}: it stays alone",
                namespace=self._reader.lease_namespace,
                name=lease_name(owner),
                owner=owner,
            )

    async def _swap(self, owner: str, lease: Mapping[str, Any]) -> None:
        self._before_send()
        await self._reader.retrying(
            lambda: self._client.replace_lease(
                self._reader.lease_namespace, lease_name(owner), without_holder(lease)
            ),
            name=f"revoke lease of {owner}",
        )
