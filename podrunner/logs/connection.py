"""One stream of a log: how long the server may be silent, and how the stream is closed for other readers.

A sink that takes its time is not the server's silence, and its call is never interrupted: the stream behind it is
closed instead, and the log resumed later. When a stream is left is decided in :mod:`podrunner.logs.states`; what is
read is fed to that by :mod:`podrunner.logs.follow`.
"""

from __future__ import annotations

import math
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio

from podrunner.errors import PodrunnerError
from podrunner.event_loop import current_time, make_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from anyio.abc import TaskGroup

    from podrunner.logs.limiter import StreamPermit

__all__ = ["Connection"]


class Connection:
    """A stream, its permit and its time limits.

    Args:
        permit: The permit that is held.
        silence_s: For how many seconds the server may be silent.
        slice_elapsed: Called when the permit's time slice is over and other readers wait, then once each slice;
            returns whether the stream is left.

    Attributes:
        scope: What the reading runs in; cancelled only while it waits for the server.
        failure: The error of a sink; None if there was none.
    """

    def __init__(self, permit: StreamPermit, *, silence_s: float, slice_elapsed: Callable[[], bool]) -> None:
        self.scope: anyio.CancelScope = anyio.CancelScope(deadline=current_time() + silence_s)
        self.failure: Exception | None = None
        self._permit = permit
        self._slice_elapsed = slice_elapsed
        self._waits_for_server = True
        self._stream: AsyncIterator[bytes] | PodrunnerError | None = None
        self._opened = make_event()
        self._recalled = make_event()
        self._closed = make_event()
        self._ends: list[anyio.CancelScope] = []
        permit.on_recall = self._recalled.set

    # The reader's side

    def opened(
        self, stream: AbstractAsyncContextManager[AsyncIterator[bytes]], group: TaskGroup, *, name: str
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Opens the stream in a task of its own, which can close it while a sink takes its time.

        Where permits are plentiful, that is not worth the task: the reader opens the stream itself.
        """
        if self._permit.limiter_has_spare and self._permit.ends_at == math.inf:
            self._permit.on_recall = partial(group.start_soon, self._until_left, name=f"log-recall {name}")
            return stream
        group.start_soon(self._hold, stream, name=f"log-open {name}")
        return self._held()

    def pause(self) -> bool:
        """Stops the clock of silence: something came. False: the scope is cancelled in this very moment."""
        self._waits_for_server = False
        self.scope.deadline = math.inf
        return not self.scope.cancel_called

    def resume(self, silence_s: float) -> None:
        """Waits for the server again, for so many seconds."""
        self._waits_for_server = True
        self.scope.deadline = current_time() + silence_s

    def shorten(self, silence_s: float) -> None:
        """Allows so many seconds of silence from now on, if the server is waited for."""
        if self._waits_for_server:
            self.scope.deadline = current_time() + silence_s

    def close(self) -> None:
        """Ends all tasks of the connection: the reading is over."""
        self._permit.on_recall = self._recalled.set
        self._closed.set()
        self._recalled.set()
        for scope in self._ends:
            scope.cancel()

    def until_closed(self) -> anyio.CancelScope:
        """Returns a scope that ends with the reading."""
        scope = anyio.CancelScope()
        self._ends.append(scope)
        if self._closed.is_set():
            scope.cancel()
        return scope

    # The side of the other readers

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[AsyncIterator[bytes]]:
        await self._opened.wait()
        if isinstance(self._stream, PodrunnerError):
            raise self._stream
        assert self._stream is not None
        yield self._stream

    async def _hold(self, opening: AbstractAsyncContextManager[AsyncIterator[bytes]]) -> None:
        """Holds the stream, and with it the permit: both may have to go while a sink still takes its time."""
        async with AsyncExitStack() as stack:
            with self.until_closed():
                try:
                    self._stream = await stack.enter_async_context(opening)
                except PodrunnerError as error:
                    self._stream = error
                self._opened.set()
            with anyio.CancelScope(shield=True):  # the reading always closes the connection, and first
                await self._until_left()
        if not self._closed.is_set():
            self._permit.release()

    async def _until_left(self) -> None:
        """Returns when the stream is to be closed: the reading is over, or other readers wait and it is left."""
        if self._permit.ends_at == math.inf:
            await self._recalled.wait()
        slice_s = self._permit.ends_at - current_time()
        while not await self._closed_within(slice_s):
            if self._slice_elapsed():
                await self._leave()
                return
            slice_s = self._permit.slice_s

    async def _leave(self) -> None:
        if self._waits_for_server:
            self.scope.cancel()
            await self._closed.wait()
        else:
            self._permit.pass_over()

    async def _closed_within(self, seconds: float) -> bool:
        with anyio.move_on_after(max(seconds, 0)):
            await self._closed.wait()
        return self._closed.is_set()
