"""A runner's way to the server: slow, loses answers, can be cut, and breaks with the process at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import anyio
from podrunner.errors import RequestTimeoutError, TransportError
from podrunner.kube import KubeClient, Request, Response, RetryAfterGate
from tests.simulation.delivery.world import World
from tests.support.fake_server import FakeStream

LATENCIES_S = (0.0, 0.0, 0.0, 0.02, 0.5)


class Line:
    """The transport of one runner.

    Args:
        world: The server.
        random: Says how slow it is, and what is lost.
        loses: Share of the answers that are lost.
        breaks_at: At which point it breaks for good: before or after a request, counted from 1; None: never.
        on_break: Called at that point.
    """

    def __init__(
        self,
        world: World,
        random: Random,
        *,
        loses: float = 0.0,
        breaks_at: int | None = None,
        on_break: Callable[[], None] = lambda: None,
    ) -> None:
        self.is_cut = False
        self.loses = loses
        self._world = world
        self._random = random
        self._left = breaks_at
        self._on_break = on_break
        self._streams: set[FakeStream] = set()

    def client(self) -> KubeClient:
        return KubeClient(self, timeout_s=30, gate=RetryAfterGate(random=self._random))

    def cut(self) -> None:
        """From now on nothing goes through."""
        self.is_cut = True
        for stream in self._streams:
            stream.end(_no_route(sent=True))

    def mend(self) -> None:
        self.is_cut = False

    async def request(self, request: Request) -> Response:
        await self._travel(sent=False)
        answer = await self._world.request(request)
        await self._travel(sent=True)
        if self._random.random() < self.loses:
            raise RequestTimeoutError("no answer", method=request.method)
        self._world.hear(request, answer)
        return answer

    async def _travel(self, *, sent: bool) -> None:
        if self._left is not None and not self.is_cut:
            self._left -= 1
            if self._left <= 0:
                self.cut()
                self._on_break()
        await anyio.sleep(self._random.choice(LATENCIES_S))
        if self.is_cut:
            raise _no_route(sent=sent)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[FakeStream]:
        if self.is_cut:
            raise _no_route(sent=False)
        async with self._world.stream(request) as stream:
            self._streams.add(stream)
            try:
                yield stream
            finally:
                self._streams.discard(stream)

    def upgrade(self, request: Request, subprotocols: object) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing is open."""


def _no_route(*, sent: bool) -> TransportError:
    return TransportError("no route", method="GET", sent=sent)
