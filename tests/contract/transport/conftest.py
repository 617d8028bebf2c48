"""A small HTTP server on a real loopback socket, in a thread of its own, that does what a test scripts.

Each test runs with each transport, on each event loop that the transport knows.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from multidict import CIMultiDict
from podrunner.config import RunnerConfig, TcpKeepalive
from podrunner.kube import Access, KubeClient, Transport, connect, explicit_access, open_transport
from podrunner.local.certificates import Certificates, make_certificates

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COMBINATIONS = [("aiohttp", "asyncio"), ("httpx", "asyncio"), ("httpx", "trio")]


@dataclass
class Seen:
    """A request, as the server saw it."""

    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes


@dataclass
class Stub:
    """The server: set ``answer`` to what it shall do."""

    url: str = ""
    answer: Handler | None = None
    seen: list[Seen] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        # The body of an upgrade is not for reading.
        body = b"" if "upgrade" in request.headers.get("Connection", "").lower() else await request.read()
        self.seen.append(Seen(request.method, request.raw_path, CIMultiDict(request.headers), body))
        assert self.answer is not None, "the test gave no answer"
        return await self.answer(request)

    def json(self, document: object, status: int = 200, **headers: str) -> None:
        """Answer everything with this."""

        async def answer(_: web.Request) -> web.Response:
            return web.json_response(document, status=status, headers=headers)

        self.answer = answer


@contextmanager
def serving(stub: Stub, *, tls: ssl.SSLContext | None = None) -> Iterator[Stub]:
    """Run a server until the block ends; whatever it still does is cut off."""
    ready, ended = threading.Event(), []

    async def main() -> None:
        stub.loop, end = asyncio.get_running_loop(), asyncio.Event()
        ended.append(end)
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", stub.handle)
        # aiohttp answers a failing handler with a 500, which the test then sees.
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        stub.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await end.wait()
        await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(main(),), name="stub-server")
    thread.start()
    assert ready.wait(40)
    try:
        yield stub
    finally:
        assert stub.loop is not None
        stub.loop.call_soon_threadsafe(ended[0].set)
        thread.join(40)


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A plain-text server."""
    with serving(Stub()) as stub:
        yield stub


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    """An authority, and what it certified for loopback."""
    return make_certificates()


@pytest.fixture
def tls_stub(certificates: Certificates, tmp_path) -> Iterator[Stub]:
    """A server that speaks TLS."""
    (tmp_path / "chain.pem").write_text(certificates.chain)
    (tmp_path / "key.pem").write_text(certificates.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    with serving(Stub(), tls=context) as stub:
        yield stub


@pytest.fixture(params=COMBINATIONS, ids=["aiohttp-asyncio", "httpx-asyncio", "httpx-trio"])
def combination(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Transport and event loop."""
    return request.param


@pytest.fixture
def anyio_backend(combination: tuple[str, str]) -> str:
    """The event loop of the combination."""
    return combination[1]


@pytest.fixture
def config(combination: tuple[str, str]) -> RunnerConfig:
    """Settings with the combination's transport, and few connections."""
    return RunnerConfig(
        transport=combination[0], connections=2, request_timeout_s=40, tcp_keepalive=TcpKeepalive(idle_s=60)
    )


Opener = Callable[..., "asynccontextmanager[Transport]"]


@pytest.fixture
def opened(config: RunnerConfig):
    """Open the combination's transport to a URL."""

    @asynccontextmanager
    async def opened(url: str, *, access: Access | None = None) -> AsyncIterator[Transport]:
        transport = open_transport(config, access or explicit_access(url))
        try:
            yield transport
        finally:
            await transport.aclose()

    return opened


@pytest.fixture
def client_for(config: RunnerConfig):
    """Open a client to a stub."""

    @asynccontextmanager
    async def client_for(stub: Stub, **access: object) -> AsyncIterator[KubeClient]:
        async with connect(config, access=explicit_access(stub.url, token="token-1", **access)) as client:
            yield client

    return client_for
