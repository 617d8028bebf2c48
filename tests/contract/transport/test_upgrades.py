"""A WebSocket, over either transport."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from aiohttp import WSMsgType, web
from podrunner.errors import RequestTimeoutError, TransportError
from podrunner.kube import Request
from podrunner.kube.transport import HandshakeRefusedError

pytestmark = pytest.mark.anyio

OFFERED = ("v5.channel.k8s.io", "v4.channel.k8s.io")
UPGRADE = Request("GET", "/exec?command=a", {"Authorization": "Bearer t"}, timeout_s=40.0)


def talking(talk, *, protocols=("v4.channel.k8s.io",)):
    async def answer(request):
        socket = web.WebSocketResponse(protocols=protocols, max_msg_size=0)
        await socket.prepare(request)
        await talk(socket)
        return socket

    return answer


async def echo(socket):
    async for message in socket:
        await socket.send_bytes(message.data)


async def test_messages_go_both_ways_under_the_chosen_subprotocol(opened, stub):
    stub.answer = talking(echo)
    async with opened(stub.url) as transport, transport.upgrade(UPGRADE, OFFERED) as socket:
        assert socket.subprotocol == "v4.channel.k8s.io"
        for message in (b"\x00hello", b"", bytes(range(256)) * 4000):
            await socket.send(message)
            assert await socket.receive() == message
    (seen,) = stub.seen
    assert seen.target == "/exec?command=a"
    assert seen.headers["Authorization"] == "Bearer t"


async def test_a_server_that_chooses_no_subprotocol_is_an_error(opened, stub):
    stub.answer = talking(echo, protocols=())
    async with opened(stub.url) as transport, transport.upgrade(UPGRADE, OFFERED) as socket:
        assert socket.subprotocol is None


async def test_the_end_is_none(opened, stub):
    async def say_goodbye(socket):
        await socket.send_bytes(b"last")
        await socket.close()

    stub.answer = talking(say_goodbye)
    async with opened(stub.url) as transport, transport.upgrade(UPGRADE, OFFERED) as socket:
        assert await socket.receive() == b"last"
        assert await socket.receive() is None
        assert await socket.receive() is None


async def test_a_broken_connection_ends_it_too(opened, stub):
    async def answer(request):
        socket = web.WebSocketResponse(protocols=OFFERED)
        await socket.prepare(request)
        request.transport.abort()
        return socket

    stub.answer = answer
    async with opened(stub.url) as transport, transport.upgrade(UPGRADE, OFFERED) as socket:
        assert await socket.receive() is None
        with pytest.raises(TransportError):
            await send_until_it_fails(socket)


async def send_until_it_fails(socket):
    """The first writes may still find room in the socket's buffer."""
    for _ in range(50):
        await socket.send(b"x" * 100_000)
        await anyio.sleep(0.01)


async def test_pings_are_answered(opened, stub):
    pongs = []

    async def ping(socket):
        await socket.ping(b"are you there")
        message = await socket.receive()
        pongs.append((message.type, bytes(message.data)))
        await socket.send_bytes(b"fine")

    stub.answer = talking(ping)

    async def raw(request):
        socket = web.WebSocketResponse(protocols=OFFERED, autoping=False)
        await socket.prepare(request)
        await ping(socket)
        return socket

    stub.answer = raw
    async with opened(stub.url) as transport, transport.upgrade(UPGRADE, OFFERED) as socket:
        assert await socket.receive() == b"fine"
    assert pongs == [(WSMsgType.PONG, b"are you there")]


async def test_text_is_taken_as_bytes(opened, stub):
    async def text(socket):
        await socket.send_str("grüß")

    stub.answer = talking(text)
    async with opened(stub.url) as transport, transport.upgrade(UPGRADE, OFFERED) as socket:
        assert await socket.receive() == "grüß".encode()


async def test_a_refusal_keeps_its_body(opened, stub):
    """The server's own message says why: without it a wrong container name is not found."""
    stub.json({"kind": "Status", "message": "container x is not valid for pod y"}, status=400)
    async with opened(stub.url) as transport:
        with pytest.raises(HandshakeRefusedError) as caught:
            async with transport.upgrade(UPGRADE, OFFERED):
                pass
    assert caught.value.response.status == 400
    assert b"container x is not valid" in caught.value.response.body


async def test_a_wrong_answer_to_our_key_is_refused(opened, stub):
    async def lie(_):
        return web.Response(
            status=101,
            headers={"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": "bm9wZQ=="},
        )

    stub.answer = lie
    async with opened(stub.url) as transport:
        with pytest.raises(TransportError):
            async with transport.upgrade(UPGRADE, OFFERED):
                pass


async def test_a_handshake_that_does_not_come_in_time_is_a_timeout(opened, stub):
    async def never(_):
        await asyncio.sleep(60)

    stub.answer = never
    impatient = Request("GET", "/exec", {}, timeout_s=0.2)
    async with opened(stub.url) as transport:
        with pytest.raises(RequestTimeoutError):
            async with transport.upgrade(impatient, OFFERED):
                pass


async def test_without_a_server_nothing_was_sent(opened):
    async with opened("http://127.0.0.1:9") as transport:
        with pytest.raises(TransportError) as caught:
            async with transport.upgrade(UPGRADE, OFFERED):
                pass
    assert not caught.value.sent


async def test_writing_and_reading_at_once(opened, stub):
    stub.answer = talking(echo)

    async def write(socket):
        for _ in range(50):
            await socket.send(b"x" * 10_000)

    async with (
        opened(stub.url) as transport,
        transport.upgrade(UPGRADE, OFFERED) as socket,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(write, socket)
        for _ in range(50):
            assert await socket.receive() == b"x" * 10_000
