"""What of a scope is there: its pods, page by page, and whether an owner is gone. Reading only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from podrunner.builder import safe_label
from podrunner.builder.labels import MANAGED_BY, MANAGER, SCOPE
from podrunner.errors import NotFoundError
from podrunner.kube import RequestRetry, retrying
from podrunner.ownership.leases import LeaseState, WallClock, lease_name, lease_state, utc_now

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from podrunner.kube import KubeClient, PodPage
    from podrunner.outcome.record import Pod

__all__ = ["ScopeReader"]

T = TypeVar("T")


class ScopeReader:
    """Reads pods and Leases of one scope, trying again after passing trouble.

    Attributes:
        scope: The scope.
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
        page_size: int = 500,
    ) -> None:
        self.scope: str = scope
        self.now: WallClock = now
        self._client = client
        self._lease_namespace = lease_namespace
        self._policy = policy
        self._page_size = page_size

    async def pods(
        self, namespaces: Sequence[str | None], *, field_selector: str = ""
    ) -> AsyncGenerator[Pod, None]:
        """Gives the scope's pods in these namespaces (None: in all). To be closed by ``aclosing``.

        Raises:
            ApiError: A page could not be read.
        """
        for namespace in namespaces:
            token: str | None = None
            while True:
                page = await self._page(namespace, token, field_selector)
                for pod in page.items:
                    yield pod
                token = page.continue_token
                if not token:
                    break

    async def _page(self, namespace: str | None, token: str | None, field_selector: str) -> PodPage:
        selector = f"{MANAGED_BY}={MANAGER},{SCOPE}={safe_label(self.scope)}"
        return await self.retrying(
            lambda: self._client.list_pods(
                namespace,
                label_selector=selector,
                field_selector=field_selector,
                limit=self._page_size,
                continue_token=token,
            ),
            name=f"list pods of scope {self.scope}",
        )

    async def is_gone(self, owner: str) -> bool:
        """Whether the owner's Lease is not held.

        Raises:
            ApiError: The Lease could not be read.
        """
        try:
            lease: dict[str, Any] | None = await self.retrying(
                lambda: self._client.read_lease(self._lease_namespace, lease_name(owner)),
                name=f"read lease of {owner}",
            )
        except NotFoundError:
            lease = None
        return lease_state(lease, now=self.now()) is not LeaseState.HELD

    async def retrying(self, call: Callable[[], Awaitable[T]], *, name: str) -> T:
        """Calls, and calls again after passing trouble."""
        return await retrying(call, policy=self._policy, name=name)
