"""What runners left behind that were killed: their Leases, and the cursor files beside their logs.

A runner that is closed gives its Lease back. One that is killed cannot; if its name was generated, no other process
will ever use that Lease again. The runners of its scope remove it, once it is certain that nothing depends on it:

- The Lease ran out, and after that as much time again passed as it lasted.
- No pod bears that owner's name, in all the namespaces that it used. Its pods are adopted, reported and deleted first.
- The Lease is deleted as it was read, by compare-and-swap on its ``resourceVersion``.

A runner that is closed and leaves logs that are not read to their ends leaves its Lease too, without a holder, whatever
its name. That Lease counts as over at once.

The Lease shows whose the cursor files were, so they are removed before it. So are, when a runner is opened, those of an
earlier process of its name. Secrets need no care: a pod owns its Secret, and the server's garbage collector deletes a
Secret whose pod is gone.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from podrunner.builder import safe_label
from podrunner.builder.labels import MANAGED_BY, MANAGER, NAMESPACES, OWNER
from podrunner.errors import ConflictError, ForbiddenError
from podrunner.ownership.leases import CLOCK_SKEW_S, is_given_back, lease_end, lease_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from podrunner.kube import KubeClient
    from podrunner.ownership.scope import ScopeReader

__all__ = ["LeftLogs", "Leftovers", "OldLease", "covers", "old_lease"]

_logger = logging.getLogger(__name__)

_is_generated = re.compile(r"runner-[0-9a-f]{12}").fullmatch


class OldLease(NamedTuple):
    """The Lease of a runner that is gone.

    Attributes:
        owner: The runner.
        name: The Lease's name.
        version: Its ``resourceVersion``.
        namespaces: The namespaces that the runner used; None: the Lease does not say.
        uid: Its UID; "": it is not known.
    """

    owner: str
    name: str
    version: str
    namespaces: tuple[str, ...] | None
    uid: str = ""

    @property
    def marks(self) -> frozenset[str]:
        """What the runner's cursor files say of its Lease; those of earlier versions say nothing of it.

        Another cluster's runner of that name may write to the same folder, unless the name was generated.
        """
        return frozenset({self.uid, ""} if _is_generated(self.owner) else {self.uid} - {""})


class LeftLogs(Protocol):
    """The cursor files beside logs."""

    @property
    def are_left(self) -> bool:
        """Whether some were found that are not settled."""
        ...

    async def search(self, owners: Mapping[str, frozenset[str]]) -> None:
        """Looks for those of these runners, given what the files say of each one's Lease."""
        ...

    async def settle(self, existing: frozenset[str]) -> None:
        """Removes those that were found, but of the pods of these UIDs. A log that was not read gets its gap."""
        ...


def old_lease(lease: Mapping[str, Any], *, now: dt.datetime) -> OldLease | None:
    """Returns a Lease as one that is left over; None: it may be in use, or its owner may come back for it.

    Args:
        lease: The Lease.
        now: The time of day.
    """
    meta = lease.get("metadata") or {}
    annotations = meta.get("annotations") or {}
    owner, end = annotations.get(OWNER), lease_end(lease)
    if not isinstance(owner, str) or meta.get("name") != lease_name(owner):
        return None
    if not is_given_back(lease):
        if end is None or not _is_generated(owner):
            return None
        if now < end + dt.timedelta(seconds=_duration_s(lease) + CLOCK_SKEW_S):
            return None
    listed = annotations.get(NAMESPACES)
    namespaces = tuple(listed.split(",")) if isinstance(listed, str) else None
    version, uid = str(meta.get("resourceVersion") or ""), str(meta.get("uid") or "")
    return OldLease(owner, lease_name(owner), version, namespaces, uid)


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
    """Removes what runners of our scope left behind that are gone.

    Args:
        client: The API server.
        reader: Reads our scope.
        lease_namespace: Where the Leases live.
        namespaces: The namespaces that we see; None among them: all.
        logs: The cursor files beside logs.
        own: Our own Lease, if an earlier process of our name left it; None: it did not.
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
        logs: LeftLogs,
        own: OldLease | None = None,
        before_send: Callable[[], None],
    ) -> None:
        self._client = client
        self._reader = reader
        self._lease_namespace = lease_namespace
        self._namespaces = tuple(namespaces)
        self._logs = logs
        self._own = own
        self._searched: set[tuple[str, str]] = set()
        self._before_send = before_send
        self._is_refused = False

    async def collect(self) -> int:
        """Removes what is left over now; returns how many Leases were removed.

        Without the right to list or delete Leases only logs of our own name are seen to: that is logged once.

        Raises:
            ApiError: Something cannot be read. Without an answer nothing is removed.
            TransportError: Likewise.
            OwnershipError: This runner lost its Lease.
        """
        old = await self._allowed_leases()
        await self._settle_logs(old if self._own is None else [self._own, *old])
        try:
            return sum([await self._delete(lease) for lease in old if not await self._has_pods(lease.owner)])
        except ForbiddenError as error:
            self._note_refused(error)
            return 0

    async def _allowed_leases(self) -> list[OldLease]:
        """Returns the old Leases; none without the right to list them."""
        if self._is_refused:
            return []
        try:
            return await self._old_leases()
        except ForbiddenError as error:
            self._note_refused(error)
            return []

    def _note_refused(self, error: ForbiddenError) -> None:
        self._is_refused = True
        _logger.warning(
            "what killed runners left behind is not removed: the right to list or delete leases is missing: %s",
            error,
        )

    async def _settle_logs(self, leases: Sequence[OldLease]) -> None:
        """Sees to the logs of runners that are gone. Each one's are searched for once: that may take long."""
        searched = [lease for lease in leases if (lease.owner, lease.uid) not in self._searched]
        if searched:
            await self._logs.search({lease.owner: lease.marks for lease in searched})
            self._searched |= {(lease.owner, lease.uid) for lease in searched}
        if self._logs.are_left:
            # After the search: the pod of a file that was found then is listed, or gone.
            await self._logs.settle(await self._uids())

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
