"""What of a scope is there: its pods, page by page, and whether an owner is gone. Reading only."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from podrunner.builder import safe_label
from podrunner.builder.labels import MANAGED_BY, MANAGER, SCOPE
from podrunner.errors import NotFoundError
from podrunner.kube import PageGuard, RequestRetry, retrying
from podrunner.ownership.leases import LeaseState, WallClock, lease_name, lease_state, utc_now

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from podrunner.kube import KubeClient
    from podrunner.outcome.record import Pod

__all__ = ["ScopeReader", "each_pod"]

T = TypeVar("T")


_PAGE_SIZE: Final = 500
_MAX_PODS: Final = 1_000_000
"""More pods than any cluster has (Kubernetes is made for 150,000): a list of more does not end."""


async def each_pod(
    client: KubeClient,
    namespaces: Sequence[str | None],
    *,
    label_selector: str,
    policy: RequestRetry,
    field_selector: str = "",
    page_size: int = _PAGE_SIZE,
) -> AsyncGenerator[Pod, None]:
    """Gives pods, page by page, trying again after transient errors. To be closed by ``aclosing``.

    Args:
        client: The API server.
        namespaces: Where to look; None: everywhere.
        label_selector: As ``kubectl get -l``.
        policy: How each request is tried again.
        field_selector: As ``kubectl get --field-selector``.
        page_size: Pods per page.

    Raises:
        ApiError: A page could not be read.
        TransportError: Likewise, or the list does not end.
    """
    for namespace in namespaces:
        token: str | None = None
        guard = PageGuard(max_objects=_MAX_PODS, page_size=page_size)
        while True:
            read = partial(
                client.list_pods,
                namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                limit=page_size,
                continue_token=token,
            )
            page = await retrying(read, policy=policy, name=f"list pods {label_selector}")
            guard.check(len(page.items), page.continue_token)
            for pod in page.items:
                yield pod
            token = page.continue_token
            if not token:
                break


class ScopeReader:
    """Reads pods and Leases of one scope, trying again after transient errors.

    Attributes:
        scope: The scope.
        lease_namespace: Where the owners' Leases live.
        now: The time of day.

    Args:
        client: The API server.
        scope: The scope.
        lease_namespace: Where the owners' Leases live.
        policy: How each request is tried again: no runner is taken for gone because the server was busy.
        now: The time of day.
        page_size: Pods per page of a list.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        scope: str,
        lease_namespace: str,
        policy: RequestRetry,
        now: WallClock = utc_now,
        page_size: int = _PAGE_SIZE,
    ) -> None:
        self.scope: str = scope
        self.now: WallClock = now
        self._client = client
        self.lease_namespace: str = lease_namespace
        self._policy = policy
        self._page_size = page_size

    async def pods(
        self, namespaces: Sequence[str | None], *, field_selector: str = ""
    ) -> AsyncGenerator[Pod, None]:
        """Gives the scope's pods in these namespaces (None: in all). To be closed by ``aclosing``.

        Raises:
            ApiError: A page could not be read.
        """
        pods = each_pod(
            self._client,
            namespaces,
            label_selector=f"{MANAGED_BY}={MANAGER},{SCOPE}={safe_label(self.scope)}",
            field_selector=field_selector,
            policy=self._policy,
            page_size=self._page_size,
        )
        async with aclosing(pods):
            async for pod in pods:
                yield pod

    async def leases(self) -> AsyncGenerator[dict[str, Any], None]:
        """Gives the Leases of our scope, page by page. To be closed by ``aclosing``.

        Raises:
            ApiError: A page could not be read.
            TransportError: Likewise, or the list does not end.
        """
        selector = f"{MANAGED_BY}={MANAGER},{SCOPE}={safe_label(self.scope)}"
        token: str | None = None
        guard = PageGuard(max_objects=_MAX_PODS, page_size=_PAGE_SIZE)
        while True:
            read = partial(
                self._client.list_leases,
                self.lease_namespace,
                label_selector=selector,
                limit=_PAGE_SIZE,
                continue_token=token,
            )
            page = await self.retrying(read, name=f"list leases {selector}")
            token = page.continue_token
            guard.check(len(page.items), token)
            for lease in page.items:
                yield lease
            if not token:
                break

    async def is_gone(self, owner: str) -> bool:
        """Whether the owner's Lease is not held.

        Raises:
            ApiError: The Lease could not be read.
        """
        return lease_state(await self.lease(owner), now=self.now()) is not LeaseState.HELD

    async def lease(self, owner: str) -> dict[str, Any] | None:
        """Reads the owner's Lease; None: there is none.

        Raises:
            ApiError: The Lease could not be read.
        """
        try:
            return await self.retrying(
                lambda: self._client.read_lease(self.lease_namespace, lease_name(owner)),
                name=f"read lease of {owner}",
            )
        except NotFoundError:
            return None

    async def pod(self, namespace: str, name: str) -> Pod | None:
        """Reads a pod; None: there is none of that name.

        Raises:
            ApiError: The pod could not be read.
        """
        try:
            return await self.retrying(
                lambda: self._client.read_pod(namespace, name), name=f"read pod {namespace}/{name}"
            )
        except NotFoundError:
            return None

    async def retrying(self, call: Callable[[], Awaitable[T]], *, name: str) -> T:
        """Calls, and calls again after transient errors."""
        return await retrying(call, policy=self._policy, name=name)
