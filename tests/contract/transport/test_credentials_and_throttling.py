"""What happens around a request: a token that is refused, a server that throttles, too many creates."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from aiohttp import web
from podrunner.errors import ServerError, TooManyRequestsError, UnauthorizedError
from podrunner.kube import connect
from podrunner.kube.access import Access

pytestmark = pytest.mark.anyio

POD = {"metadata": {"name": "a", "uid": "u"}}


class Rotating:
    """Credentials that count their renewals: token-0, token-1, …"""

    def __init__(self) -> None:
        self.renewals = 0
        self._lock = anyio.Lock()

    async def authorization(self):
        return f"Bearer token-{self.renewals}"

    async def renew(self, refused):
        async with self._lock:
            if refused == await self.authorization():
                await anyio.sleep(0.05)
                self.renewals += 1
        return True


def wants(token, document):
    async def answer(request):
        if request.headers["Authorization"] != f"Bearer {token}":
            return web.json_response({"reason": "Unauthorized", "message": "Unauthorized"}, status=401)
        if "Upgrade" in request.headers:
            socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
            await socket.prepare(request)
            await socket.send_bytes(b'\x03{"status":"Success"}')
            await socket.close()
            return socket
        return web.json_response(document)

    return answer


async def test_an_expired_token_is_renewed_once_for_all_requests_that_notice(config, stub):
    """L8."""
    stub.answer = wants("token-1", POD)
    credentials = Rotating()
    access = Access(url=stub.url, credentials=credentials)
    async with connect(config, access=access) as client, anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(client.read_pod, "n", "a")
    assert credentials.renewals == 1


async def test_streams_and_commands_renew_too(config, stub):
    """L8."""
    stub.answer = wants("token-1", {})
    access = Access(url=stub.url, credentials=Rotating())
    async with connect(config, access=access) as client, client.stream_log("n", "a") as batches:
        assert b"".join([batch async for batch in batches]) == b"{}"
    async with connect(config, access=Access(url=stub.url, credentials=Rotating())) as client:
        assert (await client.run_exec("n", "a", ["date"])).exit_code == 0


async def test_a_second_401_is_final(config, stub):
    """L8: no loop of refreshes."""
    stub.answer = wants("another", POD)
    credentials = Rotating()
    async with connect(config, access=Access(url=stub.url, credentials=credentials)) as client:
        with pytest.raises(UnauthorizedError):
            await client.read_pod("n", "a")
        with pytest.raises(UnauthorizedError):
            async with client.stream_log("n", "a"):
                pass
        with pytest.raises(UnauthorizedError):
            await client.run_exec("n", "a", ["date"])
    assert len(stub.seen) == 6


async def test_a_static_token_is_not_tried_twice(client_for, stub):
    stub.answer = wants("another", POD)
    async with client_for(stub) as client:
        with pytest.raises(UnauthorizedError):
            await client.read_pod("n", "a")
    assert len(stub.seen) == 1


@pytest.mark.parametrize(
    "body", [b"", b"slow down", b"<html>429</html>", b'{"kind":"Sta', b"\xff\xfe", b"null"]
)
async def test_any_body_of_a_429_is_survived_and_its_wait_closes_the_gate(client_for, stub, body):
    """L5."""

    async def answer(_):
        return web.Response(status=429, body=body, headers={"Retry-After": "20"})

    stub.answer = answer
    async with client_for(stub) as client:
        with pytest.raises(TooManyRequestsError) as caught:
            await client.create_pod("n", POD)
        assert caught.value.retry_after_s == 20
        assert client.gate.closed
        with anyio.move_on_after(0.1) as waiting:
            await client.create_pod("n", POD)
        assert waiting.cancelled_caught, "another create waits too"
    assert len(stub.seen) == 1


async def test_a_short_wait_passes(client_for, stub):
    stub.json({}, status=503, **{"Retry-After": "0.2"})
    async with client_for(stub) as client:
        begun = anyio.current_time()
        with pytest.raises(ServerError):
            await client.read_pod("n", "a")
        stub.json(POD)
        await client.read_pod("n", "a")
        assert anyio.current_time() - begun >= 0.2


async def test_a_429_halves_what_may_be_in_flight(client_for, stub):
    stub.json({}, status=429)
    async with client_for(stub) as client:
        before = client.creates.limit
        with pytest.raises(TooManyRequestsError):
            await client.create_pod("n", POD)
        assert client.creates.limit == max(1, before // 2)
        assert client.creates.in_flight == 0


async def test_a_wait_at_the_gate_is_no_slowness_of_the_server(client_for, stub):
    """L5: otherwise each throttling would be punished twice."""
    stub.json(POD, status=201)
    async with client_for(stub) as client:
        before = client.creates.limit
        await client.create_pod("n", POD)
        client.gate.close_for(1.2)
        await client.create_pod("n", POD)
        assert client.creates.limit >= before


async def test_a_cancelled_create_gives_its_turn_back(client_for, stub):
    """C1."""

    async def never(_):
        await asyncio.sleep(60)

    stub.answer = never
    async with client_for(stub) as client:
        before = client.creates.limit
        with anyio.move_on_after(0.1):
            await client.create_pod("n", POD)
        assert (client.creates.in_flight, client.creates.limit) == (0, before)
