"""Pods as they change: a list, then a watch, begun anew whenever the server ends it or the connection breaks.

A command shows what it is given; that a pod ended is never concluded here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import anyio

from podrunner.cli.failures import one_line
from podrunner.errors import ApiError, ForbiddenError, PodrunnerError, TransportError, UnauthorizedError

if TYPE_CHECKING:
    from podrunner.kube import KubeClient
    from podrunner.outcome.record import Pod

__all__ = ["PodChange", "PodWatching"]

_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 30.0
_DOUBLED: Final = 5
"""After so many failures in a row the wait is the longest; of a thousand, a float cannot hold the power of two."""
_WATCH_S: Final = 290.0
"""Common load balancers cut a connection after 300 s."""
_SILENT_S: Final = 120.0


class PodChange(NamedTuple):
    """What is there at the beginning, or a pod that changed.

    Attributes:
        pods: The pods that there are, after a list; else the one that changed.
        is_list: Whether these are all.
        is_gone: Whether the pod was deleted.
        trouble: Why nothing is known at present; "" otherwise.
    """

    pods: tuple[Pod, ...] = ()
    is_list: bool = False
    is_gone: bool = False
    trouble: str = ""


OnChange: TypeAlias = Callable[[PodChange], Awaitable[None]]


class PodWatching:
    """Lists and watches pods for a command.

    Args:
        client: Talks to the cluster.
        namespace: Whose pods; None: of all namespaces.
        selector: Only pods with these labels.
        attempts: Failures in a row after which the last one is raised; 0: any number.
        on_change: Called with the list, then with each change; also with the trouble, while the server cannot be asked.
    """

    def __init__(
        self, client: KubeClient, namespace: str | None, *, selector: str, attempts: int, on_change: OnChange
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._selector = selector
        self._attempts = attempts
        self._on_change = on_change
        self._failures = 0

    async def run(self) -> None:
        """Watch without an end.

        Raises:
            PodrunnerError: The first list fails, the server refuses, or it fails too often.
        """
        has_listed = False
        while True:
            try:
                page = await self._client.list_pods(self._namespace, label_selector=self._selector)
                await self._on_change(PodChange(tuple(page.items), is_list=True))
                has_listed = True
                await self._watch_from(page.resource_version)
            except (TransportError, ApiError) as error:
                if not has_listed or not self._may_go_on(error):
                    raise
                await self._on_change(PodChange(trouble=one_line(str(error))))
            await anyio.sleep(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(self._failures, _DOUBLED)))

    def _may_go_on(self, error: PodrunnerError) -> bool:
        self._failures += 1
        is_passing = not isinstance(error, (ForbiddenError, UnauthorizedError))
        return is_passing and not 0 < self._attempts <= self._failures

    async def _watch_from(self, version: str) -> None:
        """Pass on changes until the watch ends, or is silent for too long: a bookmark comes each minute."""
        async with self._client.watch_pods(
            self._namespace,
            label_selector=self._selector,
            resource_version=version,
            timeout_s=_WATCH_S,
        ) as stream:
            self._failures = 0
            while True:
                with anyio.move_on_after(_SILENT_S) as silence:
                    batch = await anext(stream, None)
                if silence.cancelled_caught or batch is None:
                    return
                for event in batch:
                    if event.type == "ERROR":
                        return
                    if event.pod is not None:
                        await self._on_change(PodChange((event.pod,), is_gone=event.type == "DELETED"))
