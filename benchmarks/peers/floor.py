"""The least that the same work takes in Python: httptools on asyncio protocols, templates as bytes, nothing kept."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import clients
import httptools
import msgspec


class _Meta(msgspec.Struct, gc=False):
    name: str


class _Status(msgspec.Struct, gc=False):
    phase: str


class _Pod(msgspec.Struct, gc=False):
    metadata: _Meta
    status: _Status


class _Event(msgspec.Struct, gc=False):
    type: str
    object: _Pod


class _List(msgspec.Struct, gc=False):
    items: list[_Pod]


class _Connection(asyncio.Protocol):
    """One keep-alive connection: a request at a time, whose whole body is its future's result."""

    def __init__(self, free: deque[_Connection]) -> None:
        self._free = free
        self._body: list[bytes] = []
        self._done: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body, self._body = b"".join(self._body), []
        self._parser = httptools.HttpResponseParser(self)
        self._free.append(self)
        self._done.set_result(body)

    def send(self, request: bytes) -> asyncio.Future[bytes]:
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._done


class _Watch(asyncio.Protocol):
    """The connection of the watch: its events go to a queue, a batch at a time."""

    def __init__(self, request: bytes) -> None:
        self._request, self._rest = request, b""
        self.batches: asyncio.Queue[list[_Event]] = asyncio.Queue()
        self._decode = msgspec.json.Decoder(_Event).decode

    def connection_made(self, transport: Any) -> None:
        self._parser = httptools.HttpResponseParser(self)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._lines: list[bytes] = []
        self._parser.feed_data(data)
        if self._lines:
            self.batches.put_nowait([self._decode(line) for line in self._lines])

    def on_body(self, body: bytes) -> None:
        *lines, self._rest = (self._rest + body).split(b"\n")
        self._lines += lines


class Floor(clients.Client):
    async def open(self) -> None:
        address = urlsplit(self.url)
        self._head = (
            f"Host: {address.netloc}\r\nAuthorization: Bearer t\r\nAccept: application/json\r\n".encode()
        )
        self._host, self._port = address.hostname, address.port
        self._free: deque[_Connection] = deque()
        self._body = json.dumps(clients.manifest("@@")).encode()
        self._list = msgspec.json.Decoder(_List).decode
        loop = asyncio.get_running_loop()
        for _ in range(clients.AT_ONCE):
            _, made = await loop.create_connection(lambda: _Connection(self._free), self._host, self._port)
            self._free.append(made)

    def _send(self, method: bytes, path: bytes, body: bytes = b"") -> asyncio.Future[bytes]:
        head = b"%s %s HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        return self._free.popleft().send(head % (method, path, self._head, len(body)) + body)

    async def create(self, name: str) -> None:
        await self._send(b"POST", clients.PODS.encode(), self._body.replace(b"@@", name.encode()))

    async def delete(self, name: str) -> None:
        await self._send(b"DELETE", f"{clients.PODS}/{name}".encode())

    async def watch(self) -> AsyncIterator[clients.Event]:
        request = f"GET {clients.PODS}?watch=1 HTTP/1.1\r\n".encode() + self._head + b"\r\n"
        _, made = await asyncio.get_running_loop().create_connection(
            lambda: _Watch(request), self._host, self._port
        )
        while True:
            for event in await made.batches.get():
                yield event.type, event.object.metadata.name, event.object.status.phase

    async def list(self) -> Any:
        return self._list(await self._send(b"GET", clients.PODS.encode())).items


class _Log(asyncio.Protocol):
    """The connection of a log: its lines go to a queue, a list at a time; None ends them."""

    AT_MOST = 64
    """Lists in the queue, beyond which the connection is not read."""

    def __init__(self, request: bytes) -> None:
        self._request, self._rest = request, b""
        self._is_paused = False
        self.lists: asyncio.Queue[list[str] | None] = asyncio.Queue()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._parser = httptools.HttpResponseParser(self)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)
        if self.lists.qsize() > self.AT_MOST and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    def on_body(self, body: bytes) -> None:
        *lines, self._rest = (self._rest + body).split(b"\n")
        self.lists.put_nowait([line.decode() for line in lines])

    def on_message_complete(self) -> None:
        self.lists.put_nowait(None)

    def resume(self) -> None:
        if self._is_paused and self.lists.empty():
            self._is_paused = False
            self.transport.resume_reading()


async def log_lines(server: str, path: str) -> AsyncIterator[str]:
    """Yield the lines of a log, which has a connection of its own."""
    address = urlsplit(server)
    request = f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer t\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    transport, log = await loop.create_connection(lambda: _Log(request), address.hostname, address.port)
    while (lines := await log.lists.get()) is not None:
        log.resume()
        for line in lines:
            yield line
    transport.close()
