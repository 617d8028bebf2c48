"""One answer of the server to a request for a log: how long it may be silent, and when it is left to other readers.

A sink that takes its time is not the server's silence, and is never interrupted: the connection behind it is closed
instead, and the place found again later. What is read and where it goes is :mod:`podrunner.logs.follow`.
"""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from podrunner.errors import PodrunnerError
    from podrunner.logs.limiter import StreamPermit

__all__ = ["Connection"]


class Connection:
    """The limits of one connection.

    Attributes:
        follow: Whether it stays open until the container ends.
        scope: What the reading runs in; cancelled only while it waits for the server.
        error: What broke it; None if nothing did.
        failure: What the taker of the lines raised; None if nothing.
        complete: Whether it was read to its end, or broke.
        is_left: Whether it was given up because others wait for it.
    """

    def __init__(self, permit: StreamPermit, *, follow: bool, silence_s: float) -> None:
        self.follow = follow
        self.scope: anyio.CancelScope = anyio.CancelScope(deadline=anyio.current_time() + silence_s)
        self.error: PodrunnerError | None = None
        self.failure: Exception | None = None
        self.complete: bool = False
        self.is_left: bool = False
        self._permit = permit
        self._stream: AsyncIterator[bytes] | None = None
        self._opened = anyio.Event()
        self._silence_s = silence_s
        self._reading = True
        self._batches = 0
        self._moved = False
        self._is_due = False
        self._called = anyio.Event()
        self._closed = anyio.Event()
        self._ends: list[anyio.CancelScope] = []
        permit.on_recall = self._called.set

    def on_recall(self, watch: Callable[[], object]) -> None:
        """Has ``watch`` called when others begin to wait, for whoever does not wait in :meth:`over` all the time."""
        self._permit.on_recall = watch

    # The opener's side

    def begin(self, batches: AsyncIterator[bytes]) -> None:
        """It is open, and this is what comes."""
        self._stream = batches
        self._opened.set()

    def end(self, error: PodrunnerError) -> None:
        """It broke, or was never opened."""
        self.error = error
        self.complete = True
        self._opened.set()

    # The reading's side

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[AsyncIterator[bytes] | None]:
        """Waits until it is open; gives what comes, or None if it was refused."""
        await self._opened.wait()
        yield self._stream

    def pause(self) -> bool:
        """Something came and is handed on. False: it was given up in this very moment, and is to be read again."""
        self._batches += 1
        self._reading = False
        self.scope.deadline = math.inf
        return not self.scope.cancel_called

    def resume(self, *, moved: bool) -> bool:
        """Waits for the server again. False: it is time to leave, or the connection is closed already.

        Args:
            moved: Whether anything new came by this connection: who leaves without will never get on.
        """
        self._moved = moved
        if self.is_left or (self._is_due and self.follow and moved):
            self.is_left = True
            return False
        self._reading = True
        self.scope.deadline = anyio.current_time() + self._silence_s
        return True

    def shorten(self, silence_s: float) -> None:
        """Allows less silence from now on."""
        self._silence_s = min(self._silence_s, silence_s)
        if self._reading:
            self.scope.deadline = anyio.current_time() + self._silence_s

    def close(self) -> None:
        """The reading is over."""
        self._permit.on_recall = self._called.set
        self._closed.set()
        self._called.set()
        for scope in self._ends:
            scope.cancel()

    def until_closed(self) -> anyio.CancelScope:
        """A scope that ends with the reading."""
        scope = anyio.CancelScope()
        self._ends.append(scope)
        if self._closed.is_set():
            scope.cancel()
        return scope

    def release_permit(self) -> None:
        """The connection is closed, though the reading may be held up by a sink."""
        self._permit.release()

    # The other readers' side

    async def over(self) -> None:
        """Returns when the connection is to be closed: the reading is over, or others wait and it can be left."""
        if self._permit.ends_at == math.inf:
            await self._called.wait()
        if await self._closed_within(self._permit.ends_at - anyio.current_time()):
            return
        self._is_due = True
        batches = -1
        while not self._can_be_left(batches):
            batches = self._batches
            if await self._closed_within(self._permit.slice_s):
                return
        self.is_left = True
        if self._reading:
            self.scope.cancel()
            await self._closed.wait()
        else:
            self._permit.pass_over()

    def _can_be_left(self, batches: int) -> bool:
        """Looked at when the turn is over, and then once each such time.

        Whoever waits for the server is sent away, but for a draining reader, and one that has not got to anything new
        yet, which is given the time once more. Whoever waits for a sink, if that took nothing since the last look.
        """
        if not self._reading:
            return self._batches == batches
        return self.follow and (self._moved or not self._batches or batches >= 0)

    async def _closed_within(self, seconds: float) -> bool:
        with anyio.move_on_after(max(seconds, 0)):
            await self._closed.wait()
        return self._closed.is_set()
