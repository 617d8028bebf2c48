"""The ``channel.k8s.io`` family of WebSocket subprotocols: numbered channels in one WebSocket.

Each message is a channel number and its bytes; the base64 forms are text with the number as a digit. Version 5 adds
a message 255 that half-closes a channel (kubectl from 1.31); version 4 sends the outcome as a Status object (the Python
clients); what came before sends it as words. What the channels carry does not belong here.
See https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

__all__ = [
    "CHANNEL_PROTOCOLS",
    "ChannelClosed",
    "ChannelData",
    "ChannelSocket",
    "decode_message",
    "encode_message",
]

V5: Final = "v5.channel.k8s.io"
CHANNEL_PROTOCOLS: Final = (
    V5,
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
_CLOSE_SIGNAL: Final = 255
_CHUNK_BYTES: Final = 32 * 1024
MAX_MESSAGE_BYTES: Final = 32 * 1024 * 1024
"""Bytes that golang.org/x/net/websocket, hence a kubelet, takes in one message."""
HEARTBEAT_S: Final = 10.0
"""Seconds between pings; answers are not waited for, as some clients only answer while they read."""
_CLOSE_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class ChannelData:
    """Bytes of a channel."""

    channel: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    """The client will send no more on this channel (version 5)."""

    channel: int


Receive = Callable[[ChannelData | ChannelClosed], Awaitable[None]]


def is_base64(protocol: str | None) -> bool:
    """Return whether the subprotocol sends text."""
    return protocol is not None and "base64" in protocol


def sends_status(protocol: str | None) -> bool:
    """Return whether the subprotocol sends the outcome as a Status object."""
    return protocol is not None and protocol.startswith(("v4.", "v5."))


def decode_message(payload: bytes, protocol: str | None) -> ChannelData | ChannelClosed | None:
    """Return what one message says; None if it holds nothing, or nothing that can be read."""
    if not payload:
        return None
    if protocol == V5 and payload[0] == _CLOSE_SIGNAL:
        return ChannelClosed(payload[1]) if len(payload) == 2 else None
    if not is_base64(protocol):
        return ChannelData(payload[0], payload[1:])
    return _decode_base64(payload)


def _decode_base64(payload: bytes) -> ChannelData | None:
    try:
        return ChannelData(payload[0] - ord("0"), base64.b64decode(payload[1:], validate=True))
    except (binascii.Error, ValueError):
        return None


def encode_message(channel: int, data: bytes, protocol: str | None) -> bytes:
    """Return one message; text in the base64 forms."""
    if is_base64(protocol):
        return str(channel).encode() + base64.b64encode(data)
    return bytes((channel,)) + data


class ChannelSocket:
    """A WebSocket of channels. One task runs :meth:`run`; any may send."""

    def __init__(self, response: web.WebSocketResponse, *, heartbeat_s: float = HEARTBEAT_S) -> None:
        self.response = response
        self.gone: asyncio.Event = asyncio.Event()
        """Set when the client left."""
        self._heartbeat_s = heartbeat_s

    @classmethod
    async def open(
        cls, request: web.Request, *, protocols: Sequence[str] = CHANNEL_PROTOCOLS
    ) -> ChannelSocket:
        """Answer 101."""
        response = web.WebSocketResponse(
            protocols=protocols, compress=False, max_msg_size=MAX_MESSAGE_BYTES, timeout=_CLOSE_TIMEOUT_S
        )
        await response.prepare(request)
        return cls(response)

    @property
    def protocol(self) -> str | None:
        """The subprotocol; None where the client asked for none."""
        return self.response.ws_protocol

    async def run(self, receive: Receive) -> None:
        """Serve until the client is gone; while ``receive`` waits nothing more is received."""
        beating = asyncio.create_task(self._beat(), name="websocket heartbeat")
        try:
            async for message in self.response:
                await self._dispatch(message, receive)
        finally:
            beating.cancel()
            self.gone.set()

    async def _dispatch(self, message: WSMessage, receive: Receive) -> None:
        if message.type in {WSMsgType.BINARY, WSMsgType.TEXT}:
            payload = message.data.encode() if message.type is WSMsgType.TEXT else message.data
            if (event := decode_message(payload, self.protocol)) is not None:
                await receive(event)

    async def _beat(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._heartbeat_s)
                await self.response.ping()
        self.gone.set()

    async def send(self, channel: int, data: bytes) -> None:
        """Send all of ``data`` in messages of a moderate size. ConnectionError when the client is gone."""
        for start in range(0, max(len(data), 1), _CHUNK_BYTES):
            await self._send(encode_message(channel, data[start : start + _CHUNK_BYTES], self.protocol))

    async def _send(self, message: bytes) -> None:
        if self.response.closed:
            raise ConnectionResetError("the client closed the WebSocket")
        if is_base64(self.protocol):
            await self.response.send_str(message.decode())
        else:
            await self.response.send_bytes(message)

    async def close(self) -> None:
        """Close the WebSocket; the client may take some seconds to answer."""
        with contextlib.suppress(ConnectionError):
            await self.response.close(code=WSCloseCode.OK)
