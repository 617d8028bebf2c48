"""Where collected lines go: the protocol of a sink, and the sinks that need no files.

A sink belongs to one container of one pod. Its back-pressure is its own pod's: the collector awaits it, and
no other pod waits with it. What may block runs in worker threads: :class:`ThreadSink`. Files are
:mod:`podrunner.logs.files`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from io import TextIOBase
from typing import TYPE_CHECKING, BinaryIO, ParamSpec, Protocol, TextIO, TypeVar, cast

import anyio.to_thread

from podrunner.errors import LogError

if TYPE_CHECKING:
    from anyio.abc import ByteSendStream

    from podrunner.logs.cursor import LogCursor
    from podrunner.logs.record import LogBatch, LogGap

__all__ = [
    "AsyncStreamSink",
    "CallableSink",
    "LogSink",
    "LoggingSink",
    "SinkFactory",
    "StreamSink",
    "ThreadSink",
]

P = ParamSpec("P")
T = TypeVar("T")


class LogSink(Protocol):
    """Takes one container's log. Whatever a method raises is counted and ends this sink, never the pod.

    An ``OSError`` that may pass (no space, no file handles: ``podrunner.logs.outlet.PASSING``) says that nothing was
    taken: the method is called again with the same item. Once the container has ended and the drain time is over, the
    sink gets a :class:`LogGap` instead of what it could not take. A method must not block the event loop.
    """

    async def open(self, *, uid: str, container: str) -> LogCursor | None:
        """Makes ready; returns where an earlier sink of the same kind stopped, or None to start afresh."""
        ...

    async def write(self, batch: LogBatch, cursor: LogCursor) -> None:
        """Takes whole lines; ``cursor`` is where the reader stands after them."""
        ...

    async def gap(self, gap: LogGap, cursor: LogCursor) -> None:
        """Takes a gap: lines are missing here."""
        ...

    async def close(self, cursor: LogCursor) -> None:
        """The log is over, or the reader stops; ``cursor.complete`` says which."""
        ...


SinkFactory = Callable[[str], LogSink]
"""Makes the sink for a container, given its name."""


class ThreadSink:
    """A sink whose work may block: it is done in a worker thread, which no other sink waits for.

    Attributes:
        may_write: Returns whether the pod is still this runner's; asked in the thread, right before the work. A process
            that was stopped may wake there.
    """

    def __init__(self, may_write: Callable[[], bool] = lambda: True) -> None:
        self.may_write = may_write
        self._limiter: anyio.CapacityLimiter | None = None

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Does the work. If the caller is cancelled, a thread that hangs is left behind."""
        self._limiter = self._limiter or anyio.CapacityLimiter(1)
        job = partial(self._guarded, partial(work, *args, **kwargs))
        return await anyio.to_thread.run_sync(job, limiter=self._limiter, abandon_on_cancel=True)

    def _guarded(self, work: Callable[[], T]) -> T:
        if not self.may_write():
            raise LogError("the pod is another runner's")
        return work()


class CallableSink(ThreadSink):
    """Hands batches and gaps to a function of the user's.

    Args:
        function: An async function is awaited in the event loop and must not block it. Any other is called in a worker
            thread, one call at a time, and may block.
    """

    def __init__(self, function: Callable[[LogBatch | LogGap], Awaitable[None] | None]) -> None:
        super().__init__()
        self._function = function
        self._is_async = any(
            map(inspect.iscoroutinefunction, (function, getattr(function, "__call__", None)))  # noqa: B004
        )

    async def open(self, *, uid: str, container: str) -> LogCursor | None:
        """Nothing to make ready; a function remembers nothing."""
        del uid, container
        return None  # as a method of the protocol it has a value

    async def write(self, batch: LogBatch, cursor: LogCursor) -> None:
        """Calls the function with the batch."""
        del cursor
        await self._call(batch)

    async def gap(self, gap: LogGap, cursor: LogCursor) -> None:
        """Calls the function with the gap."""
        del cursor
        await self._call(gap)

    async def close(self, cursor: LogCursor) -> None:
        """Nothing to close."""
        del cursor

    async def _call(self, item: LogBatch | LogGap) -> None:
        if self._is_async:
            answer = self._function(item)
        else:
            answer = await self._in_thread(self._function, item)
        if answer is not None:
            await answer


class LoggingSink(ThreadSink):
    """Hands each line to a logger of Python's ``logging``; a gap is a warning.

    Each record bears ``container``, ``restart`` and ``timestamp`` (the node's, "" if there is none) as extras.

    Args:
        logger: Where to; its handlers run in a worker thread, and may block.
        level: The level of a line.
    """

    def __init__(self, logger: logging.Logger, *, level: int = logging.INFO) -> None:
        super().__init__()
        self._logger = logger
        self._level = level

    async def open(self, *, uid: str, container: str) -> LogCursor | None:
        """Nothing to make ready; a logger remembers nothing."""
        del uid, container
        return None  # as a method of the protocol it has a value

    async def write(self, batch: LogBatch, cursor: LogCursor) -> None:
        """Logs each line, unless the level is switched off."""
        del cursor
        if self._logger.isEnabledFor(self._level):
            await self._in_thread(self._log, batch)

    def _log(self, batch: LogBatch) -> None:
        for line in batch.records():
            extra = {"container": line.container, "restart": line.restart, "timestamp": line.timestamp}
            self._logger.log(self._level, "%s", line.text, extra=extra)

    async def gap(self, gap: LogGap, cursor: LogCursor) -> None:
        """Logs the gap as a warning."""
        del cursor
        extra = {"container": gap.container, "restart": gap.restart, "timestamp": gap.after or ""}
        await self._in_thread(self._logger.warning, "%s", gap, extra=extra)

    async def close(self, cursor: LogCursor) -> None:
        """Nothing to close."""
        del cursor


class StreamSink(ThreadSink):
    """Writes to an open file, a pipe or a terminal, in a worker thread, and flushes after each batch.

    The stream stays open, and may serve several pods: a batch is written by one call. What cannot be encoded in a text
    stream's encoding is replaced.

    Args:
        stream: Where to, text or bytes, such as ``sys.stdout``.
        timestamps: Whether lines keep the time stamps of the node.
    """

    def __init__(self, stream: TextIO | BinaryIO, *, timestamps: bool = False) -> None:
        super().__init__()
        self._stream = stream
        self._timestamps = timestamps
        text = isinstance(stream, TextIOBase) or hasattr(stream, "encoding")
        self._encoding = (getattr(stream, "encoding", None) or "utf-8") if text else None

    async def open(self, *, uid: str, container: str) -> LogCursor | None:
        """Nothing to make ready; a stream remembers nothing."""
        del uid, container
        return None  # as a method of the protocol it has a value

    async def write(self, batch: LogBatch, cursor: LogCursor) -> None:
        """Writes the lines."""
        del cursor
        await self._in_thread(self._write, batch.content(timestamps=self._timestamps))

    async def gap(self, gap: LogGap, cursor: LogCursor) -> None:
        """Writes a line that says what is missing."""
        del cursor
        await self._in_thread(self._write, f"{gap}\n".encode())

    async def close(self, cursor: LogCursor) -> None:
        """The stream is not this sink's to close."""
        del cursor

    def _write(self, content: bytes) -> None:
        try:
            self._put(content)
        except OSError as error:  # never given again: a part of it may be written
            raise LogError(f"the stream took a part of some lines at most: {error}") from error

    def _put(self, content: bytes) -> None:
        if self._encoding is None:
            cast("BinaryIO", self._stream).write(content)
        else:
            text = content.decode("utf-8", "replace").encode(self._encoding, "replace").decode(self._encoding)
            cast("TextIO", self._stream).write(text)
        self._stream.flush()


class AsyncStreamSink:
    """Sends to an anyio byte stream, such as a socket; its back-pressure is the pod's. The stream stays open.

    Args:
        stream: Where to. It takes one sender at a time, so that it serves one container.
        timestamps: Whether lines keep the time stamps of the node.
    """

    def __init__(self, stream: ByteSendStream, *, timestamps: bool = False) -> None:
        self._stream = stream
        self._timestamps = timestamps

    async def open(self, *, uid: str, container: str) -> LogCursor | None:
        """Nothing to make ready; a stream remembers nothing."""
        del uid, container
        return None  # as a method of the protocol it has a value

    async def write(self, batch: LogBatch, cursor: LogCursor) -> None:
        """Sends the lines."""
        del cursor
        await self._stream.send(batch.content(timestamps=self._timestamps))

    async def gap(self, gap: LogGap, cursor: LogCursor) -> None:
        """Sends a line that says what is missing."""
        del cursor
        await self._stream.send(f"{gap}\n".encode())

    async def close(self, cursor: LogCursor) -> None:
        """The stream is not this sink's to close."""
        del cursor
