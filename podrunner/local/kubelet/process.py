"""A running shim, seen from the kubelet: start, signal, exec, exit.

Processes, sockets and file descriptors belong here. What runs in a container and why is decided elsewhere; what the
shim does with its commands is described in the package ``shim``.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podrunner.local.kubelet.proctree import descendants, parents

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Launch", "Shim", "StartError"]

SHIM = Path(__file__).with_name("shim")
FRAME = 12
STUBBORN_S = 2.0
"""Seconds that a shim has to end after the command to do so, before it is killed itself."""


class StartError(Exception):
    """A program, or its surroundings, could not be started.

    Attributes:
        errno: The operating system's error number, 0 if there is none.
    """

    def __init__(self, message: str, errno: int = 0) -> None:
        self.errno = errno
        super().__init__(message)


class Launch:
    """A program under a shim: when it started, and how it ended.

    Attributes:
        started: Its pid, as seen by the shim; :class:`StartError` if it did not start.
        exited: Its exit code, 128 + signal number if a signal ended it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.started: asyncio.Future[int] = loop.create_future()
        self.exited: asyncio.Future[int] = loop.create_future()

    def fail(self, error: StartError) -> None:
        """Record that it did not start."""
        if not self.started.done():
            self.started.set_exception(error)
            self.started.exception()  # retrieved: there need be no waiter

    def end(self, code: int) -> None:
        """Record that it ended."""
        self.fail(StartError("the container ended before the program was started"))
        if not self.exited.done():
            self.exited.set_result(code)


class Shim(Launch):
    """The processes of one container.

    Args:
        loop: The running loop.
        spec: What the shim reads.
        streams: File descriptors of the program's stdin, stdout and stderr; they stay the caller's.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, spec: dict[str, Any], streams: tuple[int, int, int]
    ) -> None:
        super().__init__(loop)
        self._loop = loop
        self._buffer = bytearray()
        self._number = 0
        self._launches: dict[int, Launch] = {0: self}
        self._process, self._control = _spawn(spec, streams)
        loop.add_reader(self._control, self._on_control)
        _on_exit(loop, self._process, self._on_exit)

    @property
    def pid(self) -> int:
        """Process id of the shim."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its end was not yet seen."""
        return not self.exited.done()

    def signal(self, number: int) -> None:
        """Send a signal to the container's program."""
        self._send(b"SIGN", value=number)

    def kill(self) -> None:
        """End all of the container's processes, at once."""
        if self.running:
            self._send(b"KILL")
            self._loop.call_later(STUBBORN_S, self._kill_shim)

    def exec(self, program: dict[str, Any], streams: tuple[int, int, int]) -> tuple[int, Launch]:
        """Start another program in the container; its number for :meth:`signal_exec`."""
        self._number += 1
        launch = self._launches[self._number] = Launch(self._loop)
        spec = _in_memory(marshal.dumps(program))
        try:
            self._send(b"EXEC", number=self._number, fds=(spec, *streams))
        finally:
            os.close(spec)
        if not self.running:
            launch.end(128 + signal.SIGKILL)
        return self._number, launch

    def signal_exec(self, number: int, value: int) -> None:
        """Send a signal to a program that :meth:`exec` started."""
        self._send(b"SIGX", number=number, value=value)

    def _send(self, kind: bytes, *, number: int = 0, value: int = 0, fds: tuple[int, ...] = ()) -> None:
        frame = kind + number.to_bytes(4, "little") + value.to_bytes(4, "little")
        with contextlib.suppress(OSError):  # it has ended, which its exit reports
            socket.send_fds(self._control, [frame], fds)

    def _kill_shim(self) -> None:
        if self.running:
            # Without a PID namespace those below it would live on.
            for pid in descendants(parents(), self.pid):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self._process.kill()

    def _on_control(self) -> None:
        try:
            data = self._control.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._control)
            return
        self._buffer += data
        while self._next_frame():
            pass

    def _next_frame(self) -> bool:
        if len(self._buffer) < FRAME:
            return False
        kind, value = bytes(self._buffer[:4]), int.from_bytes(self._buffer[8:12], "little")
        size = FRAME + (value if kind == b"FAIL" else 0)
        if len(self._buffer) < size:
            return False
        number = int.from_bytes(self._buffer[4:8], "little")
        text = self._buffer[FRAME:size].decode(errors="replace")
        del self._buffer[:size]
        self._report(kind, number, value, text=text)
        return True

    def _report(self, kind: bytes, number: int, value: int, *, text: str) -> None:
        launch = self._launches.get(number)
        if launch is None:
            return
        if kind == b"STRT" and not launch.started.done():
            launch.started.set_result(value)
        elif kind == b"FAIL":
            code, _, words = text.partition(" ")
            launch.fail(StartError(words, int(code)))
        elif kind == b"EXIT" and number:
            self._launches.pop(number).end(value)

    def _on_exit(self, status: int) -> None:
        self._on_control_rest()
        code = 128 - status if status < 0 else status
        for launch in tuple(self._launches.values()):
            launch.end(code if launch is self else 128 + signal.SIGKILL)
        self._launches.clear()
        self._loop.remove_reader(self._control)
        self._control.close()

    def _on_control_rest(self) -> None:
        if self._control.fileno() >= 0:
            self._on_control()


def _spawn(
    spec: dict[str, Any], streams: tuple[int, int, int]
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the shim. On the loop's own thread: the parent-death signal follows the starting *thread*."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003 - its only way
    fd = _in_memory(marshal.dumps({**spec, "parent": os.getpid()}))
    try:
        command = [sys.executable, "-I", "-S", str(SHIM), str(fd), str(theirs.fileno())]
        process = subprocess.Popen(  # noqa: S603 - a fixed program
            command,
            pass_fds=(fd, theirs.fileno()),
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            start_new_session=True,
            cwd="/",
            env={},
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(fd)
    return process, ours


def _in_memory(data: bytes) -> int:
    """Return a file descriptor from which ``data``, of any size, can be read; no process has to write to a pipe."""
    if sys.platform == "linux":
        fd = os.memfd_create("podrunner")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def _on_exit(
    loop: asyncio.AbstractEventLoop, process: subprocess.Popen[bytes], callback: Callable[[int], None]
) -> None:
    """Call back on the loop with the return code when a process ends; the process is reaped.

    asyncio's child watcher is no use here: the loop runs in a thread, and signals belong to the main one.
    """
    try:
        fd = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        _wait_in_thread(loop, process, callback)
        return

    def ended() -> None:
        loop.remove_reader(fd)
        os.close(fd)
        callback(process.wait())

    loop.add_reader(fd, ended)


def _wait_in_thread(
    loop: asyncio.AbstractEventLoop, process: subprocess.Popen[bytes], callback: Callable[[int], None]
) -> None:
    """As ``_on_exit``, where the system has no pidfd."""

    def wait() -> None:
        status = process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: no waiter is left
            loop.call_soon_threadsafe(callback, status)

    threading.Thread(target=wait, name=f"podrunner-wait-{process.pid}", daemon=True).start()
