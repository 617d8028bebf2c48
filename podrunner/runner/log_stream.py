"""A pod's log as a stream of lines: what ``pod.logs()`` gives.

The reading is done by a task of the runner's, which hands whole batches over a short queue; iterating
therefore holds no task group and no connection of its own, may stop anywhere, and may be done from any task
or, in batches, from another thread. How lines are read from the server belongs to :mod:`podrunner.logs`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import anyio

from podrunner.errors import PodrunnerError
from podrunner.logs import LogBatch, LogGap, LogLine

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

__all__ = ["AsyncLogStream"]

# Batches of at most 64 KiB or so: enough to keep reader and writer busy, too few to matter in memory.
_BATCHES_WAITING: Final = 8

Item = LogBatch | LogGap | list[str]
"""A list is text without time stamps: lines of a local file."""
Put = Callable[[Item], Awaitable[None]]


class AsyncLogStream:
    """The lines of a container's log, each once and in order.

    Iterate over it (``async for line in pod.logs()``), or enter it first (``async with pod.logs() as lines``)
    to be sure that leaving early ends the reading at once. A gap appears as a line that begins with ``*** Log
    gap``, and in ``gaps``.

    Attributes:
        gaps: The gaps met so far.
    """

    def __init__(
        self,
        produce: Callable[[Put], Awaitable[None]],
        start: Callable[[Callable[[], Coroutine[Any, Any, None]]], None],
        *,
        timestamps: bool = False,
    ) -> None:
        self.gaps: list[LogGap] = []
        self._produce = produce
        self._start = start
        self._timestamps = timestamps
        self._scope = anyio.CancelScope()
        self._receive: MemoryObjectReceiveStream[Item] | None = None
        self._error: PodrunnerError | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> AsyncIterator[str]:
        return self._lines()

    async def next_lines(self) -> list[str]:
        """The next lines, as many as came together, at least one; an empty list at the end.

        Raises:
            PodrunnerError: The log cannot be read at all.
        """
        while (item := await self._next()) is not None:
            if lines := self._texts(item):
                return lines
        return []

    async def next_records(self) -> list[LogLine | LogGap]:
        """Like :meth:`next_lines`, as records: with time stamp, container and restart; gaps as gaps."""
        while (item := await self._next()) is not None:
            if records := _records(item):
                return records
        return []

    async def records(self) -> AsyncIterator[LogLine | LogGap]:
        """Iterates over records instead of lines."""
        try:
            while batch := await self.next_records():
                for record in batch:
                    yield record
        finally:
            self.close()

    def _texts(self, item: Item) -> list[str]:
        if isinstance(item, LogBatch):
            return item.texts(timestamps=self._timestamps)
        return [str(item)] if isinstance(item, LogGap) else item

    def close(self) -> None:
        """Ends the reading."""
        self._scope.cancel()
        if self._receive is not None:
            self._receive.close()

    async def _lines(self) -> AsyncIterator[str]:
        try:
            while batch := await self.next_lines():
                for line in batch:
                    yield line
        finally:
            self.close()

    async def _next(self) -> Item | None:
        try:
            item = await self._open().receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self.close()
            if self._error is not None:
                raise self._error from None
            return None
        if isinstance(item, LogGap):
            self.gaps.append(item)
        return item

    def _open(self) -> MemoryObjectReceiveStream[Item]:
        if self._receive is None:
            send, self._receive = anyio.create_memory_object_stream[Item](_BATCHES_WAITING)
            try:
                self._start(partial(self._run, send))
            except BaseException:
                send.close()
                self._receive.close()
                raise
        return self._receive

    async def _run(self, send: MemoryObjectSendStream[Item]) -> None:
        with self._scope, send:
            try:
                await self._produce(send.send)
            except anyio.BrokenResourceError:
                return  # the reader closed the stream
            except PodrunnerError as error:
                self._error = error


def _records(item: Item) -> list[LogLine | LogGap]:
    if isinstance(item, LogBatch):
        return [*item.records()]
    return [item] if isinstance(item, LogGap) else [LogLine(text) for text in item]
