"""Serving port-forward over SPDY: in a taken-over connection, or tunnelled through a WebSocket (kubectl from 1.31).

For each TCP connection the client opens two streams with the same ``requestid``: ``data`` both ways, and ``error``,
which stays empty when all went well. The older form of WebSocket channels is in ``portchannels``; where a port
leads to is the caller's business.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

from aiohttp import WSMsgType, web

from podrunner.local.streams import upgrade
from podrunner.local.streams.forwarding import Connect, connect_problem, parse_port, pump
from podrunner.local.streams.portchannels import PORT_CHANNEL_PROTOCOLS, serve_port_channels
from podrunner.local.streams.session import SpdySession, SpdyStream
from podrunner.local.streams.websocket import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from podrunner.local.streams.pipe import ByteStream

__all__ = ["Connect", "request_id", "serve_port_forward"]

PORT_FORWARD: Final = "portforward.k8s.io"
TUNNEL: Final = f"{upgrade.SPDY}+{PORT_FORWARD}"
_PAIR_TIMEOUT_S: Final = 30.0
"""How long the second stream of a pair may take (Kubernetes' DefaultStreamCreationTimeout)."""


async def serve_port_forward(request: web.Request, connect: Connect) -> web.StreamResponse:
    """Forward TCP connections of the client of ``request``; return when it is gone.

    Args:
        request: The upgrade request.
        connect: Opens a connection to a port of the pod; its OSError is reported to the client.

    Raises:
        StatusError: No upgrade was asked for, or (channels) no port that can be read.
        ConnectionError: The client left during the upgrade; no answer can be sent.
    """
    upgrade.require_upgrade(request.headers)
    if upgrade.asks_for_websocket(request.headers):
        return await _serve_websocket(request, connect)
    return await _serve_spdy(request, connect)


async def _serve_spdy(request: web.Request, connect: Connect) -> web.StreamResponse:
    offered = upgrade.offered_spdy_protocols(request)
    if offered and PORT_FORWARD not in offered:
        return upgrade.refuse_protocols(offered, (PORT_FORWARD,))
    raw = await upgrade.take_over(request, protocol=PORT_FORWARD if offered else None)
    await _Forwarder(raw, connect).run()
    return raw.response


async def _serve_websocket(request: web.Request, connect: Connect) -> web.StreamResponse:
    offered = upgrade.offered_websocket_protocols(request)
    served = (TUNNEL, *PORT_CHANNEL_PROTOCOLS)
    protocol = upgrade.negotiate(offered, served)
    if offered and protocol is None:
        return upgrade.refuse_protocols(offered, served)
    if protocol != TUNNEL:
        return await serve_port_channels(request, connect)
    response = web.WebSocketResponse(protocols=(TUNNEL,), compress=False, max_msg_size=MAX_MESSAGE_BYTES)
    await response.prepare(request)
    await _Forwarder(_Tunnel(response), connect).run()
    await response.close()
    return response


class _Tunnel:
    """A byte stream in the binary messages of a WebSocket."""

    def __init__(self, response: web.WebSocketResponse) -> None:
        self._response = response

    async def receive(self) -> bytes:
        while (message := await self._response.receive()).type is WSMsgType.BINARY:
            if message.data:
                return bytes(message.data)
        return b""

    async def send(self, data: bytes) -> None:
        if self._response.closed:
            raise ConnectionResetError("the client closed the WebSocket")
        await self._response.send_bytes(data)


def request_id(stream: SpdyStream) -> str:
    """Return what pairs two streams. Clients that name no id open the error stream first and the data stream next."""
    named = stream.headers.get("requestid")
    return named or str(stream.stream_id - (2 if stream.kind == "data" else 0))


class _Forwarder:
    """All forwarded connections of one client."""

    def __init__(self, pipe: ByteStream, connect: Connect) -> None:
        self._connect = connect
        self._session = SpdySession(pipe, self._accept)
        self._halves: dict[str, SpdyStream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the client is gone; then every forwarded connection is closed."""
        try:
            await self._session.run()
        finally:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    def _accept(self, stream: SpdyStream) -> bool:
        if stream.kind not in {"data", "error"} or parse_port(stream.headers.get("port", "")) is None:
            return False
        pair = request_id(stream)
        other = self._halves.pop(pair, None)
        if other is None:
            self._halves[pair] = stream
            self._start(partial(self._expire, pair, stream), name="port-forward pair")
        elif other.kind == stream.kind:
            self._halves[pair] = other
            return False
        else:
            data, error = (stream, other) if stream.kind == "data" else (other, stream)
            self._start(partial(self._forward, data, error), name="port-forward connection")
        return True

    def _start(self, work: Callable[[], Awaitable[None]], *, name: str) -> None:
        task = asyncio.create_task(_quietly(work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _expire(self, pair: str, stream: SpdyStream) -> None:
        await asyncio.sleep(_PAIR_TIMEOUT_S)
        if self._halves.get(pair) is stream:
            del self._halves[pair]
            await stream.reset()

    async def _forward(self, data: SpdyStream, error: SpdyStream) -> None:
        port = parse_port(data.headers["port"]) or 0
        error.discard()
        try:
            await self._carry(data, port)
        except OSError as problem:
            await error.write(connect_problem(port, problem))
        finally:
            data.discard()
            with contextlib.suppress(ConnectionError):
                await data.end()
                await error.end()

    async def _carry(self, data: SpdyStream, port: int) -> None:
        reader, writer = await self._connect(port)
        await pump(reader, writer, receive=data.read, send=data.write, end=data.end)


async def _quietly(work: Callable[[], Awaitable[None]]) -> None:
    """Suppress the error of a client that leaves, which ends a connection.

    It is called here: a task may be cancelled before its first step, and a coroutine that was made must be awaited.
    """
    with contextlib.suppress(ConnectionError):
        await work()
