"""What runners left behind that were killed: their Leases, and the cursor files beside their logs.

A runner that is closed gives its Lease back. One that is killed cannot; if its name was generated, no other process
will ever use that Lease again. The runners of its scope remove it, once it is certain that nothing depends on it:

- The Lease ran out, and after that as much time again passed as it lasted.
- No pod bears that owner's name, in all the namespaces that it used. Its pods are adopted, reported and deleted first.
- The Lease is deleted as it was read, by compare-and-swap on its ``resourceVersion``.

The Lease shows whose the cursor files were, so they are removed before it. Secrets need no care: a pod owns its Secret,
and the server's garbage collector deletes a Secret whose pod is gone.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from podrunner.builder import safe_label
from podrunner.builder.labels import MANAGED_BY, MANAGER, NAMESPACES, OWNER
from podrunner.errors import ConflictError, ForbiddenError
from podrunner.ownership.leases import CLOCK_SKEW_S, lease_end, lease_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from podrunner.kube import KubeClient
    from podrunner.ownership.scope import ScopeReader

__all__ = ["Leftovers", "OldLease", "covers", "old_lease"]

_logger = logging.getLogger(__name__)

_is_generated = re.compile(r"runner-[0-9a-f]{12}").fullmatch


class OldLease(NamedTuple):
    """The Lease of a runner that is gone for good.

    Attributes:
        owner: The runner.
        name: The Lease's name.
        version: Its ``resourceVersion``.
        namespaces: The namespaces that the runner used; None: the Lease does not say.
    """

    owner: str
    name: str
    version: str
    namespaces: tuple[str, ...] | None


def old_lease(lease: Mapping[str, Any], *, now: dt.datetime) -> OldLease | None:
    """Returns a Lease as one that is left over; None: it may be in use, or is not one of a generated name.

    Args:
        lease: The Lease.
        now: The time of day.
    """
    meta = lease.get("metadata") or {}
    annotations = meta.get("annotations") or {}
    owner, end = annotations.get(OWNER), lease_end(lease)
    if not isinstance(owner, str) or not _is_generated(owner) or meta.get("name") != lease_name(owner):
        return None
    if end is None or now < end + dt.timedelta(seconds=_duration_s(lease) + CLOCK_SKEW_S):
        return None
    listed = annotations.get(NAMESPACES)
    namespaces = tuple(listed.split(",")) if isinstance(listed, str) else None
    return OldLease(owner, lease_name(owner), str(meta.get("resourceVersion") or ""), namespaces)


def _duration_s(lease: Mapping[str, Any]) -> float:
    return float((lease.get("spec") or {}).get("leaseDurationSeconds") or 0)


def covers(watched: Sequence[str | None], used: Sequence[str] | None) -> bool:
    """Returns whether all namespaces that a runner used are among those that we see. What is not known is not covered.

    Args:
        watched: Our namespaces; None among them: all.
        used: Theirs.
    """
    return None in watched or (used is not None and {*used} <= {*watched})


class Leftovers:
    """Removes what killed runners of our scope left behind.

    Args:
        client: The API server.
        reader: Reads our scope.
        lease_namespace: Where the Leases live.
        namespaces: The namespaces that we see; None among them: all.
        forget: Removes the cursor files of these owners, except of the pods of these UIDs.
        before_send: Called right before a Lease is deleted; if it raises, such as because our own Lease is lost,
            nothing is sent.
    """

    def __init__(
        self,
        client: KubeClient,
        reader: ScopeReader,
        *,
        lease_namespace: str,
        namespaces: Sequence[str | None],
        forget: Callable[[frozenset[str], frozenset[str]], Awaitable[None]],
        before_send: Callable[[], None],
    ) -> None:
        self._client = client
        self._reader = reader
        self._lease_namespace = lease_namespace
        self._namespaces = tuple(namespaces)
        self._forget = forget
        self._before_send = before_send
        self._is_refused = False

    async def collect(self) -> int:
        """Removes what is left over now; returns how many Leases were removed.

        Without the right to list or delete Leases this does nothing: that is logged once.

        Raises:
            ApiError: Something cannot be read. Without an answer nothing is removed.
            TransportError: Likewise.
            OwnershipError: This runner lost its Lease.
        """
        if self._is_refused:
            return 0
        try:
            return await self._collect()
        except ForbiddenError as error:
            self._is_refused = True
            _logger.warning(
                "what killed runners left behind is not removed: the right to list or delete leases is missing: %s",
                error,
            )
            return 0

    async def _collect(self) -> int:
        gone = [lease for lease in await self._old_leases() if not await self._has_pods(lease.owner)]
        if not gone:
            return 0
        await self._forget(frozenset(lease.owner for lease in gone), await self._uids())
        return sum([await self._delete(lease) for lease in gone])

    async def _old_leases(self) -> list[OldLease]:
        now = self._reader.now()
        async with aclosing(self._reader.leases()) as leases:
            found = [old_lease(lease, now=now) async for lease in leases]
        return [lease for lease in found if lease is not None and covers(self._namespaces, lease.namespaces)]

    async def _has_pods(self, owner: str) -> bool:
        """Whether a pod bears the owner's name."""
        selector = f"{MANAGED_BY}={MANAGER},{OWNER}={safe_label(owner)}"
        for namespace in self._namespaces:
            read = partial(self._client.list_pods, namespace, label_selector=selector, limit=1)
            page = await self._reader.retrying(read, name=f"list pods {selector}")
            if page.items or page.skipped:
                return True
        return False

    async def _uids(self) -> frozenset[str]:
        """Returns the UIDs of all pods of our scope."""
        async with aclosing(self._reader.pods(self._namespaces)) as pods:
            return frozenset([pod.metadata.uid async for pod in pods])

    async def _delete(self, lease: OldLease) -> bool:
        self._before_send()
        try:
            deleted = await self._client.delete_lease(
                self._lease_namespace, lease.name, resource_version=lease.version
            )
        except ConflictError:
            return False  # it is in use, or another runner is just removing it
        if deleted:
            _logger.info("lease %s of runner %s, which is gone, was removed", lease.name, lease.owner)
        return deleted
