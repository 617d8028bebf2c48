"""Byte pipes: the buffer between a producer that cannot wait and a consumer that can, and what a connection is.

Protocols do not belong here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ByteBuffer", "ByteStream"]


class ByteStream(Protocol):
    """A connection to a client, be it a TCP connection or a tunnel through something else."""

    async def receive(self) -> bytes:
        """Return the next bytes; empty when the client is gone."""
        ...

    async def send(self, data: bytes) -> None:
        """Send all of ``data``, waiting while the client is slow. ConnectionError when it is gone."""
        ...


class ByteBuffer:
    """Bytes fed synchronously, taken asynchronously by one consumer.

    It does not bound itself: the producer watches ``size``, and ``on_taken`` notifies it when that shrinks.
    """

    def __init__(self, on_taken: Callable[[int], None] | None = None) -> None:
        self.size: int = 0
        self.ended: bool = False
        self._pieces: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._on_taken = on_taken

    def feed(self, data: bytes) -> None:
        """Add bytes; after the end they are dropped."""
        if data and not self.ended:
            self._pieces.append(data)
            self.size += len(data)
            self._news.set()

    def end(self) -> None:
        """No more will come; what is there can still be taken."""
        self.ended = True
        self._news.set()

    async def take(self) -> bytes:
        """Return the oldest piece, waiting for one; empty at the end."""
        while not self._pieces and not self.ended:
            self._news.clear()
            await self._news.wait()
        return self._pop() if self._pieces else b""

    def _pop(self) -> bytes:
        piece = self._pieces.popleft()
        self.size -= len(piece)
        if self._on_taken is not None:
            self._on_taken(len(piece))
        return piece

    def drop(self) -> None:
        """Drop what is there."""
        while self._pieces:
            self._pop()
