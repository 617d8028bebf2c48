"""A line before an API server that flips one bit per so many bytes of what the server sends, at random."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from podrunner.testing.faults.listener import Connection, Listener

__all__ = ["SpoilingLine"]


class SpoilingLine:
    """Passes bytes on, without TLS; headers, lengths and bodies may be changed.

    Args:
        port: Of the server.
        seed: Of the random source.
        every_bytes: How many bytes there are to one flipped bit, on average.
    """

    def __init__(self, port: int, *, seed: int, every_bytes: int) -> None:
        self.flips = 0
        self._server = port
        self._random = Random(seed)
        self._rate = 1 / every_bytes
        self._listener = Listener(self._pass_both, name="spoiling line")

    @property
    def port(self) -> int:
        return self._listener.port

    @contextmanager
    def open(self) -> Iterator[None]:
        self._listener.start()
        try:
            yield
        finally:
            self._listener.stop()

    async def _pass_both(self, client: Connection) -> None:
        server = Connection(*await asyncio.open_connection("127.0.0.1", self._server))
        both = [
            asyncio.ensure_future(self._ask(client, server)),
            asyncio.ensure_future(self._answer(server, client)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            server.reset()

    async def _ask(self, client: Connection, server: Connection) -> None:
        while data := await client.reader.read(65536):
            await server.send(data)

    async def _answer(self, server: Connection, client: Connection) -> None:
        left = self._random.expovariate(self._rate)
        while data := await server.reader.read(65536):
            spoilt = bytearray(data)
            while left < len(spoilt):
                spoilt[int(left)] ^= 1 << self._random.randrange(7)
                self.flips += 1
                left += self._random.expovariate(self._rate)
            left -= len(spoilt)
            await client.send(bytes(spoilt))
