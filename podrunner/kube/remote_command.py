"""Run a command in a container over a WebSocket: the channels, and what the end means.

Subprotocols ``v5.channel.k8s.io`` (KEP-4006: can close stdin) and ``v4.channel.k8s.io``. Each message begins with the
number of its channel. How the WebSocket is opened does not belong here (``session``, the transports).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import anyio
import msgspec

from podrunner.errors import ExecError, TransportError, UsageError
from podrunner.kube.bodies import MAX_BODY_BYTES
from podrunner.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from podrunner.kube.transport import WebSocket

__all__ = ["SUBPROTOCOLS", "ExecOutput", "ExecResult", "ExecSession", "exit_code_of", "run_to_end"]

V5 = "v5.channel.k8s.io"
V4 = "v4.channel.k8s.io"
SUBPROTOCOLS = (V5, V4)

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = b"\x00", 1, 2, 3, b"\x04", b"\xff"

CHUNK_BYTES = 32 * 1024
"""kubectl's own buffer; some servers refuse messages over 64 KiB."""

AFTER_END_S = 5.0
"""Seconds that a server may take to close after it sent the exit code, while the last output arrives."""


class ExecOutput(msgspec.Struct, frozen=True, gc=False):
    """A piece of output, as it came."""

    stream: Literal["stdout", "stderr"]
    data: bytes


class ExecResult(msgspec.Struct, frozen=True, gc=False):
    """How a command ended, and all it wrote. 128 + signal if a signal ended it."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class ExecSession:
    """A command that runs in a container.

    Iterate over its output; when that ends, :attr:`exit_code` is known. One task may iterate while another writes.
    """

    def __init__(self, socket: WebSocket, *, secrets: Collection[str] = ()) -> None:
        self._socket = socket
        self._secrets = secrets
        self._exit_code: int | None = None

    @property
    def exit_code(self) -> int:
        """The command's exit code.

        Raises:
            UsageError: The output was not read to its end yet.
        """
        if self._exit_code is None:
            raise UsageError("the command has not ended yet; read its output to the end first")
        return self._exit_code

    @property
    def can_close_stdin(self) -> bool:
        """Whether the server understands the end of stdin: Kubernetes ≥ 1.30 does."""
        return self._socket.subprotocol == V5

    def __aiter__(self) -> ExecSession:
        return self

    async def __anext__(self) -> ExecOutput:
        output = await self.read()
        if output is None:
            raise StopAsyncIteration
        return output

    async def read(self) -> ExecOutput | None:
        """Return the next piece of output, or None when the command has ended.

        Raises:
            ExecError: The command could not be run; the server says why.
            TransportError: The connection ended before the command.
        """
        while (message := await self._receive()) is not None:
            channel, data = message[:1], message[1:]
            if not data:  # the server opens each channel with an empty message
                continue
            if channel[0] == ERROR:
                self._exit_code = exit_code_of(data, secrets=self._secrets)
            elif channel[0] in {STDOUT, STDERR}:
                return ExecOutput("stdout" if channel[0] == STDOUT else "stderr", data)
        if self._exit_code is None:
            raise TransportError("the connection ended before the command did; its exit code is not known")
        return None

    async def _receive(self) -> bytes | None:
        if self._exit_code is None:
            return await self._socket.receive()
        with anyio.move_on_after(AFTER_END_S):
            return await self._socket.receive()
        return None

    async def write(self, data: bytes) -> None:
        """Write to the command's standard input.

        Raises:
            TransportError: The connection is gone; the command may have ended.
        """
        for start in range(0, len(data), CHUNK_BYTES):
            await self._socket.send(STDIN + data[start : start + CHUNK_BYTES])

    async def close_stdin(self) -> None:
        """End the command's standard input.

        Raises:
            ExecError: The server speaks only the older subprotocol, which cannot say it.
        """
        if not self.can_close_stdin:
            raise ExecError(
                "this server does not take the end of stdin (it needs v5.channel.k8s.io, Kubernetes 1.30 or newer)"
            )
        await self._socket.send(CLOSE + STDIN)

    async def resize(self, *, width: int, height: int) -> None:
        """Send the size of the command's terminal in characters."""
        await self._socket.send(RESIZE + msgspec.json.encode({"Width": width, "Height": height}))


def exit_code_of(data: bytes, *, secrets: Collection[str] = ()) -> int:
    """Read the Status that ends a command.

    Args:
        data: The message of the error channel.
        secrets: The credentials that were sent: a server may quote them.

    Raises:
        ExecError: It is not about an exit code: the command could not be run.
    """
    try:
        status = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ExecError(redact(data.decode("utf-8", "replace"), secrets=secrets)) from None
    if not isinstance(status, dict):
        raise ExecError(f"the server ended the command with {redact(str(status), secrets=secrets)}")
    if status.get("status") == "Success":
        return 0
    code = _exit_code_cause(status) if status.get("reason") == "NonZeroExitCode" else None
    if code is None:
        message = str(status.get("message") or "the server gave no reason")
        reason = redact(str(status.get("reason") or ""), secrets=secrets)
        raise ExecError(redact(message, secrets=secrets), reason=reason)
    return code


def _exit_code_cause(status: Mapping[str, Any]) -> int | None:
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    for cause in causes if isinstance(causes, list) else ():
        if isinstance(cause, dict) and cause.get("reason") == "ExitCode":
            text = str(cause.get("message"))
            return int(text) if text.lstrip("-").isdecimal() else None
    return None


async def run_to_end(session: ExecSession, stdin: bytes | None) -> ExecResult:
    """Feed a command and collect what it writes.

    Args:
        session: The command.
        stdin: All that it reads; None: no stdin at all.

    Raises:
        ExecError: It could not be run, or its output is longer than ``bodies.MAX_BODY_BYTES``.
    """
    output: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    if stdin is None:
        await _collect(session, output)
    else:
        await _converse(session, stdin, output)
    return ExecResult(session.exit_code, b"".join(output["stdout"]), b"".join(output["stderr"]))


async def _collect(session: ExecSession, output: dict[str, list[bytes]]) -> None:
    size = 0
    async for piece in session:
        size += len(piece.data)
        if size > MAX_BODY_BYTES:
            output.clear()
            raise ExecError(
                f"the command's output is longer than {MAX_BODY_BYTES} bytes, which is the limit of output that is "
                "collected; read it piece by piece"
            )
        output[piece.stream].append(piece.data)


async def _converse(session: ExecSession, stdin: bytes, output: dict[str, list[bytes]]) -> None:
    """Write and read at once: a command that answers as it reads would otherwise block both sides."""
    if not session.can_close_stdin:
        await session.close_stdin()  # says why it cannot
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_feed, session, stdin, name="podrunner-exec-stdin")
        try:
            await _collect(session, output)
        except (ExecError, TransportError) as error:
            failure: Exception | None = error
        else:
            failure = None
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _feed(session: ExecSession, stdin: bytes) -> None:
    try:
        await session.write(stdin)
        await session.close_stdin()
    except TransportError:
        return  # the command ended without reading all; its exit code says so
