"""A WebSocket over an httpcore connection that switched protocols: the frames are wsproto's, the bytes httpcore's.

For the httpx transport, whose library knows no WebSockets. The handshake is plain HTTP; it is checked here as RFC 6455,
4.1, demands of a client.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from podrunner.errors import TransportError
from podrunner.kube.bodies import MAX_MESSAGE_BYTES
from podrunner.redaction import harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["FramedSocket", "chosen_subprotocol", "handshake_headers"]

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3

READ_BYTES = 64 * 1024

CLOSE_TIMEOUT_S = 2.0
"""Seconds for the closing handshake; the connection is closed in any case."""


def handshake_headers(subprotocols: Sequence[str]) -> dict[str, str]:
    """Return the headers that ask for a WebSocket, with a fresh key."""
    return {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
        "Sec-WebSocket-Protocol": ", ".join(subprotocols),
    }


def chosen_subprotocol(asked: Mapping[str, str], answered: Mapping[str, str]) -> str | None:
    """Check the server's handshake and return the subprotocol that it chose.

    Raises:
        TransportError: The answer is no handshake to this request.
    """
    digest = hashlib.sha1((asked["Sec-WebSocket-Key"] + _GUID).encode()).digest()  # noqa: S324  # RFC 6455 says SHA-1
    if answered.get("Sec-WebSocket-Accept", "").strip() != base64.b64encode(digest).decode():
        raise TransportError("the WebSocket handshake failed: the server's key does not answer ours")
    chosen = answered.get("Sec-WebSocket-Protocol")
    if chosen is not None and chosen not in asked["Sec-WebSocket-Protocol"].split(", "):
        raise TransportError(
            f"the WebSocket handshake failed: the server chose {chosen!r}, which was not offered"
        )
    return chosen


class FramedSocket:
    """A WebSocket over an httpcore network stream. One task may receive while others send.

    Args:
        stream: httpcore's ``AsyncNetworkStream``.
        subprotocol: What the handshake chose.
        failed: Makes the error for a failure of the stream.
        failures: The exceptions that the stream raises.
    """

    def __init__(
        self,
        stream: Any,
        *,
        subprotocol: str | None,
        failed: Callable[[BaseException], TransportError],
        failures: tuple[type[Exception], ...],
    ) -> None:
        self._stream = stream
        self._subprotocol = subprotocol
        self._failed = failed
        self._failures: tuple[type[Exception], ...] = (*failures, RemoteProtocolError, LocalProtocolError)
        self._frames = Connection(ConnectionType.CLIENT)
        self._writing = anyio.Lock()
        self._pieces: list[bytes] = []
        self._piece_bytes = 0
        self._messages: deque[bytes] = deque()
        self._closed = False

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose, or None."""
        return self._subprotocol

    async def receive(self) -> bytes | None:
        """Return the next message, or None when the other side closed or the connection broke.

        Raises:
            TransportError: A message is longer than ``MAX_MESSAGE_BYTES``.
        """
        while not self._messages and not self._closed:
            await self._read()
        return self._messages.popleft() if self._messages else None

    async def _read(self) -> None:
        try:
            data = await self._stream.read(READ_BYTES)
            self._frames.receive_data(data or None)
            for event in self._frames.events():
                await self._take(event)
        except self._failures:
            self._closed = True

    async def _take(self, event: object) -> None:
        match event:
            case BytesMessage() | TextMessage():
                self._gather(event)
            case Ping():
                await self._write(self._frames.send(event.response()))
            case CloseConnection():
                self._closed = True

    def _gather(self, event: Message[Any]) -> None:
        data = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
        self._pieces.append(data)
        self._piece_bytes += len(data)
        if self._piece_bytes > MAX_MESSAGE_BYTES:
            self._pieces.clear()
            self._closed = True
            raise self._failed(TransportError(f"a message is longer than {MAX_MESSAGE_BYTES} bytes"))
        if event.message_finished:
            self._messages.append(b"".join(self._pieces))
            self._pieces.clear()
            self._piece_bytes = 0

    async def send(self, data: bytes) -> None:
        """Send one binary message."""
        try:
            await self._write(self._frames.send(BytesMessage(data=data)))
        except self._failures as error:
            raise self._failed(error) from harmless(error)

    async def _write(self, data: bytes) -> None:
        async with self._writing:  # two writes at once would mix their frames
            await self._stream.write(data)

    async def close(self) -> None:
        """Send a close frame if the other side still reads. The connection itself is httpx's to close."""
        try:
            with anyio.move_on_after(CLOSE_TIMEOUT_S):
                await self._write(self._frames.send(CloseConnection(code=1000)))
        except self._failures:
            self._closed = True
