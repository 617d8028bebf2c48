"""A closed transport has no socket left, so that its event loop may end at once."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Iterator

import anyio
import pytest
from aiohttp import web
from anyio import to_thread
from podrunner.kube import Request, Transport, explicit_access
from yarl import URL

pytestmark = pytest.mark.anyio

GET = Request("GET", "/version", {}, timeout_s=40.0)


class Standstill:
    """An answer in the middle of which the whole server stands still: it does not even notice that we hang up."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.over = threading.Event()

    async def __call__(self, _: web.Request) -> web.Response:
        self.reached.set()
        self.over.wait(40)
        return web.Response()


@pytest.fixture
def still(tls_stub) -> Iterator[Standstill]:
    tls_stub.answer = standstill = Standstill()
    yield standstill
    standstill.over.set()


async def request(transport: Transport) -> None:
    await transport.request(GET)


async def stream(transport: Transport) -> None:
    async with transport.stream(GET):
        pass


async def upgrade(transport: Transport) -> None:
    async with transport.upgrade(GET, ["v5.channel.k8s.io"]):
        pass


def sockets_to(url: str) -> list[socket.socket]:
    """This process' connected sockets, whichever library opened them."""
    opened = [one for one in gc.get_objects() if isinstance(one, socket.socket) and one.fileno() != -1]
    return [one for one in opened if _port_there(one) == URL(url).port]


def _port_there(opened: socket.socket) -> int | None:
    try:
        peer = opened.getpeername()
    except OSError:
        return None
    return peer[1] if opened.family == socket.AF_INET else None


@pytest.mark.parametrize("ask", [request, stream, upgrade])
async def test_a_cancelled_question_leaves_no_socket(opened, tls_stub, certificates, still, ask):
    """TLS sends close_notify and waits for the server's; a cancelled caller need not wait."""
    access = explicit_access(tls_stub.url, ca=certificates.authority.encode())
    async with opened("", access=access) as transport, anyio.create_task_group() as tasks:
        tasks.start_soon(ask, transport)
        assert await to_thread.run_sync(still.reached.wait, 40)
        (connection,) = sockets_to(tls_stub.url)
        tasks.cancel_scope.cancel()
    assert connection.fileno() == -1


@pytest.mark.parametrize("ask", [request, stream, upgrade])
async def test_a_cancelled_tls_handshake_leaves_no_socket(opened, certificates, ask):
    """The server has accepted the connection, and says nothing: it is about to end, or overloaded."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(40)
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        access = explicit_access(url, ca=certificates.authority.encode())
        async with opened("", access=access) as transport, anyio.create_task_group() as tasks:
            tasks.start_soon(ask, transport)
            accepted, _ = await to_thread.run_sync(silent.accept)
            with accepted:
                accepted.settimeout(40)
                assert await to_thread.run_sync(accepted.recv, 1)  # of the client's hello
                (connection,) = sockets_to(url)
                tasks.cancel_scope.cancel()
                assert connection.fileno() != -1
        assert connection.fileno() == -1
