"""The frames of SPDY/3.1 as bytes: reading and writing them, and their compressed header blocks.

Numbers and layouts are those of the SPDY protocol, drafts 3 and 3.1 (https://www.chromium.org/spdy/spdy-protocol/).
What a sequence of frames means belongs to ``connection``.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "ControlFrame",
    "DataHeader",
    "FrameError",
    "FrameFlag",
    "FrameType",
    "HeaderReader",
    "HeaderWriter",
    "data_frame",
    "goaway_frame",
    "parse_frame_header",
    "ping_frame",
    "rst_stream_frame",
    "settings_frame",
    "settings_values",
    "syn_reply_frame",
    "syn_stream_frame",
    "two_numbers",
    "window_update_frame",
]

FRAME_HEADER_BYTES = 8
MAX_FRAME_BYTES = (1 << 24) - 1
"""The length field has 24 bits."""
MAX_STREAM_ID = (1 << 31) - 1
VERSION = 3
MAX_HEADER_BLOCK_BYTES = 64 * 1024
"""The server's bound on an unpacked header block; Kubernetes' blocks have about a hundred bytes."""

_CONTROL_BIT = 0x8000
_U32 = struct.Struct(">I")
_TWO_U32 = struct.Struct(">II")
_CONTROL_HEAD = struct.Struct(">HHI")

_DICTIONARY_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age "
    "allow authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_DICTIONARY_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    """Return the preset zlib dictionary of SPDY/3, section 2.6.10.1: counted words, then plain text."""
    words = [
        *_DICTIONARY_WORDS.split(),
        "200 OK",
        "version",
        "HTTP/1.1",
        "url",
        "public",
        "set-cookie",
        "keep-alive",
        "origin",
    ]
    return b"".join(_counted(word.encode()) for word in words) + _DICTIONARY_TAIL.encode()


class FrameError(ValueError):
    """The peer sent bytes that are no valid frame."""


class FrameType(IntEnum):
    """Types of control frames."""

    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    HEADERS = 8
    WINDOW_UPDATE = 9


class FrameFlag(IntFlag):
    """Flags of frames that open or carry a stream."""

    NONE = 0
    FIN = 1
    UNIDIRECTIONAL = 2


@dataclass(frozen=True, slots=True)
class ControlFrame:
    """A control frame's head, and its payload once it is read."""

    type: int
    flags: int
    length: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class DataHeader:
    """A data frame's head; ``length`` bytes of data follow."""

    stream_id: int
    flags: int
    length: int


def parse_frame_header(head: bytes) -> ControlFrame | DataHeader:
    """Read the eight bytes that begin a frame; FrameError if they are of another version of SPDY."""
    first, length_word = _TWO_U32.unpack(head)
    flags, length = length_word >> 24, length_word & MAX_FRAME_BYTES
    if not first >> 31:
        return DataHeader(first, flags, length)
    version, kind = (first >> 16) & ~_CONTROL_BIT, first & 0xFFFF
    if version != VERSION:
        raise FrameError(f"a control frame of SPDY version {version}, wanted {VERSION}")
    return ControlFrame(kind, flags, length)


class HeaderWriter:
    """Compresses header blocks; one per direction of a connection, as the compression has a memory."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(zdict=_dictionary())

    def pack(self, headers: Mapping[str, str]) -> bytes:
        """Compress names (made lower case) and values."""
        pairs = [
            _counted(name.lower().encode()) + _counted(value.encode()) for name, value in headers.items()
        ]
        plain = _U32.pack(len(pairs)) + b"".join(pairs)
        return self._zlib.compress(plain) + self._zlib.flush(zlib.Z_SYNC_FLUSH)


class HeaderReader:
    """Unpacks header blocks; one per direction of a connection."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zdict=_dictionary())

    def unpack(self, block: bytes) -> dict[str, str]:
        """Return names (lower case) and values, several values joined by commas; FrameError if the block is broken."""
        return dict(_pairs(self._inflate(block)))

    def _inflate(self, block: bytes) -> bytes:
        try:
            plain = self._zlib.decompress(block, MAX_HEADER_BLOCK_BYTES)
        except zlib.error as error:
            raise FrameError(f"a header block that does not unpack: {error}") from error
        if self._zlib.unconsumed_tail:
            raise FrameError(f"a header block of more than {MAX_HEADER_BLOCK_BYTES} bytes")
        return plain


def _pairs(plain: bytes) -> Iterator[tuple[str, str]]:
    count, at = _number(plain, 0)
    for _ in range(count):
        name, at = _counted_text(plain, at)
        value, at = _counted_text(plain, at)
        yield name.lower(), value.replace("\0", ",")


def _number(plain: bytes, at: int) -> tuple[int, int]:
    if at + _U32.size > len(plain):
        raise FrameError("a header block that ends too early")
    return _U32.unpack_from(plain, at)[0], at + _U32.size


def _counted_text(plain: bytes, at: int) -> tuple[str, int]:
    length, start = _number(plain, at)
    if start + length > len(plain):
        raise FrameError("a header block that ends too early")
    return plain[start : start + length].decode("utf-8", "replace"), start + length


def _counted(text: bytes) -> bytes:
    return _U32.pack(len(text)) + text


def _control(kind: FrameType, payload: bytes, *, flags: int = 0) -> bytes:
    return _CONTROL_HEAD.pack(_CONTROL_BIT | VERSION, kind, flags << 24 | len(payload)) + payload


def data_frame(stream_id: int, data: bytes, *, fin: bool = False) -> bytes:
    """Return a frame with bytes of a stream; ``fin`` ends the server's direction of it."""
    return _TWO_U32.pack(stream_id, int(fin) << 24 | len(data)) + data


def syn_stream_frame(stream_id: int, block: bytes, *, flags: FrameFlag = FrameFlag.NONE) -> bytes:
    """Open a stream with a packed header block, at the highest priority and with no parent."""
    return _control(FrameType.SYN_STREAM, struct.pack(">IIH", stream_id, 0, 0) + block, flags=flags)


def syn_reply_frame(stream_id: int, block: bytes, *, fin: bool = False) -> bytes:
    """Accept a stream."""
    return _control(FrameType.SYN_REPLY, _U32.pack(stream_id) + block, flags=int(fin))


def rst_stream_frame(stream_id: int, status: int) -> bytes:
    """End a stream at once, both ways."""
    return _control(FrameType.RST_STREAM, _TWO_U32.pack(stream_id, status))


def settings_frame(values: Mapping[int, int]) -> bytes:
    """Settings by their number; none is to be persisted."""
    entries = b"".join(_TWO_U32.pack(key, value) for key, value in values.items())
    return _control(FrameType.SETTINGS, _U32.pack(len(values)) + entries)


def ping_frame(ping_id: int) -> bytes:
    """Return a ping, or the answer to one: both look the same."""
    return _control(FrameType.PING, _U32.pack(ping_id))


def goaway_frame(last_stream_id: int, status: int) -> bytes:
    """No more streams are accepted after ``last_stream_id``."""
    return _control(FrameType.GOAWAY, _TWO_U32.pack(last_stream_id, status))


def window_update_frame(stream_id: int, delta: int) -> bytes:
    """Return a frame that allows ``delta`` more bytes; stream 0 stands for the whole connection."""
    return _control(FrameType.WINDOW_UPDATE, _TWO_U32.pack(stream_id, delta))


def two_numbers(payload: bytes) -> tuple[int, int]:
    """Return the first two numbers of a payload (a stream and a status, say); FrameError if it is too short."""
    if len(payload) < _TWO_U32.size:
        raise FrameError(f"a control frame of {len(payload)} bytes, wanted {_TWO_U32.size}")
    first, second = _TWO_U32.unpack_from(payload)
    return first & MAX_STREAM_ID, second


def settings_values(payload: bytes) -> dict[int, int]:
    """Settings by their number, flags left out; FrameError if the count and the length disagree."""
    count, at = _number(payload, 0)
    if len(payload) != at + count * _TWO_U32.size:
        raise FrameError(f"a SETTINGS frame of {len(payload)} bytes for {count} entries")
    entries = [_TWO_U32.unpack_from(payload, at + index * _TWO_U32.size) for index in range(count)]
    return {key & MAX_FRAME_BYTES: value for key, value in entries}
