"""What the API server needs of the kubelet: logs, exec and attach of a pod's containers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from podrunner.local.streams import ContainerProcess

__all__ = ["LogOptions", "PodRuntime"]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """``PodLogOptions`` of a request.

    Attributes:
        follow: Go on until the container ends.
        previous: The run before the current one.
        since_seconds: Only lines of the last seconds; None for all.
        since_time: Only lines from this RFC 3339 time on; None for all.
        tail_lines: Only the last lines; None for all.
        limit_bytes: End after so many bytes; None for no limit.
        timestamps: Put each line's time before it.
    """

    follow: bool = False
    previous: bool = False
    since_seconds: int | None = None
    since_time: str | None = None
    tail_lines: int | None = None
    limit_bytes: int | None = None
    timestamps: bool = False


class PodRuntime(Protocol):
    """Serves the containers of running pods; :class:`~podrunner.local.kubelet.Kubelet` implements it."""

    def read_log(self, pod: Json, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Pieces of a log."""
        ...

    async def exec(
        self, pod: Json, container: str, argv: list[str], *, stdin: bool, tty: bool
    ) -> ContainerProcess:
        """Return a new process in a container."""
        ...

    async def attach(self, pod: Json, container: str, *, stdin: bool, tty: bool) -> ContainerProcess:
        """Return a container's main process."""
        ...
