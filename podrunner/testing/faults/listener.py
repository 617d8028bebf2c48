"""A TCP listener on the loopback address, with an event loop in a thread of its own, and what it can do to connections.

Faults of whole connections live here, since they need no knowledge of what is carried: refuse, cut, freeze. The
handling of one connection is handed in.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import threading
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from podrunner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

__all__ = ["HOST", "Connection", "Listener", "forever"]

_log = logging.getLogger(__name__)

T = TypeVar("T")

HOST = "127.0.0.1"
_LIMIT = 1024 * 1024
"""Longest head of a request or answer, in bytes: credentials and continue tokens may be long."""

_STOP_S = 10.0
_ROUNDS = 10
"""asyncio hands on what it has accepted, and closes what it was asked to close, a few rounds of its loop later."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Connection:
    """One end of a connection.

    Attributes:
        reader: What comes.
        frozen: Whether nothing goes out any more, though it stays open.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.frozen = False
        self._writer = writer

    @property
    def is_gone(self) -> bool:
        """Whether the other side has closed it."""
        return self.reader.at_eof() or self._writer.is_closing()

    async def send(self, data: bytes) -> None:
        """Send; on a frozen connection, wait for ever."""
        await self.pause_if_frozen()
        self._writer.write(data)
        await self._writer.drain()

    async def pause_if_frozen(self) -> None:
        """Wait for ever on a frozen connection."""
        if self.frozen:
            await forever()

    async def gone(self) -> None:
        """Return when the other side has closed it."""
        while not self.is_gone:  # noqa: ASYNC110  # asyncio's streams report it only to readers
            await asyncio.sleep(0.1)

    def reset(self) -> None:
        """Close it as a crash does: the other side gets RST, and what is on the way is lost."""
        raw = self._writer.get_extra_info("socket")
        if raw is not None:
            with suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._writer.transport.abort()

    def close(self) -> None:
        """Close it in good order."""
        self._writer.close()


class Listener:
    """Accepts connections in a thread of its own.

    Args:
        handle: Called with each connection, on the listener's loop; the connection is closed when it returns.
        name: Of the thread.
    """

    def __init__(self, handle: Callable[[Connection], Awaitable[None]], *, name: str) -> None:
        self._handle = handle
        self._name = name
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: asyncio.Server | None = None
        self._stopping: asyncio.Event | None = None
        self._open: dict[Connection, asyncio.Task[None]] = {}
        self.port: int = 0

    def start(self) -> None:
        """Start the thread; return when connections are accepted.

        Raises:
            UsageError: It runs already.
        """
        if self._thread is not None:
            raise UsageError(f"this {self._name} runs already")
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name=self._name, daemon=True)
        self._thread.start()
        started.result()

    def stop(self) -> None:
        """Close everything and end the thread. Twice is harmless."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        assert self._loop is not None
        assert self._stopping is not None
        self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join(_STOP_S)

    def cut(self) -> int:
        """Reset all connections. Return how many there were."""
        return self._call(self._cut)

    def freeze(self) -> int:
        """Let nothing pass any more on the connections that are open now. They stay open; new ones work."""
        return self._call(self._freeze)

    def down(self) -> None:
        """Reset all connections and refuse new ones, until :meth:`up`."""
        self._run_there(self._down())

    def up(self) -> None:
        """Accept connections again, at the same port."""
        self._run_there(self._listen())

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Be down for as long as a ``with`` block."""
        self.down()
        try:
            yield
        finally:
            self.up()

    def _call(self, function: Callable[[], T]) -> T:
        async def run() -> T:
            return function()

        return self._run_there(run())

    def _run_there(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._loop is None or self._thread is None:
            coroutine.close()
            raise UsageError(f"this {self._name} does not run")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_STOP_S)

    def _run(self, started: Future[None]) -> None:
        try:
            asyncio.run(self._main(started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _main(self, started: Future[None]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        await self._listen()
        started.set_result(None)
        await self._stopping.wait()
        await self._down()
        tasks = tuple(self._open.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _some_rounds()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, HOST, self.port, limit=_LIMIT)
            self.port = int(self._server.sockets[0].getsockname()[1])

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        task = self._open[connection] = asyncio.ensure_future(self._serve(connection))
        # Not at the end of the coroutine: one that is cancelled before it begins has none.
        task.add_done_callback(partial(self._end, connection))

    def _end(self, connection: Connection, _: object) -> None:
        del self._open[connection]
        connection.close()

    async def _serve(self, connection: Connection) -> None:
        try:
            await self._handle(connection)
        except (OSError, EOFError, ValueError, asyncio.CancelledError) as error:
            _log.debug("connection ended: %r", error)
            connection.reset()
        except Exception:  # noqa: BLE001  # an error of one connection does not stop the others; it is logged
            _log.exception("connection failed")
            connection.reset()

    def _cut(self) -> int:
        for connection in self._open:
            connection.reset()
        return len(self._open)

    def _freeze(self) -> int:
        for connection in self._open:
            connection.frozen = True
        return len(self._open)

    async def _down(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            for listening in server.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())
            # What is accepted already comes to _accept first: asyncio would lose a connection whose server is closed.
            await _some_rounds()
            server.close()
        self._cut()


async def forever() -> None:
    """Never return."""
    await asyncio.Event().wait()


async def _some_rounds() -> None:
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
