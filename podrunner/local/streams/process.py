"""What a process in a container must offer so that its streams can be served. No implementation belongs here."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

__all__ = ["ContainerProcess", "OutputName", "TerminalSize"]

OutputName = Literal["stdout", "stderr"]


class TerminalSize(NamedTuple):
    """The size of a terminal in character cells."""

    width: int
    height: int


class ContainerProcess(Protocol):
    """A started (exec) or joined (attach) process. One reader and one writer at a time."""

    async def read(self) -> tuple[OutputName, bytes] | None:
        """Return the next piece of output; None when all output has ended. With a terminal all of it is ``stdout``."""
        ...

    async def write_stdin(self, data: bytes) -> None:
        """Pass ``data`` on, waiting while the process is slow; what it does not read is dropped, or raises OSError."""
        ...

    async def close_stdin(self) -> None:
        """Let the process see the end of its input."""
        ...

    def resize(self, width: int, height: int) -> None:
        """Set the terminal's size in cells; without a terminal nothing happens."""
        ...

    async def wait(self) -> int:
        """Return the exit code, 128 + signal for a process that a signal ended."""
        ...

    async def kill(self) -> None:
        """End an exec'd process with its group, or leave an attached one: the client is gone. Release what is held."""
        ...
