"""HTTP/1.1 of the stub server: requests in, whole answers and chunked streams out. No more than a benchmark needs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EVENTS_END", "Answer", "Connection", "Handler", "chunk"]

EVENTS_END: Final = "k8s.io/initial-events-end"
_HEADERS: Final = (
    b"Audit-Id: 3b6c9a9e-0000-4000-8000-000000000000\r\nCache-Control: no-cache, private\r\n"
    b"X-Kubernetes-Pf-Flowschema-Uid: 0b6c9a9e-0000-4000-8000-000000000000\r\n"
    b"X-Kubernetes-Pf-Prioritylevel-Uid: 1b6c9a9e-0000-4000-8000-000000000000\r\n"
    b"Date: Sun, 22 Nov 2026 10:00:00 GMT\r\n"
)
"""What a real API server sends beside, so that a client reads as much as it would there."""
_HEAD: Final = b"HTTP/1.1 %d X\r\n" + _HEADERS + b"Content-Type: %s\r\nContent-Length: %d\r\n\r\n"
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 X\r\n" + _HEADERS + b"Content-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_LAST_CHUNK: Final = b"0\r\n\r\n"


class Answer(msgspec.Struct):
    """A whole answer.

    Attributes:
        status: The HTTP status code.
        body: Bytes as they are sent, or an object that is sent as JSON.
        content_type: Of the body.
    """

    status: int
    body: bytes | Mapping[str, Any]
    content_type: str = "application/json"

    def encoded(self) -> bytes:
        """Return head and body."""
        body = self.body if isinstance(self.body, bytes) else msgspec.json.encode(self.body)
        return _HEAD % (self.status, self.content_type.encode(), len(body)) + body


class Handler(Protocol):
    """What answers the requests."""

    def answer(self, connection: Connection, method: str, target: str, body: bytes) -> Answer | None:
        """Answer one; None: the connection was given a stream."""
        ...

    def closed(self, connection: Connection) -> None:
        """The connection is closed."""
        ...


def chunk(data: bytes) -> bytes:
    """Return data as a chunk of a stream."""
    return b"%x\r\n%s\r\n" % (len(data), data)


class Connection(asyncio.Protocol):
    """One connection of a client: requests come one after another, or pipelined.

    Args:
        handler: What answers them.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._buffer = b""
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: a client is there."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's: the client is gone."""
        del exc
        self._transport = None
        self._handler.closed(self)

    def data_received(self, data: bytes) -> None:
        """Asyncio's: bytes of requests."""
        buffer = self._buffer + data if self._buffer else data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            begin, length = end + 4, _length_in(buffer[:end])
            if len(buffer) < begin + length:
                break
            method, target, _ = buffer.split(b"\r\n", 1)[0].decode("ascii").split(" ")
            body, buffer = buffer[begin : begin + length], buffer[begin + length :]
            answer = self._handler.answer(self, method, target, body)
            if answer is not None:
                self.write_soon(answer.encoded())
        self._buffer = buffer

    def begin_stream(self, content_type: str = "application/json") -> None:
        """Answer with a stream, whose chunks follow."""
        self.write_soon(_STREAM_HEAD % content_type.encode())

    def end_stream(self, data: bytes) -> None:
        """Send the last data of a stream, and end it."""
        self.write_soon((chunk(data) if data else b"") + _LAST_CHUNK)

    def write_soon(self, data: bytes) -> None:
        """Send data, together with all that is to be sent in this round of the event loop."""
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(self._out))
        self._out.clear()


def _length_in(head: bytes) -> int:
    at = head.lower().find(b"\r\ncontent-length:")
    return int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
