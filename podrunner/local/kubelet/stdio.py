"""The streams of container processes: pipes and terminals on the event loop, and their listeners.

:class:`ExecProcess` and :class:`AttachedProcess` are what the API server's exec and attach read from and write to.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
import struct
import termios
from collections import deque
from typing import TYPE_CHECKING

from podrunner.local.streams.process import OutputName as StreamName

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.local.kubelet.process import Launch

__all__ = ["AttachedProcess", "Buffered", "ExecProcess", "PipeReader", "PipeWriter", "StreamName"]

CHUNK = 65_536
HIGH_WATER = 1 << 20
"""Bytes held for a slow client before the program's output is no longer read, so that the program waits."""
LINGER_S = 1.0
"""Seconds for which output is still read after a program's end, if another process holds its stream open."""


class PipeReader:
    """Reads a pipe or terminal in batches, as they come.

    Args:
        fd: To read from; owned, closed at the end.
        on_data: Called with each batch.
        on_end: Called once, when the stream ended or was closed.
    """

    def __init__(self, fd: int, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._on_data = on_data
        self._on_end = on_end
        self._pauses = 0
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)

    def pause(self) -> None:
        """Read no more until as many :meth:`resume`."""
        self._pauses += 1
        if self._fd >= 0 and self._pauses == 1:
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Undo one :meth:`pause`."""
        self._pauses -= 1
        if self._fd >= 0 and self._pauses == 0:
            self._loop.add_reader(self._fd, self._read)

    def close(self) -> None:
        """Read what is there, and close it."""
        while self._fd >= 0 and self._read():
            pass
        self._end()

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EIO:  # EIO: no process has the terminal open any more
                raise
            data = b""
        if not data:
            self._end()
            return False
        self._on_data(data)
        return True

    def _end(self) -> None:
        if self._fd < 0:
            return
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._on_end()


class PipeWriter:
    """Writes to a pipe or terminal without blocking the loop."""

    def __init__(self, fd: int, *, is_terminal: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._is_terminal = is_terminal
        os.set_blocking(fd, False)

    async def write(self, data: bytes) -> None:
        """Write all of it; what the other end no longer reads is dropped."""
        view = memoryview(data)
        while view and self._fd >= 0:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                await self._writable()
            except OSError:
                self.close()

    async def end_input(self) -> None:
        """Signal the end of input to the program: end-of-file on a pipe, Ctrl-D on a terminal."""
        if self._is_terminal:
            await self.write(b"\x04")
        else:
            self.close()

    def close(self) -> None:
        """Close it."""
        if self._fd >= 0:
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
            self._fd = -1

    async def _writable(self) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        fd = self._fd
        self._loop.add_writer(fd, _set, ready)
        try:
            await ready
        finally:
            if self._fd == fd:
                self._loop.remove_writer(fd)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Buffered:
    """Output on its way to one client: bounded by pausing the source."""

    def __init__(self, *, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._chunks: deque[tuple[StreamName, bytes]] = deque()
        self._size = 0
        self._ended = False
        self._paused = False
        self._pause = pause
        self._resume = resume
        self._changed = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether nothing is taken any more."""
        return self._ended

    def put(self, name: StreamName, data: bytes) -> None:
        """Add output."""
        if self._ended:
            return
        self._chunks.append((name, data))
        self._size += len(data)
        self._changed.set()
        if self._size > HIGH_WATER and not self._paused:
            self._paused = True
            self._pause()

    def end(self) -> None:
        """Add no more output."""
        self._ended = True
        self._changed.set()
        self._release()

    async def get(self) -> tuple[StreamName, bytes] | None:
        """Return the next output; None at the end."""
        while not self._chunks:
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        name, data = self._chunks.popleft()
        self._size -= len(data)
        if self._size < HIGH_WATER // 2:
            self._release()
        return name, data

    def _release(self) -> None:
        if self._paused:
            self._paused = False
            self._resume()


class ExecProcess:
    """A program started beside a container's own.

    Args:
        launch: Its start and end.
        outputs: Streams and the file descriptors to read them from; owned.
        stdin: Where its input goes, None if it has none.
        terminal: File descriptor of the terminal's master for its size, -1 without one.
        send: Sends it a signal.
    """

    def __init__(
        self,
        launch: Launch,
        outputs: dict[StreamName, int],
        *,
        stdin: PipeWriter | None,
        terminal: int,
        send: Callable[[int], None],
    ) -> None:
        self._launch = launch
        self._stdin = stdin
        self._terminal = terminal
        self._send = send
        self._open = len(outputs)
        self._buffer = Buffered(pause=self._pause, resume=self._resume)
        self._readers = [self._reader(name, fd) for name, fd in outputs.items()]
        launch.exited.add_done_callback(lambda _: self._after_exit())

    async def read(self) -> tuple[StreamName, bytes] | None:
        """Return the next output; None when all has ended."""
        return await self._buffer.get()

    async def write_stdin(self, data: bytes) -> None:
        """Pass input to the program; it is dropped if the program has closed its end."""
        if self._stdin is not None:
            await self._stdin.write(data)

    async def close_stdin(self) -> None:
        """End its input."""
        if self._stdin is not None:
            await self._stdin.end_input()

    def resize(self, width: int, height: int) -> None:
        """Set the size of its terminal, in characters."""
        resize_terminal(self._terminal, width, height)

    async def wait(self) -> int:
        """Exit code, 128 + signal number if a signal ended it."""
        return await asyncio.shield(self._launch.exited)

    async def kill(self) -> None:
        """End what was started for the client, which is gone, and release its streams."""
        self._send(signal.SIGKILL)
        self._close()

    def _reader(self, name: StreamName, fd: int) -> PipeReader:
        return PipeReader(fd, lambda data: self._buffer.put(name, data), self._one_ended)

    def _one_ended(self) -> None:
        self._open -= 1
        if not self._open:
            self._buffer.end()

    def _pause(self) -> None:
        for reader in self._readers:
            reader.pause()

    def _resume(self) -> None:
        for reader in self._readers:
            reader.resume()

    def _after_exit(self) -> None:
        if self._open:
            asyncio.get_running_loop().call_later(LINGER_S, self._close)
        else:
            self._close()

    def _close(self) -> None:
        for reader in self._readers:
            reader.close()
        if self._stdin is not None:
            self._stdin.close()
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1


class AttachedProcess:
    """A client's view of a container's main process.

    Args:
        launch: The program's start and end.
        buffer: Fed by the container's output.
        stdin: The container's input if the client wants to write to it.
        terminal: As of :class:`ExecProcess`; stays the container's.
        leave: Called once when the client is gone.
    """

    def __init__(
        self,
        launch: Launch,
        buffer: Buffered,
        *,
        stdin: PipeWriter | None,
        terminal: int,
        leave: Callable[[], None],
    ) -> None:
        self._launch = launch
        self._buffer = buffer
        self._stdin = stdin
        self._terminal = terminal
        self._leave = leave

    async def read(self) -> tuple[StreamName, bytes] | None:
        """Return the next output; None when all has ended."""
        return await self._buffer.get()

    async def write_stdin(self, data: bytes) -> None:
        """Pass input to the program; it is dropped if the program has closed its end."""
        if self._stdin is not None:
            await self._stdin.write(data)

    async def close_stdin(self) -> None:
        """Note that the client sends no more; ``stdinOnce`` decides whether the container's input ends."""
        self._leave()

    def resize(self, width: int, height: int) -> None:
        """Set the size of its terminal, in characters."""
        if not self._launch.exited.done():
            resize_terminal(self._terminal, width, height)

    async def wait(self) -> int:
        """Exit code, 128 + signal number if a signal ended it."""
        return await asyncio.shield(self._launch.exited)

    async def kill(self) -> None:
        """End what was started for the client, which is gone, and release its streams."""
        self._leave()
        self._buffer.end()


def resize_terminal(fd: int, width: int, height: int) -> None:
    """Set a terminal's size in characters; without a terminal nothing happens."""
    if fd >= 0:
        with contextlib.suppress(OSError):
            fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
