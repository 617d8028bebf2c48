"""A command in a container at this terminal: keys go in, output comes out."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from podrunner.errors import TransportError
from podrunner.kube import ExecSession

__all__ = ["converse"]


async def converse(session: ExecSession, *, stdin: bool, tty: bool) -> int:
    """Pass input and output on until the command ends, and return its exit code."""
    with _raw_terminal(tty and stdin):
        async with anyio.create_task_group() as tasks:
            if stdin:
                tasks.start_soon(_pass_input, session, name="podrunner-exec-stdin")
            if tty:
                tasks.start_soon(_pass_size, session, name="podrunner-exec-size")
            async for output in session:
                _write(output.stream, output.data)
            tasks.cancel_scope.cancel()
    return session.exit_code


def _write(stream: str, data: bytes) -> None:
    target = sys.stdout.buffer if stream == "stdout" else sys.stderr.buffer
    target.write(data)
    target.flush()


async def _pass_input(session: ExecSession) -> None:
    while data := await _read_some(sys.stdin.fileno()):
        await session.write(data)
    if session.can_close_stdin:
        await session.close_stdin()


async def _read_some(descriptor: int) -> bytes:
    """Read what is there. A thread does it: standard input may be a file, which no event loop can wait for."""
    return await anyio.to_thread.run_sync(os.read, descriptor, 65_536, abandon_on_cancel=True)


async def _pass_size(session: ExecSession) -> None:
    try:
        await _send_size(session)
        with anyio.open_signal_receiver(signal.SIGWINCH) as changes:
            async for _ in changes:
                await _send_size(session)
    except TransportError:
        return  # the command ended; its exit code tells


async def _send_size(session: ExecSession) -> None:
    size = shutil.get_terminal_size()
    await session.resize(width=size.columns, height=size.lines)


@contextmanager
def _raw_terminal(wanted: bool) -> Iterator[None]:  # one caller, one meaning
    """Pass each key on at once, Ctrl-C too, and put the terminal back afterwards."""
    if not wanted or not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
