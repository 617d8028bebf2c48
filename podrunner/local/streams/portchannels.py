"""Serves port-forward over WebSocket channels: two channels for each port named in the query.

This is the form of the Python clients. Channel 2n carries the data of the n-th port, channel 2n+1 its errors; each
begins with the port in two bytes, little end first. There is no half-close, and one TCP connection per port.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import TYPE_CHECKING, Final

from podrunner.local.api.status import bad_request
from podrunner.local.streams.forwarding import Connect, connect_problem, parse_port, pump
from podrunner.local.streams.pipe import ByteBuffer
from podrunner.local.streams.websocket import ChannelClosed, ChannelData, ChannelSocket

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["PORT_CHANNEL_PROTOCOLS", "serve_port_channels", "wanted_ports"]

PORT_CHANNEL_PROTOCOLS: Final = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io")
_PORT = struct.Struct("<H")
_HIGH_WATER_BYTES: Final = 256 * 1024


def wanted_ports(values: list[str]) -> list[int]:
    """Return the ports of the ``ports`` query parameters; StatusError 400 if there are none or one cannot be read."""
    words = [word for value in values for word in value.split(",")]
    if not words:
        raise bad_request('query parameter "ports" is required')
    ports = []
    for word in words:
        if (port := parse_port(word)) is None:
            raise bad_request(f'unable to parse "{word}" as a port')
        ports.append(port)
    return ports


async def serve_port_channels(request: web.Request, connect: Connect) -> web.StreamResponse:
    """Forward one connection to each port of the query; return when all are over or the client is gone."""
    ports = wanted_ports(request.query.getall("ports", []))
    socket = await ChannelSocket.open(request, protocols=PORT_CHANNEL_PROTOCOLS)
    lines = [_Line(socket, index, port) for index, port in enumerate(ports)]
    serving = asyncio.create_task(_receive(socket, lines), name="port-forward channels")
    carrying = {asyncio.create_task(line.carry(connect), name=f"port-forward {line.port}") for line in lines}
    serving.add_done_callback(lambda _: _cancel(carrying))
    try:
        await asyncio.wait(carrying)
    finally:
        _cancel({serving, *carrying})
        await asyncio.wait({serving, *carrying})
        await socket.close()
    return socket.response


def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


async def _receive(socket: ChannelSocket, lines: list[_Line]) -> None:
    async def receive(event: ChannelData | ChannelClosed) -> None:
        line, is_error = divmod(event.channel, 2)
        if isinstance(event, ChannelData) and not is_error and 0 <= line < len(lines):
            await lines[line].feed(event.data)

    await socket.run(receive)


class _Line:
    """One port: its two channels and its TCP connection."""

    def __init__(self, socket: ChannelSocket, index: int, port: int) -> None:
        self.port = port
        self._socket = socket
        self._data, self._error = 2 * index, 2 * index + 1
        self._room = asyncio.Event()
        self._input = ByteBuffer(lambda _size: self._room.set())

    async def feed(self, data: bytes) -> None:
        """Take bytes of the client; waits while the pod is slow."""
        self._input.feed(data)
        while self._input.size > _HIGH_WATER_BYTES:
            self._room.clear()
            await self._room.wait()

    async def carry(self, connect: Connect) -> None:
        """Announce the port on both channels, connect, and carry bytes until the pod's side ends."""
        with contextlib.suppress(ConnectionError):
            await self._socket.send(self._data, _PORT.pack(self.port))
            await self._socket.send(self._error, _PORT.pack(self.port))
            try:
                await self._connected(connect)
            except OSError as problem:
                await self._socket.send(self._error, connect_problem(self.port, problem))
            finally:
                self._input.end()

    async def _connected(self, connect: Connect) -> None:
        reader, writer = await connect(self.port)
        await pump(reader, writer, receive=self._input.take, send=self._send, end=self._end)

    async def _send(self, data: bytes) -> None:
        await self._socket.send(self._data, data)

    async def _end(self) -> None:
        """Do nothing: these channels cannot signal the end of a direction."""
