"""One run of one container: its shim, its streams, its end. Restarts are decided in ``container.py``."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podrunner.local.kubelet.opening import Opening
from podrunner.local.kubelet.process import Shim, StartError
from podrunner.local.kubelet.stdio import (
    LINGER_S,
    AttachedProcess,
    Buffered,
    ExecProcess,
    PipeReader,
    PipeWriter,
    StreamName,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from podrunner.local.kubelet.logs import LogFile
    from podrunner.local.kubelet.memory import MemoryGuard, MemoryLimit
    from podrunner.local.kubelet.plan import ContainerPlan

__all__ = ["ContainerRun", "ExecFailedError", "StdioPipes", "open_stdio", "stop_signal"]


class ExecFailedError(Exception):
    """A program could not be started in a container; containerd's words."""


@dataclass(slots=True)
class StdioPipes:
    """The ends of a program's streams.

    Attributes:
        theirs: stdin, stdout and stderr of the program; closed once it has them.
        outputs: What is to be read.
        stdin: What is to be written, -1 if the program has no input.
        terminal: Master of its terminal, -1 without one.
    """

    theirs: tuple[int, int, int]
    outputs: dict[StreamName, int]
    stdin: int
    terminal: int

    def hand_over(self) -> None:
        """Close the program's ends here."""
        for fd in set(self.theirs):
            os.close(fd)


def open_stdio(*, stdin: bool, tty: bool) -> StdioPipes:
    """Pipes, or a terminal, for a program."""
    if tty:
        master, slave = pty.openpty()
        return StdioPipes((slave, slave, slave), {"stdout": os.dup(master)}, os.dup(master), master)
    if stdin:
        read_in, write_in = os.pipe()
    else:
        read_in, write_in = os.open(os.devnull, os.O_RDONLY), -1
    read_out, write_out = os.pipe()
    read_err, write_err = os.pipe()
    return StdioPipes((read_in, write_out, write_err), {"stdout": read_out, "stderr": read_err}, write_in, -1)


class ContainerRun:
    """A container running, or just ended.

    Args:
        plan: What to run.
        log: Where its output goes; closed at its end.
        stdin: Whether it has an input that stays open for attach.
        stdin_once: Whether that ends when the first client that wrote to it leaves.
        limit: Its memory limit.
        guard: Watches that limit.
    """

    def __init__(
        self,
        plan: ContainerPlan,
        log: LogFile,
        *,
        stdin: bool = False,
        stdin_once: bool = False,
        limit: MemoryLimit | None = None,
        guard: MemoryGuard | None = None,
    ) -> None:
        self.plan = plan
        self.log = log
        self._stdin_once = stdin_once
        self._limit = limit
        self._guard = guard
        self._listeners: list[Buffered] = []
        self._opening = Opening(asyncio.get_running_loop().time)
        stdio = open_stdio(stdin=stdin, tty=plan.spec["program"]["tty"])
        try:
            self.shim: Shim = Shim(asyncio.get_running_loop(), plan.spec, stdio.theirs)
        finally:
            stdio.hand_over()
        self._terminal = stdio.terminal
        self._stdin = PipeWriter(stdio.stdin, is_terminal=stdio.terminal >= 0) if stdio.stdin >= 0 else None
        self._open = len(stdio.outputs)
        self._drained = asyncio.Event()
        self._readers = [self._reader(name, fd) for name, fd in stdio.outputs.items()]
        self.ended: asyncio.Task[int] = asyncio.create_task(
            self._end(), name=f"container {log.path.parent.name}"
        )
        if limit is not None and guard is not None:
            guard.watch(limit, self.shim.pid, self.shim.kill)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self.ended.done()

    @property
    def out_of_memory(self) -> bool:
        """Whether it was killed for its memory limit; known once it ended."""
        return self._limit is not None and self._limit.killed()

    def release(self) -> None:
        """Release what was kept to learn how it ended."""
        if self._limit is not None:
            self._limit.release()

    async def stop(self, grace_s: float, number: int = signal.SIGTERM) -> None:
        """Ask it to end, and kill it after ``grace_s`` seconds."""
        self.shim.signal(number)
        await asyncio.wait([self.ended], timeout=max(grace_s, 0))
        self.shim.kill()
        await asyncio.shield(self.ended)

    async def exec(self, argv: Sequence[str], *, stdin: bool, tty: bool) -> ExecProcess:
        """Start another program in it.

        Raises:
            ExecFailedError: It cannot be started.
        """
        stdio = open_stdio(stdin=stdin, tty=tty)
        try:
            number, launch = self.shim.exec(self.plan.program(argv, tty=tty), stdio.theirs)
        finally:
            stdio.hand_over()
        writer = PipeWriter(stdio.stdin, is_terminal=tty) if stdio.stdin >= 0 else None
        process = ExecProcess(
            launch,
            stdio.outputs,
            stdin=writer,
            terminal=stdio.terminal,
            send=lambda value: self.shim.signal_exec(number, value),
        )
        try:
            await launch.started
        except StartError as error:
            await process.kill()
            raise ExecFailedError(_exec_words(argv, error)) from error
        return process

    def attach(self, *, stdin: bool) -> AttachedProcess:
        """Listen to it, and perhaps write to it."""
        buffer = Buffered(pause=self._pause, resume=self._resume)
        self._listeners = [each for each in self._listeners if not each.ended]
        for name, data in self._opening.take():
            buffer.put(name, data)
        if self.running and self._open:
            self._listeners.append(buffer)
        else:
            buffer.end()
        writer = self._stdin if stdin else None
        return AttachedProcess(
            self.shim, buffer, stdin=writer, terminal=self._terminal, leave=self._leaving(writer)
        )

    def _leaving(self, writer: PipeWriter | None) -> Callable[[], None]:
        def leave() -> None:
            if writer is not None and self._stdin_once:
                writer.close()

        return leave

    def _reader(self, name: StreamName, fd: int) -> PipeReader:
        return PipeReader(fd, lambda data: self._output(name, data), self._one_ended)

    def _output(self, name: StreamName, data: bytes) -> None:
        self.log.write(name, data)
        self._opening.put(name, data)
        for listener in self._listeners:
            listener.put(name, data)

    def _one_ended(self) -> None:
        self._open -= 1
        if not self._open:
            self._drained.set()

    def _pause(self) -> None:
        for reader in self._readers:
            reader.pause()

    def _resume(self) -> None:
        for reader in self._readers:
            reader.resume()

    async def _end(self) -> int:
        """Wait for the end and release all that the run held; return the exit code."""
        try:
            code = await asyncio.shield(self.shim.exited)
            await _at_most(self._drained.wait(), LINGER_S)
            return code
        finally:
            self._put_away()

    def _put_away(self) -> None:
        for reader in self._readers:
            reader.close()
        if self._stdin is not None:
            self._stdin.close()
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1
        for listener in self._listeners:
            listener.end()
        self.log.close()
        if self._guard is not None:
            self._guard.forget(self.shim.pid)


async def _at_most(waiting: Any, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await waiting
    except TimeoutError:
        pass


def _exec_words(argv: Sequence[str], error: StartError) -> str:
    why = f'unable to start container process: exec: "{argv[0]}": {error}: unknown'
    return f"failed to exec in container: failed to start exec: OCI runtime exec failed: exec failed: {why}"


def stop_signal(container: Any) -> int:
    """Return the signal that asks a container to end: SIGTERM unless its ``lifecycle.stopSignal`` names another."""
    name = (container.get("lifecycle") or {}).get("stopSignal", "SIGTERM")
    try:
        return signal.Signals[name]
    except KeyError:
        return signal.SIGTERM
