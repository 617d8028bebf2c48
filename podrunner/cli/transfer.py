"""A tar stream between this process and a command in a container.

The stream is made and read by a thread, since ``tarfile`` blocks; its bytes pass through the event loop, piece by
piece, so that files of any size take no memory. What is in the stream does not belong here.
"""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import from_thread, to_thread

from podrunner.cli.failures import CopyError
from podrunner.errors import ExecError, PodrunnerError, TransportError
from podrunner.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from podrunner.kube import ExecSession

__all__ = ["receive", "send"]

T = TypeVar("T")

_KEPT_CHARACTERS = 2_000
"""As much of what a command writes to standard error as a message shows."""


class _Said:
    """What the command writes to standard error, as far as it is shown."""

    def __init__(self) -> None:
        self._data = b""

    def add(self, data: bytes) -> None:
        self._data = (self._data + data)[:_KEPT_CHARACTERS]

    def problem(self, exit_code: int) -> CopyError:
        """Return the error of a command that failed."""
        said = "; ".join(self._data.decode("utf-8", "replace").splitlines())
        return CopyError(redact(said) or f"tar in the container ended with exit code {exit_code}")


class _Reader(io.BytesIO):
    """The command's standard output, as a file for a thread."""

    def __init__(self, session: ExecSession, said: _Said, passed: Callable[[int], None]) -> None:
        super().__init__()
        self._session = session
        self._said = said
        self._passed = passed

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next piece, of whatever size; empty at the end."""
        del size
        from_thread.check_cancelled()  # a stream that never pauses would not be interrupted
        return from_thread.run(self.next_piece)

    async def next_piece(self) -> bytes:
        async for output in self._session:
            if output.stream == "stdout":
                self._passed(len(output.data))
                return output.data
            self._said.add(output.data)
        return b""


class _Writer(io.BytesIO):
    """The command's standard input, as a file for a thread."""

    def __init__(self, session: ExecSession, passed: Callable[[int], None]) -> None:
        super().__init__()
        self._session = session
        self._passed = passed

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # bytes is all that tarfile writes
        """Send all of it."""
        from_thread.check_cancelled()
        from_thread.run(self._session.write, data)
        self._passed(len(data))
        return len(data)


async def receive(
    session: ExecSession, consume: Callable[[IO[bytes]], T], *, passed: Callable[[int], None]
) -> T:
    """Read the stream that a command writes.

    Args:
        session: The command.
        consume: Reads the stream, in a thread.
        passed: Called with the number of bytes of each piece.

    Raises:
        CopyError: The command failed, or its stream is none or breaks off.
        TransportError: The connection broke.
    """
    said = _Said()
    reader = _Reader(session, said, passed)
    results: list[T] = []
    failure: tarfile.TarError | None = None
    try:
        results.append(await to_thread.run_sync(consume, reader))
    except tarfile.TarError as error:
        failure = error
    while await reader.next_piece():  # what pads the stream; then the exit code is known
        pass
    if session.exit_code:
        raise said.problem(session.exit_code)
    if failure is not None:
        raise CopyError(f"what tar in the container wrote cannot be read: {failure}")
    return results[0]


async def send(
    session: ExecSession, produce: Callable[[IO[bytes]], T], *, passed: Callable[[int], None]
) -> T:
    """Write a stream to a command.

    Args:
        session: The command; its standard input is open.
        produce: Writes the stream, in a thread.
        passed: Called with the number of bytes of each piece.

    Raises:
        CopyError: The command failed.
        OSError: What is copied cannot be read.
        TransportError: The connection broke.
    """
    said = _Said()
    results: list[T] = []
    failures: list[Exception] = []

    async def feed() -> None:
        try:
            results.append(await to_thread.run_sync(produce, _Writer(session, passed)))
            await session.close_stdin()
        except TransportError:
            return  # the command ended; what it said comes on the other way
        except (OSError, ExecError, PodrunnerError) as error:
            failures.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed, name="podrunner-cp-input")
        try:
            async for output in session:
                said.add(output.data)
        except PodrunnerError as error:
            failures.append(error)
        tasks.cancel_scope.cancel()
    if failures:
        raise failures[0]
    if session.exit_code or not results:
        raise said.problem(session.exit_code)
    return results[0]
