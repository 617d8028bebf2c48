"""Counts the requests that podrunner sends, by verb and resource: a transport that wraps the transport."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from podrunner import RunnerConfig
from podrunner.kube import KubeClient
from podrunner.kube.access import open_access
from podrunner.kube.connect import open_transport
from podrunner.kube.flow import AdaptiveLimit
from podrunner.kube.transport import Request, Response, Transport


class CountingTransport:
    """Forwards every request; ``calls`` counts ``POST pods``, ``GET pods/log``, ``WATCH pods``, …"""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.calls: Counter[str] = Counter()

    async def request(self, request: Request) -> Response:
        self.calls[name_of(request)] += 1
        return await self._inner.request(request)

    def stream(self, request: Request) -> Any:
        self.calls[name_of(request)] += 1
        return self._inner.stream(request)

    def upgrade(self, request: Request, subprotocols: Sequence[str]) -> Any:
        self.calls[name_of(request)] += 1
        return self._inner.upgrade(request, subprotocols)

    async def aclose(self) -> None:
        await self._inner.aclose()


def name_of(request: Request) -> str:
    """``verb resource[/subresource]`` of a request below ``…/namespaces/NAME/``; without names of objects."""
    target = urlsplit(request.target)
    parts = target.path.partition("/namespaces/")[2].split("/")[1:] or [target.path]
    resource = "/".join([parts[0], *parts[2:]])
    if request.method != "GET":
        return f"{request.method} {resource}"
    query = parse_qs(target.query)
    verb = "WATCH" if "watch" in query else "GET" if len(parts) > 1 else "LIST"
    return f"{verb} {resource}"


@asynccontextmanager
async def counted_client(config: RunnerConfig) -> AsyncIterator[tuple[KubeClient, Counter[str]]]:
    """Yield a client for a runner, and the count of its calls."""
    access = await open_access(config)
    transport = CountingTransport(open_transport(config, access))
    client = KubeClient(
        transport,
        credentials=access.credentials,
        headers=access.headers,
        timeout_s=config.request_timeout_s,
        creates=AdaptiveLimit(maximum=config.connections),
    )
    try:
        yield client, transport.calls
    finally:
        await client.aclose()


def summary(calls: Counter[str], pods: int) -> str:
    """Return the calls per pod, and the count of each call, in one line."""
    listed = ", ".join(f"{name} {count}" for name, count in calls.most_common())
    return f"{calls.total() / pods:.2f} API calls per pod ({listed})"
