"""Half a request holds its own connection for a bounded time, and no other one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from aiohttp import web
from podrunner.local.api.connections import HEADER_S, IDLE_S, Connection, connection_factory, read_body
from podrunner.local.api.status import StatusError

SOON_S = 0.1
PATIENCE_S = 40.0
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
WHOLE = HEAD + b"\r\nok"


async def answer(request: web.Request) -> web.StreamResponse:
    """Echo the body, or say why there is none."""
    assert isinstance(request.protocol, Connection)
    request.protocol.begin()
    try:
        response = web.Response(body=await read_body(request, within_s=SOON_S))
    except StatusError as error:
        response = web.json_response(error.body(), status=error.code)
    if request.protocol.is_last:
        response.force_close()
    request.protocol.end()
    return response


class Served(NamedTuple):
    """A server: its port, and its connections in the order in which they were made."""

    port: int
    connections: list[Connection]


@asynccontextmanager
async def served(*header_s: float) -> AsyncIterator[Served]:
    """A server; so long it waits for the headers of its first connection, its second one, and so on.

    Where a request is to be answered it waits patiently: the time begins with the connection, before anything is sent.
    """
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    times_s, connections = iter(header_s), list[Connection]()

    def connection() -> Connection:
        assert runner.server is not None
        connections.append(connection_factory(runner.server, header_s=next(times_s))())
        return connections[-1]

    listener = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    try:
        yield Served(listener.sockets[0].getsockname()[1], connections)
    finally:
        listener.close()
        await runner.cleanup()


@asynccontextmanager
async def connected(server: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield reader, writer
    finally:
        writer.close()


async def response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return int(head.split()[1]), await reader.readexactly(int(size.split(b":")[1]))


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes the connection: a reset, if it had not read all that was sent."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


@pytest.mark.asyncio
@pytest.mark.parametrize("half", [b"", b"POST", HEAD])
async def test_half_a_header_is_closed_and_others_go_on(half):
    async with (
        served(SOON_S, PATIENCE_S) as server,
        connected(server) as (reader, writer),
        connected(server) as (other, further),
    ):
        writer.write(half)
        further.write(WHOLE)
        assert await response(other) == (200, b"ok")
        assert await rest(reader) == b""
        further.write(WHOLE)
        assert await response(other) == (200, b"ok")


@pytest.mark.asyncio
async def test_half_a_header_of_a_further_request_is_closed():
    async with served(PATIENCE_S) as server, connected(server) as (reader, writer):
        writer.write(WHOLE)
        assert await response(reader) == (200, b"ok")
        server.connections[0]._header_s = SOON_S  # from here on
        writer.write(HEAD)
        assert await rest(reader) == b""


@pytest.mark.asyncio
async def test_a_header_that_comes_byte_by_byte_is_closed_too():
    async with served(SOON_S) as server, connected(server) as (reader, writer):
        ended = asyncio.create_task(rest(reader))
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        while not ended.done():
            writer.write(b"G")
            await asyncio.sleep(SOON_S / 5)
        assert await ended == b""


@pytest.mark.asyncio
async def test_a_connection_that_waits_between_requests_stays():
    async with served(PATIENCE_S) as server, connected(server) as (reader, writer):
        writer.write(WHOLE)
        assert await response(reader) == (200, b"ok")
        (connection,) = server.connections
        assert connection._overdue is None, "no time runs"
        connection._header_s = SOON_S
        await asyncio.sleep(SOON_S * 3)
        connection._header_s = PATIENCE_S
        writer.write(WHOLE)
        assert await response(reader) == (200, b"ok")


@pytest.mark.asyncio
async def test_half_a_body_is_refused_and_its_connection_closed():
    async with served(PATIENCE_S) as server, connected(server) as (reader, writer):
        writer.write(HEAD + b"\r\no")
        code, body = await response(reader)
        assert (code, json.loads(body)["reason"]) == (408, "Timeout")
        assert "not complete within" in json.loads(body)["message"]
        assert await reader.read() == b""


@pytest.mark.asyncio
async def test_a_body_that_cannot_be_unpacked_is_refused_and_its_connection_closed():
    async with served(PATIENCE_S) as server, connected(server) as (reader, writer):
        writer.write(HEAD + b"Content-Encoding: gzip\r\n\r\nno")
        code, body = await response(reader)
        assert (code, json.loads(body)["reason"]) == (400, "BadRequest")
        assert await reader.read() == b""


def test_the_times_are_those_that_are_documented():
    assert (HEADER_S, IDLE_S) == (10, 90)
