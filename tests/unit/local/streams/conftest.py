"""A server that runs a scripted process, and a SPDY client that speaks frame by frame."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from podrunner.local.api.status import StatusError
from podrunner.local.streams import serve_attach, serve_exec, serve_port_forward
from podrunner.spdy import frames


@dataclass
class ScriptedProcess:
    """A container process without a process: output is put in by the test, input is recorded."""

    output: asyncio.Queue[tuple[str, bytes] | Exception | None] = field(default_factory=asyncio.Queue)
    exit_code: int = 0
    stdin: bytearray = field(default_factory=bytearray)
    stdin_ended: asyncio.Event = field(default_factory=asyncio.Event)
    reads_stdin: asyncio.Event = field(default_factory=asyncio.Event)
    stdin_error: OSError | None = None
    sizes: list[tuple[int, int]] = field(default_factory=list)
    killed: asyncio.Event = field(default_factory=asyncio.Event)
    echo: bool = False

    def __post_init__(self) -> None:
        self.reads_stdin.set()

    def say(self, *outputs: tuple[str, bytes]) -> None:
        for output in outputs:
            self.output.put_nowait(output)

    def end(self, exit_code: int = 0) -> None:
        self.exit_code = exit_code
        self.output.put_nowait(None)

    def lose(self, error: Exception) -> None:
        self.output.put_nowait(error)

    async def read(self) -> Any:
        output = await self.output.get()
        if isinstance(output, Exception):
            raise output
        return output

    async def write_stdin(self, data: bytes) -> None:
        await self.reads_stdin.wait()
        if self.stdin_error is not None:
            raise self.stdin_error
        self.stdin += data
        if self.echo:
            self.say(("stdout", data))

    async def close_stdin(self) -> None:
        self.stdin_ended.set()
        if self.echo:
            self.end()

    def resize(self, width: int, height: int) -> None:
        self.sizes.append((width, height))

    async def wait(self) -> int:
        return self.exit_code

    async def kill(self) -> None:
        self.killed.set()


@dataclass
class Scene:
    """A running server and the process that its next exec gets."""

    process: ScriptedProcess
    server: TestServer
    problem: Exception | None = None
    ports: dict[int, int] = field(default_factory=dict)
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, kind: str, **query: Any) -> str:
        wanted = {name: "true" for name, value in query.items() if value is True}
        return str(self.server.make_url(f"/{kind}").with_query(wanted))

    @property
    def port(self) -> int:
        assert self.server.port is not None
        return self.server.port


async def _answer(scene: Scene, work: Awaitable[web.StreamResponse]) -> web.StreamResponse:
    try:
        return await work
    except StatusError as error:
        return web.json_response(error.body(), status=error.code)
    finally:
        scene.finished.set()


def _application(scene: Callable[[], Scene]) -> web.Application:
    async def open_process() -> ScriptedProcess:
        if (problem := scene().problem) is not None:
            raise problem
        return scene().process

    def command(serve: Any) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            streams = {name: name in request.query for name in ("stdin", "stdout", "stderr", "tty")}
            return await _answer(scene(), serve(request, open_process, **streams))

        return handle

    async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", scene().ports.get(port, port))

    async def forward(request: web.Request) -> web.StreamResponse:
        return await _answer(scene(), serve_port_forward(request, connect))

    application = web.Application()
    application.router.add_route("*", "/exec", command(serve_exec))
    application.router.add_route("*", "/attach", command(serve_attach))
    application.router.add_route("*", "/portforward", forward)
    return application


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    """A server on loopback."""
    made: list[Scene] = []
    server = TestServer(_application(lambda: made[0]))
    await server.start_server()
    made.append(Scene(ScriptedProcess(), server))
    yield made[0]
    await server.close()


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@dataclass
class SpdyStreamLog:
    """What the server sent on one stream."""

    data: bytearray = field(default_factory=bytearray)
    replied: bool = False
    ended: bool = False
    reset: int | None = None


class SpdyPeer:
    """A client that opens streams and logs what comes; it keeps no window, as kubectl."""

    def __init__(self, reader: Any, writer: Any, headers: dict[str, str], status: int, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body
        self.streams: dict[int, SpdyStreamLog] = {}
        self.goaway: int | None = None
        self.pings: list[int] = []
        self.windows: dict[int, int] = {}
        self.closed = False
        self._reader, self._writer = reader, writer
        self._pack, self._unpack = frames.HeaderWriter(), frames.HeaderReader()

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    def open(self, stream_id: int, flags: int = 0, **headers: str) -> None:
        self.streams[stream_id] = SpdyStreamLog()
        block = self._pack.pack(headers)
        self.send(frames.syn_stream_frame(stream_id, block, flags=frames.FrameFlag(flags)))

    def open_all(self, *kinds: str) -> dict[str, int]:
        ids = {kind: 1 + 2 * index for index, kind in enumerate(kinds)}
        for kind, stream_id in ids.items():
            self.open(stream_id, streamType=kind)
        return ids

    async def until(self, condition: Callable[[], bool]) -> None:
        """Read frames until the condition holds; AssertionError when the server closes first."""
        while not condition():
            assert await self._frame(), "the server closed the connection"

    async def until_closed(self) -> None:
        while await self._frame():
            pass
        self.closed = True

    async def _frame(self) -> bool:
        try:
            head = frames.parse_frame_header(await self._reader.readexactly(8))
            payload = await self._reader.readexactly(head.length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return False
        if isinstance(head, frames.DataHeader):
            log = self.streams[head.stream_id]
            log.data += payload
            log.ended = log.ended or bool(head.flags & frames.FrameFlag.FIN)
            return True
        self._control(head.type, payload)
        return True

    def _control(self, kind: int, payload: bytes) -> None:
        first = int.from_bytes(payload[:4], "big")
        second = int.from_bytes(payload[4:8], "big")
        if kind == frames.FrameType.SYN_REPLY:
            self._unpack.unpack(payload[4:])
            self.streams[first].replied = True
        elif kind == frames.FrameType.RST_STREAM:
            self.streams.setdefault(first, SpdyStreamLog()).reset = second
        elif kind == frames.FrameType.GOAWAY:
            self.goaway = second
        elif kind == frames.FrameType.PING:
            self.pings.append(first)
        elif kind == frames.FrameType.WINDOW_UPDATE:
            self.windows[first] = self.windows.get(first, 0) + second

    async def close(self) -> None:
        self._writer.close()
        await asyncio.wait({asyncio.ensure_future(self._writer.wait_closed())})

    def status_of(self, stream_id: int) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(bytes(self.streams[stream_id].data))
        return decoded


@pytest_asyncio.fixture
async def spdy(scene: Scene) -> AsyncIterator[Callable[..., Awaitable[SpdyPeer]]]:
    """Connects SPDY clients: ``await spdy("exec?stdout=true", "v4.channel.k8s.io")``."""
    peers: list[SpdyPeer] = []

    async def connect(path: str, *protocols: str) -> SpdyPeer:
        reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)
        lines = [f"POST /{path} HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: SPDY/3.1"]
        lines += [f"X-Stream-Protocol-Version: {protocol}" for protocol in protocols]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        status_line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in rest if line)
        body = await reader.readexactly(int(headers.get("Content-Length", 0)))
        peers.append(SpdyPeer(reader, writer, headers, int(status_line.split()[1]), body))
        return peers[-1]

    yield connect
    for peer in peers:
        await peer.close()
