"""Either side of a SPDY/3.1 connection as a state machine: bytes in, events out; commands in, bytes out.

No socket, no clock, no waiting: callers move the bytes. Kubernetes uses a small part of SPDY: the client opens
streams, both sides send data and half-close. Server push and priorities do not belong here.

Flow control is one-sided in practice. Kubernetes' own library (moby/spdystream) neither keeps a window nor sends
WINDOW_UPDATE, so a window of ours is obeyed only once the peer has shown that it keeps one, and a peer that sends
more than its window is not punished; what holds it back is TCP, when its bytes are not read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Final

from podrunner.spdy import frames
from podrunner.spdy.frames import ControlFrame, DataHeader, FrameError, FrameFlag, FrameType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "ConnectionFailed",
    "DataReceived",
    "Event",
    "GoneAway",
    "PingAnswered",
    "ResetStatus",
    "SpdyConnection",
    "StreamEnded",
    "StreamOpened",
    "StreamReset",
    "UsageOfClosedStreamError",
    "WindowOpened",
]

INITIAL_WINDOW_BYTES: Final = 64 * 1024
"""Window of each stream and of the connection, in bytes, until SETTINGS say otherwise (SPDY/3.1, 2.6.8)."""
MAX_CONTROL_BYTES: Final = 64 * 1024
"""The server's bound on control frames, which are buffered whole; Kubernetes' have a few hundred bytes."""
MAX_STREAMS: Final = 2_000
"""The server's bound on streams open at once; a port-forward takes two per TCP connection."""
_CONNECTION: Final = 0
_SETTINGS_INITIAL_WINDOW: Final = 7
_PING_IDS: Final = 1 << 31
_MAX_WINDOW_BYTES: Final = (1 << 31) - 1


class ResetStatus(IntEnum):
    """Why a stream is reset (SPDY/3, 2.6.3)."""

    PROTOCOL_ERROR = 1
    INVALID_STREAM = 2
    REFUSED_STREAM = 3
    UNSUPPORTED_VERSION = 4
    CANCEL = 5
    INTERNAL_ERROR = 6
    FLOW_CONTROL_ERROR = 7
    STREAM_IN_USE = 8
    STREAM_ALREADY_CLOSED = 9
    FRAME_TOO_LARGE = 11


class _GoAwayStatus(IntEnum):
    OK = 0
    PROTOCOL_ERROR = 1


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The peer, a client, opened a stream; answer with ``reply`` or ``reset``."""

    stream_id: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A piece of a stream; large frames come in several. Say ``consumed`` when it is used."""

    stream_id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The peer will send no more on this stream; the own direction is as before."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The stream is over both ways."""

    stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class WindowOpened:
    """More may be sent on this stream, or (0) on any."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class PingAnswered:
    """The answer to an own ping."""

    ping_id: int


@dataclass(frozen=True, slots=True)
class GoneAway:
    """The peer is about to close the connection."""

    status: int


@dataclass(frozen=True, slots=True)
class ConnectionFailed:
    """The peer broke the protocol; nothing that follows can be understood. A GOAWAY is ready to be sent."""

    problem: str


Event = (
    StreamOpened
    | DataReceived
    | StreamEnded
    | StreamReset
    | WindowOpened
    | PingAnswered
    | GoneAway
    | ConnectionFailed
)


class UsageOfClosedStreamError(RuntimeError):
    """The caller tried to send on a stream that is closed in that direction, or more than its window allows."""


@dataclass(slots=True)
class _Stream:
    send_window: int
    may_send: bool = True
    may_receive: bool = True
    replied: bool = False
    unreported: int = 0  # bytes consumed since the last WINDOW_UPDATE

    @property
    def over(self) -> bool:
        return not (self.may_send or self.may_receive)


@dataclass(slots=True)
class _OpenData:
    """A data frame of which ``left`` bytes are still to come."""

    stream_id: int
    left: int
    fin: bool


@dataclass(slots=True)
class SpdyConnection:
    """One connection. Feed it with :meth:`receive`; after each call send what :meth:`data_to_send` gives.

    Args:
        is_client: Whether this side opens the streams (:meth:`open`); otherwise the peer does.
    """

    is_client: bool = False
    _inbox: bytearray = field(default_factory=bytearray)
    _outbox: bytearray = field(default_factory=bytearray)
    _streams: dict[int, _Stream] = field(default_factory=dict)
    _reader: frames.HeaderReader = field(default_factory=frames.HeaderReader)
    _writer: frames.HeaderWriter = field(default_factory=frames.HeaderWriter)
    _open_data: _OpenData | None = None
    _last_stream_id: int = 0
    _initial_window: int = INITIAL_WINDOW_BYTES
    _send_window: int = INITIAL_WINDOW_BYTES
    _unreported: int = 0
    _peer_keeps_windows: bool = False
    _next_ping_id: int = 2
    _leaving: bool = False
    _failed: bool = False

    # ---- what comes in

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes of any length from the peer and return the events in them; never raises for what it sends."""
        if self._failed:
            return []
        self._inbox += data
        events: list[Event] = []
        try:
            while self._advance(events):
                pass
        except FrameError as error:
            events.append(self._fail(str(error)))
        return events

    def _fail(self, problem: str) -> ConnectionFailed:
        self._failed = True
        self._inbox.clear()
        self._outbox += frames.goaway_frame(self._last_stream_id, _GoAwayStatus.PROTOCOL_ERROR)
        return ConnectionFailed(problem)

    def _advance(self, events: list[Event]) -> bool:
        if self._open_data is not None:
            return self._read_data(self._open_data, events)
        if len(self._inbox) < frames.FRAME_HEADER_BYTES:
            return False
        head = frames.parse_frame_header(bytes(self._inbox[: frames.FRAME_HEADER_BYTES]))
        if isinstance(head, DataHeader):
            return self._begin_data(head)
        return self._read_control(head, events)

    def _begin_data(self, head: DataHeader) -> bool:
        self._drop(frames.FRAME_HEADER_BYTES)
        self._open_data = _OpenData(head.stream_id, head.length, fin=bool(head.flags & FrameFlag.FIN))
        return True

    def _read_data(self, frame: _OpenData, events: list[Event]) -> bool:
        piece = bytes(self._inbox[: frame.left])
        self._drop(len(piece))
        frame.left -= len(piece)
        done = frame.left == 0
        if done:
            self._open_data = None
        if piece or done:
            events += self._on_data(frame.stream_id, piece, fin=done and frame.fin)
        return done and bool(self._inbox)

    def _drop(self, count: int) -> None:
        del self._inbox[:count]

    def _on_data(self, stream_id: int, data: bytes, *, fin: bool) -> list[Event]:
        stream = self._streams.get(stream_id)
        if stream is None or not stream.may_receive:
            return self._on_stray_data(stream_id, stream, len(data))
        events: list[Event] = [DataReceived(stream_id, data)] if data else []
        return events + (self._remote_end(stream_id) if fin else [])

    def _on_stray_data(self, stream_id: int, stream: _Stream | None, size: int) -> list[Event]:
        """Data of a stream that just ended is normal and dropped; of one that never was, or was ended, is not."""
        self._credit_connection(size)
        if stream is not None:
            return self._reset_for(stream_id, ResetStatus.STREAM_ALREADY_CLOSED)
        if stream_id == 0 or stream_id > self._last_stream_id:
            self._outbox += frames.rst_stream_frame(stream_id, ResetStatus.INVALID_STREAM)
        return []

    def _reset_for(self, stream_id: int, status: ResetStatus) -> list[Event]:
        self.reset(stream_id, status)
        return [StreamReset(stream_id, status)]

    def _remote_end(self, stream_id: int) -> list[Event]:
        self._streams[stream_id].may_receive = False
        self._forget_if_over(stream_id)
        return [StreamEnded(stream_id)]

    def _forget_if_over(self, stream_id: int) -> None:
        if self._streams[stream_id].over:
            del self._streams[stream_id]

    def _read_control(self, head: ControlFrame, events: list[Event]) -> bool:
        if head.length > MAX_CONTROL_BYTES:
            raise FrameError(f"a control frame of {head.length} bytes; at most {MAX_CONTROL_BYTES} are read")
        end = frames.FRAME_HEADER_BYTES + head.length
        if len(self._inbox) < end:
            return False
        payload = bytes(self._inbox[frames.FRAME_HEADER_BYTES : end])
        self._drop(end)
        handle = self._HANDLERS.get(head.type)
        if handle is not None:  # an unknown type is skipped, as the protocol asks
            events += handle(self, ControlFrame(head.type, head.flags, head.length, payload))
        return True

    def _on_syn_stream(self, frame: ControlFrame) -> list[Event]:
        stream_id, _ = frames.two_numbers(frame.payload)
        headers = self._reader.unpack(frame.payload[10:])
        if self.is_client:  # servers of Kubernetes open none
            self._outbox += frames.rst_stream_frame(stream_id, ResetStatus.REFUSED_STREAM)
            return []
        if stream_id % 2 == 0 or stream_id <= self._last_stream_id:
            raise FrameError(f"stream {stream_id} opened after stream {self._last_stream_id}")
        if self._leaving:
            return []
        self._last_stream_id = stream_id
        if len(self._streams) >= MAX_STREAMS:
            self._outbox += frames.rst_stream_frame(stream_id, ResetStatus.REFUSED_STREAM)
            return []
        self._streams[stream_id] = _Stream(
            self._initial_window, may_send=not frame.flags & FrameFlag.UNIDIRECTIONAL
        )
        opened: list[Event] = [StreamOpened(stream_id, headers)]
        return opened + (self._remote_end(stream_id) if frame.flags & FrameFlag.FIN else [])

    def _on_headers(self, frame: ControlFrame) -> list[Event]:
        """Kubernetes sends no headers after the first; they are unpacked as the compression has a memory."""
        if len(frame.payload) < 4:
            raise FrameError("a frame of headers that names no stream")
        self._reader.unpack(frame.payload[4:])
        stream_id = int.from_bytes(frame.payload[:4], "big") & frames.MAX_STREAM_ID
        stream = self._streams.get(stream_id)
        ended = frame.flags & FrameFlag.FIN and stream is not None and stream.may_receive
        return self._remote_end(stream_id) if ended else []

    def _on_reset(self, frame: ControlFrame) -> list[Event]:
        stream_id, status = frames.two_numbers(frame.payload)
        known = self._streams.pop(stream_id, None) is not None
        return [StreamReset(stream_id, status)] if known else []

    def _on_settings(self, frame: ControlFrame) -> list[Event]:
        window = frames.settings_values(frame.payload).get(_SETTINGS_INITIAL_WINDOW)
        if window is None:
            return []
        if window > _MAX_WINDOW_BYTES:
            raise FrameError(f"an initial window of {window} bytes")
        change, self._initial_window = window - self._initial_window, window
        for stream in self._streams.values():
            stream.send_window += change
        self._peer_keeps_windows = True
        return [WindowOpened(stream_id) for stream_id in self._streams]

    def _on_ping(self, frame: ControlFrame) -> list[Event]:
        if len(frame.payload) != 4:
            raise FrameError(f"a PING frame of {len(frame.payload)} bytes, wanted 4")
        ping_id = int.from_bytes(frame.payload, "big")
        if ping_id % 2 == int(self.is_client):
            return [PingAnswered(ping_id)]
        self._outbox += frames.ping_frame(ping_id)
        return []

    def _on_goaway(self, frame: ControlFrame) -> list[Event]:
        _, status = frames.two_numbers(frame.payload)
        return [GoneAway(status)]

    def _on_window_update(self, frame: ControlFrame) -> list[Event]:
        stream_id, delta = frames.two_numbers(frame.payload)
        self._peer_keeps_windows = True
        if stream_id == _CONNECTION:
            self._send_window = self._widened(self._send_window, delta)
        elif (stream := self._streams.get(stream_id)) is not None:
            stream.send_window = self._widened(stream.send_window, delta)
        return [WindowOpened(stream_id)]

    @staticmethod
    def _widened(window: int, delta: int) -> int:
        if not 0 < delta <= _MAX_WINDOW_BYTES or window + delta > _MAX_WINDOW_BYTES:
            raise FrameError(f"a window of {window} bytes widened by {delta}")
        return window + delta

    _HANDLERS: ClassVar[Mapping[int, Callable[[SpdyConnection, ControlFrame], list[Event]]]] = {
        FrameType.SYN_STREAM: _on_syn_stream,
        FrameType.SYN_REPLY: _on_headers,
        FrameType.RST_STREAM: _on_reset,
        FrameType.SETTINGS: _on_settings,
        FrameType.PING: _on_ping,
        FrameType.GOAWAY: _on_goaway,
        FrameType.HEADERS: _on_headers,
        FrameType.WINDOW_UPDATE: _on_window_update,
    }

    # ---- what goes out

    def data_to_send(self) -> bytes:
        """Return all bytes that wait to be sent; they are handed out once."""
        data = bytes(self._outbox)
        self._outbox.clear()
        return data

    def open(self, headers: Mapping[str, str]) -> int:
        """Open a stream as the client, and return its number."""
        stream_id = self._last_stream_id + (2 if self._last_stream_id else 1)
        self._last_stream_id = stream_id
        self._streams[stream_id] = _Stream(self._initial_window, replied=True)
        self._outbox += frames.syn_stream_frame(stream_id, self._writer.pack(headers))
        return stream_id

    def reply(self, stream_id: int) -> None:
        """Accept a stream; nothing happens if it is gone meanwhile."""
        stream = self._streams.get(stream_id)
        if stream is not None and stream.may_send and not stream.replied:
            stream.replied = True
            self._outbox += frames.syn_reply_frame(stream_id, self._writer.pack({}))

    def sendable(self, stream_id: int) -> int:
        """Return how many bytes may be sent on the stream now; 0 also when it is closed in the own direction."""
        stream = self._streams.get(stream_id)
        if stream is None or not stream.may_send:
            return 0
        if not self._peer_keeps_windows:
            return frames.MAX_FRAME_BYTES
        return max(0, min(stream.send_window, self._send_window, frames.MAX_FRAME_BYTES))

    def knows(self, stream_id: int) -> bool:
        """Return whether the stream is open in either direction."""
        return stream_id in self._streams

    def is_writable(self, stream_id: int) -> bool:
        """Return whether the stream is still open in the own direction, be its window full or not."""
        stream = self._streams.get(stream_id)
        return stream is not None and stream.may_send

    def send_data(self, stream_id: int, data: bytes) -> None:
        """Send at most ``sendable`` bytes; UsageOfClosedStreamError (nothing is sent) if they are more."""
        if len(data) > self.sendable(stream_id):
            raise UsageOfClosedStreamError(f"{len(data)} bytes do not fit stream {stream_id}")
        self._streams[stream_id].send_window -= len(data)
        self._send_window -= len(data)
        self._outbox += frames.data_frame(stream_id, data)

    def end(self, stream_id: int) -> None:
        """Half-close: this side sends no more on this stream. Nothing happens if it is closed already."""
        stream = self._streams.get(stream_id)
        if stream is None or not stream.may_send:
            return
        self._outbox += frames.data_frame(stream_id, b"", fin=True)
        stream.may_send = False
        self._forget_if_over(stream_id)

    def reset(self, stream_id: int, status: ResetStatus = ResetStatus.CANCEL) -> None:
        """Close a stream both ways at once; nothing happens if it is closed already."""
        if self._streams.pop(stream_id, None) is not None:
            self._outbox += frames.rst_stream_frame(stream_id, status)

    def consumed(self, stream_id: int, size: int) -> None:
        """Count ``size`` received bytes as used: the window opens again, in steps of half a window."""
        self._credit_connection(size)
        stream = self._streams.get(stream_id)
        if stream is None or not stream.may_receive:
            return
        stream.unreported += size
        if stream.unreported >= INITIAL_WINDOW_BYTES // 2:
            self._outbox += frames.window_update_frame(stream_id, stream.unreported)
            stream.unreported = 0

    def _credit_connection(self, size: int) -> None:
        self._unreported += size
        if self._unreported >= INITIAL_WINDOW_BYTES // 2:
            self._outbox += frames.window_update_frame(_CONNECTION, self._unreported)
            self._unreported = 0

    def ping(self) -> int:
        """Ask the peer for a sign of life; its answer is a :class:`PingAnswered` with the number returned here."""
        ping_id = self._next_ping_id - int(self.is_client)  # clients' are odd
        self._next_ping_id = (self._next_ping_id + 2) % _PING_IDS or 2
        self._outbox += frames.ping_frame(ping_id)
        return ping_id

    def goaway(self) -> None:
        """Announce that no more streams are accepted; those that are open go on."""
        if not self._leaving:
            self._leaving = True
            self._outbox += frames.goaway_frame(self._last_stream_id, _GoAwayStatus.OK)
