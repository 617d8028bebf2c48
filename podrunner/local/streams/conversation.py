"""One shape for both ways of talking to the client of exec and attach: WebSocket channels and SPDY streams.

A conversation gives stdin and terminal sizes and takes output and the final status. Processes do not belong here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from podrunner.local.streams import upgrade
from podrunner.local.streams.outcomes import error_message
from podrunner.local.streams.pipe import ByteBuffer
from podrunner.local.streams.process import OutputName, TerminalSize
from podrunner.local.streams.session import SpdySession, SpdyStream
from podrunner.local.streams.websocket import (
    CHANNEL_PROTOCOLS,
    ChannelClosed,
    ChannelData,
    ChannelSocket,
    sends_status,
)

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Conversation", "OnResize", "StreamSet", "negotiated", "open_conversation", "parse_sizes"]

SPDY_PROTOCOLS: Final = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE = range(5)
_OUTPUTS: Final[dict[str, int]] = {"stdout": _STDOUT, "stderr": _STDERR}
_HIGH_WATER_BYTES: Final = 256 * 1024
"""Bytes of stdin that the process has not taken; above this the client has to wait."""
_STREAMS_TIMEOUT_S: Final = 30.0
"""How long a SPDY client may take to open its streams (Kubernetes' DefaultStreamCreationTimeout)."""
_MAX_PENDING_RESIZE: Final = 4096
"""Bytes of a terminal size that is not complete."""

OnResize = Callable[[TerminalSize], None]


@dataclass(frozen=True, slots=True)
class StreamSet:
    """Which streams the client asked for."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    def wants(self, name: OutputName) -> bool:
        """Return whether the client takes this output."""
        return self.stdout if name == "stdout" else self.stderr

    def spdy_kinds(self, protocol: str) -> frozenset[str]:
        """Return the streams that a SPDY client opens; before v3 there was no ``resize``."""
        resize = self.tty and protocol.startswith(("v3.", "v4."))
        wanted = {
            "stdin": self.stdin,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "error": True,
            "resize": resize,
        }
        return frozenset(kind for kind, is_wanted in wanted.items() if is_wanted)


class Conversation(Protocol):
    """A conversation with a client, over either protocol."""

    gone: asyncio.Event

    @property
    def response(self) -> web.StreamResponse:
        """What the handler returns."""
        ...

    async def read_stdin(self) -> bytes:
        """Return the next input; empty at its end."""
        ...

    async def write(self, name: OutputName, data: bytes) -> None:
        """Send output, waiting while the client is slow. ConnectionError when it is gone."""
        ...

    async def finish(self, status: dict[str, Any]) -> None:
        """Send the outcome, close all streams and let the client read the rest."""
        ...

    async def aclose(self) -> None:
        """Stop what runs in the background."""
        ...


def parse_sizes(pending: str) -> tuple[list[TerminalSize], str]:
    """Return the terminal sizes in a run of JSON objects, and the incomplete rest; other objects are skipped."""
    decoder, sizes = json.JSONDecoder(), list[TerminalSize]()
    while pending := pending.lstrip():
        try:
            value, end = decoder.raw_decode(pending)
        except ValueError:
            return [size for size in sizes if min(size) > 0], pending[:_MAX_PENDING_RESIZE]
        pending = pending[end:]
        with contextlib.suppress(KeyError, TypeError, ValueError):
            sizes.append(TerminalSize(int(value["Width"]), int(value["Height"])))
    return [size for size in sizes if min(size) > 0], ""


class _Resizer:
    """Collects pieces of JSON and passes on the sizes in them."""

    def __init__(self, on_resize: OnResize) -> None:
        self._on_resize = on_resize
        self._pending = ""

    def feed(self, data: bytes) -> None:
        sizes, self._pending = parse_sizes(self._pending + data.decode("utf-8", "replace"))
        for size in sizes:
            self._on_resize(size)


class _ChannelConversation:
    """Over WebSocket channels 0 to 4."""

    def __init__(self, socket: ChannelSocket, wanted: StreamSet, on_resize: OnResize) -> None:
        self.gone = socket.gone
        self._socket = socket
        self._wanted = wanted
        self._resizer = _Resizer(on_resize)
        self._stdin = ByteBuffer(self._taken)
        self._room = asyncio.Event()
        self._serving = asyncio.create_task(self._serve(), name="websocket channels")

    @property
    def response(self) -> web.StreamResponse:
        return self._socket.response

    async def greet(self) -> None:
        """Send an empty message, by which clients see that all is set up, as a kubelet does."""
        outputs = [name for name in ("stdout", "stderr") if self._wanted.wants(name)]
        await self._socket.send(_OUTPUTS[outputs[0]] if outputs else _ERROR, b"")

    async def _serve(self) -> None:
        try:
            await self._socket.run(self._receive)
        finally:
            self._stdin.end()

    async def _receive(self, event: ChannelData | ChannelClosed) -> None:
        match event:
            case ChannelClosed(channel) if channel == _STDIN:
                self._stdin.end()
            case ChannelData(channel, data) if channel == _STDIN:
                await self._feed(data)
            case ChannelData(channel, data) if channel == _RESIZE:
                self._resizer.feed(data)

    async def _feed(self, data: bytes) -> None:
        self._stdin.feed(data)
        while self._stdin.size > _HIGH_WATER_BYTES:
            self._room.clear()
            await self._room.wait()

    def _taken(self, _size: int) -> None:
        self._room.set()

    async def read_stdin(self) -> bytes:
        return await self._stdin.take()

    async def write(self, name: OutputName, data: bytes) -> None:
        await self._socket.send(_OUTPUTS[name], data)

    async def finish(self, status: dict[str, Any]) -> None:
        message = error_message(status, as_status=sends_status(self._socket.protocol))
        if message:
            await self._socket.send(_ERROR, message)
        await self._stop_serving()
        await self._socket.close()

    async def aclose(self) -> None:
        await self._stop_serving()
        await self._socket.close()

    async def _stop_serving(self) -> None:
        self._serving.cancel()
        await asyncio.wait({self._serving})


class _SpdyConversation:
    """Over SPDY streams that name themselves by a header."""

    def __init__(
        self, raw: upgrade.RawConnection, kinds: frozenset[str], protocol: str, on_resize: OnResize
    ) -> None:
        self.response: web.StreamResponse = raw.response
        self._kinds = kinds
        self._protocol = protocol
        self._resizer = _Resizer(on_resize)
        self._streams: dict[str, SpdyStream] = {}
        self._all_here = asyncio.Event()
        self._session = SpdySession(raw, self._accept)
        self.gone = self._session.gone
        self._serving = asyncio.create_task(self._session.run(), name="spdy session")
        self._resizing: asyncio.Task[None] | None = None

    def _accept(self, stream: SpdyStream) -> bool:
        if stream.kind not in self._kinds or stream.kind in self._streams:
            return False
        self._streams[stream.kind] = stream
        if stream.kind not in {"stdin", "resize"}:
            stream.discard()
        if self._kinds == self._streams.keys():
            self._all_here.set()
        return True

    async def wait_for_streams(self) -> None:
        """Wait until all streams are open. ConnectionError if the client leaves, or does not open them in time."""
        waits = {asyncio.create_task(self._all_here.wait()), asyncio.create_task(self.gone.wait())}
        await asyncio.wait(waits, timeout=_STREAMS_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
        if self.gone.is_set():
            raise ConnectionResetError("the client left before it opened its streams")
        if not self._all_here.is_set():
            raise ConnectionAbortedError(
                f"the client did not open its streams within {_STREAMS_TIMEOUT_S:g} s"
            )
        if "resize" in self._streams:
            self._resizing = asyncio.create_task(self._resize(self._streams["resize"]), name="spdy resize")

    async def _resize(self, stream: SpdyStream) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await stream.read():
                self._resizer.feed(data)

    async def read_stdin(self) -> bytes:
        return await self._streams["stdin"].read()

    async def write(self, name: OutputName, data: bytes) -> None:
        await self._streams[name].write(data)

    async def finish(self, status: dict[str, Any]) -> None:
        for name in ("stdout", "stderr"):
            if name in self._streams:
                await self._streams[name].end()
        message = error_message(status, as_status=self._protocol.startswith("v4."))
        await self._streams["error"].write(message)
        for stream in self._streams.values():
            stream.discard()
            await stream.end()
        await self._session.finish(self._serving)

    async def aclose(self) -> None:
        for task in filter(None, (self._serving, self._resizing)):
            task.cancel()
            await asyncio.wait({task})


def negotiated(request: web.Request) -> str | web.Response | None:
    """Return the protocol of exec and attach that both sides speak (None: the client names none), or a refusal."""
    if upgrade.asks_for_websocket(request.headers):
        return _agreed(upgrade.offered_websocket_protocols(request), CHANNEL_PROTOCOLS)
    return _agreed(upgrade.offered_spdy_protocols(request), SPDY_PROTOCOLS)


def _agreed(offered: Sequence[str], served: Sequence[str]) -> str | web.Response | None:
    if not offered:
        return None
    return upgrade.negotiate(offered, served) or upgrade.refuse_protocols(offered, served)


async def open_conversation(
    request: web.Request, wanted: StreamSet, *, protocol: str | None, on_resize: OnResize
) -> Conversation:
    """Upgrade the request and wait until the client's streams are there.

    Raises:
        ConnectionError: The client left, or did not open the streams that it asked for.
    """
    if upgrade.asks_for_websocket(request.headers):
        channels = _ChannelConversation(await ChannelSocket.open(request), wanted, on_resize)
        await _or_close(channels, channels.greet)
        return channels
    raw = await upgrade.take_over(request, protocol=protocol)
    spoken = protocol or SPDY_PROTOCOLS[-1]
    streams = _SpdyConversation(raw, wanted.spdy_kinds(spoken), spoken, on_resize)
    await _or_close(streams, streams.wait_for_streams)
    return streams


async def _or_close(conversation: Conversation, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await step()
    except BaseException:
        await conversation.aclose()
        raise
