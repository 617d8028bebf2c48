"""Runs a SPDY connection: moves bytes between a :class:`ByteStream` and the state machine of ``podrunner.spdy``.

It gives streams that can be read, written, half-closed. What the streams are for does not belong here.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from podrunner.local.streams.pipe import ByteBuffer, ByteStream
from podrunner.spdy import connection as spdy
from podrunner.spdy.connection import SpdyConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["SpdySession", "SpdyStream"]

_HIGH_WATER_BYTES: Final = 256 * 1024
"""Bytes received by all streams and not yet read; above this nothing more is received."""
_CHUNK_BYTES: Final = 32 * 1024
"""Bytes of one data frame, so that streams take turns."""
_LINGER_S: Final = 5.0
"""Seconds that the client has to read the rest and close. To close first would reset the connection under what is
still on its way, if anything of the client's is unread."""
HEARTBEAT_S: Final = 10.0
"""Seconds between pings. A client that died while nothing is received is found by the failing write."""


class SpdyStream:
    """One stream of a session. One reader and one writer at a time."""

    def __init__(self, session: SpdySession, stream_id: int, headers: Mapping[str, str]) -> None:
        self.stream_id = stream_id
        self.headers = headers
        self._session = session
        self._buffer = ByteBuffer(self._taken)
        self._window_news = asyncio.Event()
        self._discarding = False

    @property
    def kind(self) -> str:
        """What Kubernetes uses the stream for: ``stdin``, ``error``, ``data``, and so on."""
        return self.headers.get("streamtype", "")

    async def read(self) -> bytes:
        """Return the next bytes; empty at the end of the stream, however it ended."""
        data = await self._buffer.take()
        await self._session.flush()
        return data

    async def write(self, data: bytes) -> None:
        """Send all of ``data``, waiting while the client is slow. BrokenPipeError when it closed the stream."""
        rest = memoryview(data)
        while rest:
            size = await self._sendable()
            self._session.connection.send_data(self.stream_id, bytes(rest[:size]))
            rest = rest[size:]
            await self._session.flush()

    async def _sendable(self) -> int:
        while not (size := self._session.connection.sendable(self.stream_id)):
            if not self._session.connection.is_writable(self.stream_id):
                raise BrokenPipeError(f"stream {self.stream_id} is closed")
            self._window_news.clear()
            await self._window_news.wait()
        return min(size, _CHUNK_BYTES)

    async def end(self) -> None:
        """Half-close: the client reads the end."""
        self._session.connection.end(self.stream_id)
        self._session.forget_if_over(self.stream_id)
        await self._session.flush()

    async def reset(self) -> None:
        """Close both ways at once."""
        self._session.connection.reset(self.stream_id)
        self._session.forget_if_over(self.stream_id)
        self.abandon()
        self.discard()
        await self._session.flush()

    def discard(self) -> None:
        """Drop what is here and what still comes, as it is not read any more: it must hold up no other stream."""
        self._discarding = True
        self._buffer.drop()

    def _taken(self, size: int) -> None:
        self._session.taken(self.stream_id, size)

    def feed(self, data: bytes) -> None:
        """For the session: bytes arrived."""
        self._buffer.feed(data)
        if self._discarding:
            self._buffer.drop()

    def finish(self) -> None:
        """Close the connection and let the client read the rest; ``serving`` is the task that runs :meth:`run`."""
        self._buffer.end()

    def abandon(self) -> None:
        """For the session: the stream is over both ways."""
        self._buffer.end()
        self._window_news.set()

    def look_again(self) -> None:
        """For the session: the window may have opened."""
        self._window_news.set()


class SpdySession:
    """A connection with its streams.

    Args:
        pipe: The connection to the client.
        on_stream: Called for each stream that the client opens; whether it is accepted (else it is reset).
        heartbeat_s: Seconds between two pings.
    """

    def __init__(
        self, pipe: ByteStream, on_stream: Callable[[SpdyStream], bool], *, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self.connection: SpdyConnection = SpdyConnection()
        self.gone: asyncio.Event = asyncio.Event()
        """Set when the client left, or announced that it will."""
        self._pipe = pipe
        self._on_stream = on_stream
        self._heartbeat_s = heartbeat_s
        self._streams: dict[int, SpdyStream] = {}
        self._unread = 0
        self._room = asyncio.Event()
        self._room.set()

    async def run(self) -> None:
        """Serve until the client is gone; then every stream is at its end."""
        beating = asyncio.create_task(self._beat(), name="spdy heartbeat")
        try:
            with contextlib.suppress(ConnectionError):
                await self._receive_all()
        finally:
            beating.cancel()
            self._leave()

    async def _receive_all(self) -> None:
        while data := await self._pipe.receive():
            events = self.connection.receive(data)
            for event in events:
                self._handle(event)
            await self.flush()
            if any(isinstance(event, spdy.ConnectionFailed) for event in events):
                return
            await self._room.wait()

    async def _beat(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._heartbeat_s)
                self.connection.ping()
                await self.flush()
        self._leave()

    def _leave(self) -> None:
        self.gone.set()
        self._room.set()
        for stream in self._streams.values():
            self.connection.reset(stream.stream_id)
            stream.abandon()

    def _handle(self, event: spdy.Event) -> None:
        match event:
            case spdy.StreamOpened(stream_id, headers):
                self._open(SpdyStream(self, stream_id, headers))
            case spdy.DataReceived(stream_id, data):
                self._feed(stream_id, data)
            case spdy.StreamEnded(stream_id):
                self._ended(stream_id)
            case spdy.StreamReset(stream_id):
                self._reset(stream_id)
            case spdy.WindowOpened(stream_id):
                self._look_again(stream_id)
            case spdy.GoneAway():
                self.gone.set()

    def _open(self, stream: SpdyStream) -> None:
        if self._on_stream(stream):
            self._streams[stream.stream_id] = stream
            self.connection.reply(stream.stream_id)
        else:
            self.connection.reset(stream.stream_id, spdy.ResetStatus.REFUSED_STREAM)

    def _feed(self, stream_id: int, data: bytes) -> None:
        if (stream := self._streams.get(stream_id)) is None:
            return  # refused or reset while this was on its way
        self._unread += len(data)
        if self._unread > _HIGH_WATER_BYTES:
            self._room.clear()
        stream.feed(data)

    def _ended(self, stream_id: int) -> None:
        if (stream := self._streams.get(stream_id)) is not None:
            stream.finish()
            self.forget_if_over(stream_id)

    def _reset(self, stream_id: int) -> None:
        if (stream := self._streams.pop(stream_id, None)) is not None:
            stream.abandon()

    def _look_again(self, stream_id: int) -> None:
        streams = self._streams.values() if stream_id == 0 else filter(None, [self._streams.get(stream_id)])
        for stream in streams:
            stream.look_again()

    def taken(self, stream_id: int, size: int) -> None:
        """For a stream: its reader took ``size`` bytes."""
        self._unread -= size
        if self._unread <= _HIGH_WATER_BYTES:
            self._room.set()
        self.connection.consumed(stream_id, size)

    def forget_if_over(self, stream_id: int) -> None:
        """For a stream: it was closed in one direction, perhaps the last. What it still holds can be read."""
        if not self.connection.knows(stream_id):
            self._streams.pop(stream_id, None)

    async def flush(self) -> None:
        """Send what the state machine has to send. ConnectionError when the client is gone."""
        if data := self.connection.data_to_send():
            await self._pipe.send(data)

    async def finish(self, serving: asyncio.Task[None]) -> None:
        """Close the connection and let the client read the rest; ``serving`` is the task that runs :meth:`run`."""
        self.connection.goaway()
        with contextlib.suppress(ConnectionError):
            await self.flush()
        await asyncio.wait({serving}, timeout=_LINGER_S)
