"""Turns an HTTP request into a plain connection: which upgrade is asked for, and taking the connection over.

aiohttp hands upgraded bytes to the parser that is set on the connection's protocol; that is how its own WebSockets
work, and how SPDY is attached here. What the bytes mean does not belong here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from podrunner.local.api.status import bad_request
from podrunner.local.streams.pipe import ByteBuffer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "SPDY",
    "RawConnection",
    "asks_for_spdy",
    "asks_for_websocket",
    "negotiate",
    "offered_spdy_protocols",
    "offered_websocket_protocols",
    "refuse_protocols",
    "require_upgrade",
    "take_over",
]

SPDY: Final = "SPDY/3.1"
PROTOCOL_HEADER: Final = "X-Stream-Protocol-Version"
ACCEPTED_HEADER: Final = "X-Accepted-Stream-Protocol-Versions"
_HIGH_WATER_BYTES: Final = 64 * 1024
"""Bytes received and not yet used; above this the socket is not read, so that TCP slows the client."""


def _upgrades_to(headers: Mapping[str, str], protocol: str) -> bool:
    connection, upgrade = headers.get("Connection", ""), headers.get("Upgrade", "")
    return "upgrade" in connection.lower() and upgrade.strip().lower() == protocol.lower()


def asks_for_websocket(headers: Mapping[str, str]) -> bool:
    """Return whether the request wants to go on as a WebSocket."""
    return _upgrades_to(headers, "websocket")


def asks_for_spdy(headers: Mapping[str, str]) -> bool:
    """Return whether the request wants to go on as SPDY/3.1."""
    return _upgrades_to(headers, SPDY)


def require_upgrade(headers: Mapping[str, str]) -> None:
    """Raise StatusError 400, in the API server's words, for a request that asks for no known upgrade."""
    if not (asks_for_websocket(headers) or asks_for_spdy(headers)):
        raise bad_request("Upgrade request required")


def _listed(values: Iterable[str]) -> list[str]:
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def offered_spdy_protocols(request: web.Request) -> list[str]:
    """Return what the client speaks inside SPDY, in its order of preference."""
    return _listed(request.headers.getall(PROTOCOL_HEADER, ()))


def offered_websocket_protocols(request: web.Request) -> list[str]:
    """Return what the client speaks inside a WebSocket, in its order of preference."""
    return _listed(request.headers.getall("Sec-WebSocket-Protocol", ()))


def negotiate(offered: Sequence[str], served: Sequence[str]) -> str | None:
    """Return the first offered protocol that is served; None if there is none."""
    return next((protocol for protocol in offered if protocol in served), None)


def refuse_protocols(offered: Sequence[str], served: Sequence[str]) -> web.Response:
    """403 with the protocols that would do, as Kubernetes' ``httpstream.Handshake`` answers."""
    spoken, wanted = " ".join(offered), " ".join(served)
    why = f"unable to upgrade: unable to negotiate protocol: client supports [{spoken}], server accepts [{wanted}]"
    response = web.Response(status=403, text=why)
    for protocol in served:
        response.headers.add(ACCEPTED_HEADER, protocol)
    return response


class _Intake:
    """The parser that aiohttp feeds: it parses nothing and keeps the bytes."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._paused = False
        self.buffer: ByteBuffer = ByteBuffer(self._taken)

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take bytes from aiohttp; reading pauses while the handler fetches none."""
        self.buffer.feed(bytes(data))
        if self.buffer.size > _HIGH_WATER_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        return False, b""

    def feed_eof(self) -> None:
        """Note that no more will come."""
        self.buffer.end()

    def _taken(self, _size: int) -> None:
        if self._paused and self.buffer.size <= _HIGH_WATER_BYTES:
            self._paused = False
            self._transport.resume_reading()


class RawConnection:
    """An HTTP connection after its 101: a byte stream. The handler must return :attr:`response` when it is done."""

    def __init__(self, response: web.StreamResponse, intake: _Intake) -> None:
        self.response = response
        self._intake = intake

    async def receive(self) -> bytes:
        """Return the next bytes; empty when the client is gone."""
        return await self._intake.buffer.take()

    async def send(self, data: bytes) -> None:
        """Send all of ``data``, waiting while the client is slow. ConnectionError when it is gone."""
        await self.response.write(data)


async def take_over(request: web.Request, *, protocol: str | None) -> RawConnection:
    """Answer 101 and take the connection of ``request``; ``protocol`` is what was negotiated inside SPDY.

    Raises:
        ConnectionResetError: The client is gone already.
    """
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client left before the upgrade")
    intake = _Intake(transport)
    _attach(request, intake)
    response = web.StreamResponse(status=101, headers={"Connection": "Upgrade", "Upgrade": SPDY})
    if protocol is not None:
        response.headers[PROTOCOL_HEADER] = protocol
    response.force_close()
    await response.prepare(request)
    return RawConnection(response, intake)


def _attach(request: web.Request, intake: Any) -> None:
    """Set the parser, typed as any: aiohttp declares its own WebSocket reader, but uses these two methods only."""
    request.protocol.set_parser(intake)
