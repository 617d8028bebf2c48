"""A transport that counts the requests it forwards, and notes when each create was sent and answered."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from podrunner.kube import Request, Response, ResponseStream, Transport, WebSocket

__all__ = ["CountingTransport", "call_of"]


class _Meta(msgspec.Struct):
    name: str = ""


class _Named(msgspec.Struct):
    metadata: _Meta


_name_in = msgspec.json.Decoder(_Named).decode


class CountingTransport:
    """Forwards every request.

    Args:
        inner: What sends them.

    Attributes:
        calls: How many there were of each: ``POST pods``, ``GET pods/log``, ``WATCH pods``, …
        creates: When the create request of each pod was sent first, and when one was answered with success, in
            monotonic seconds, by the pod's name.
    """

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.calls: Counter[str] = Counter()
        self.creates: dict[str, tuple[float, float]] = {}

    async def request(self, request: Request) -> Response:
        """Send a request; notes a create's times."""
        call = call_of(request.method, request.target)
        self.calls[call] += 1
        if call != "POST pods" or request.body is None:
            return await self._inner.request(request)
        name, sent = _name_in(request.body).metadata.name, time.monotonic()
        response = await self._inner.request(request)
        if response.status < 300:
            first = self.creates.get(name, (sent, sent))[0]
            self.creates[name] = (first, time.monotonic())
        return response

    def stream(self, request: Request) -> AbstractAsyncContextManager[ResponseStream]:
        """Send a request whose answer is a stream."""
        self.calls[call_of(request.method, request.target)] += 1
        return self._inner.stream(request)

    def upgrade(
        self, request: Request, subprotocols: Sequence[str]
    ) -> AbstractAsyncContextManager[WebSocket]:
        """Open a WebSocket."""
        self.calls[call_of(request.method, request.target)] += 1
        return self._inner.upgrade(request, subprotocols)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


def call_of(method: str, target: str) -> str:
    """Return ``verb resource[/subresource]`` of a request, without names of objects: ``GET pods/log``."""
    path, _, query = target.partition("?")
    parts = path.partition("/namespaces/")[2].split("/")[1:] or [path]
    resource = "/".join([parts[0], *parts[2:]])
    if method != "GET":
        return f"{method} {resource}"
    verb = "WATCH" if "watch=" in query else "GET" if len(parts) > 1 else "LIST"
    return f"{verb} {resource}"
