"""Subresources that are no plain objects: logs, exec, attach, port-forward, binding, eviction, tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from podrunner.local.objects import Objects
from podrunner.local.paths import Target

__all__ = ["LogOptions", "PodParts", "PodRuntime"]


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What of a log is asked for.

    Attributes:
        follow: Go on while the container runs.
        previous: The log of the run before.
        timestamps: Each line begins with its time.
        since_time: RFC 3339 time of the earliest line, None for all.
        since_seconds: The same as an age in seconds; None for all.
        tail_lines: Only so many last lines; None for all.
        limit_bytes: Stop after so many bytes; None for all.
    """

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since_time: str | None = None
    since_seconds: int | None = None
    tail_lines: int | None = None
    limit_bytes: int | None = None


class PodRuntime(Protocol):
    """What the API server needs of the kubelet."""

    def read_log(self, pod: dict[str, Any], container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Pieces of a log."""
        ...

    async def exec(self, pod: dict[str, Any], container: str, argv: list[str], *, stdin: bool, tty: bool) -> Any:
        """A new process in a container."""
        ...

    async def attach(self, pod: dict[str, Any], container: str, *, stdin: bool, tty: bool) -> Any:
        """A container's main process."""
        ...


class PodParts:
    def __init__(self, objects: Objects, runtime: PodRuntime | None) -> None:
        self._objects = objects
        self._runtime = runtime

    def serves(self, target: Target) -> bool:
        return False

    async def answer(self, request: web.Request, target: Target) -> web.StreamResponse:
        raise NotImplementedError
