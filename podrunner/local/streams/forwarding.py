"""What both forms of port-forward share: ports, the words of a failure, and carrying bytes between two ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import Final

__all__ = ["Connect", "connect_problem", "parse_port", "pump"]

Connect = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
_CHUNK_BYTES: Final = 32 * 1024
_MAX_PORT: Final = 65_535


def parse_port(text: str) -> int | None:
    """Return a TCP port from 1 to 65535, or None."""
    if not (text.isascii() and text.isdigit()):
        return None
    port = int(text)
    return port if 1 <= port <= _MAX_PORT else None


def connect_problem(port: int, problem: OSError) -> bytes:
    """Return the message for the client when a connection fails, worded as a kubelet does."""
    why = os.strerror(problem.errno).lower() if problem.errno else str(problem)
    return f"error forwarding port {port} to pod: failed to connect to localhost:{port} inside the pod: {why}".encode()


async def pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    receive: Callable[[], Awaitable[bytes]],
    send: Callable[[bytes], Awaitable[None]],
    end: Callable[[], Awaitable[None]],
) -> None:
    """Carry bytes both ways until the pod's side has ended; the client's end of input is passed on as a half-close.

    Args:
        reader: From the pod.
        writer: To the pod; closed at the end.
        receive: The client's next bytes; empty at its end.
        send: To the client.
        end: Signals to the client that the pod will send no more.
    """
    upward = asyncio.create_task(_to_pod(writer, receive), name="port-forward input")
    try:
        while data := await reader.read(_CHUNK_BYTES):
            await send(data)
        await end()
    finally:
        upward.cancel()
        writer.close()  # before anything is awaited: a second cancel must not leave it open
        await asyncio.wait({upward})
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _to_pod(writer: asyncio.StreamWriter, receive: Callable[[], Awaitable[bytes]]) -> None:
    with contextlib.suppress(OSError):
        while data := await receive():
            writer.write(data)
            await writer.drain()
        writer.write_eof()
