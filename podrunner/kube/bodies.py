"""The body of an answer, in pieces of a bounded size, and whole up to a bounded size.

Both transports read their bodies through it, so that no answer, compressed or not, can fill the memory. A body is asked
for uncompressed (``session``); one that comes compressed nevertheless is decompressed here, a piece at a time. What a
body means does not belong here.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from podrunner.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_ERROR_BODY_BYTES",
    "MAX_MESSAGE_BYTES",
    "AnswerTooLongError",
    "Body",
    "Inflater",
]

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
"""The largest body of an answer to a plain request, decompressed: a page of 500 pods of 64 KiB each. etcd holds objects
of up to 1.5 MiB by default."""

MAX_ERROR_BODY_BYTES: Final = 64 * 1024
"""How much of a refusal's body is read, the rest is cut off: a Status is a few hundred bytes."""

MAX_MESSAGE_BYTES: Final = 32 * 1024 * 1024
"""The largest WebSocket message accepted; Kubernetes sends at most a few hundred KiB."""

_PIECE_BYTES: Final = 256 * 1024
"""How much is decompressed at a time: gzip makes a thousand bytes out of one."""

_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS


class AnswerTooLongError(TransportError):
    """An answer is longer than one may be. Internal: the reflector asks for smaller pages then."""


class Inflater:
    """Decompresses gzip (RFC 1952) of any number of members, or zlib (RFC 1950)."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._within = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what the data decompress to, in pieces. It is to be iterated to its end.

        Raises:
            TransportError: They are not what the header says.
        """
        full = False
        while data or full:
            self._within = True
            try:
                piece = self._member.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise TransportError(f"the answer cannot be decompressed: {error}") from error
            data, full = self._member.unconsumed_tail, len(piece) == _PIECE_BYTES
            if self._member.eof:
                data, full = self._member.unused_data, False
                self._member = zlib.decompressobj(_GZIP_OR_ZLIB)
                self._within = False
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that the last member is complete.

        Raises:
            TransportError: The body ended within it.
        """
        if self._within:
            raise TransportError("the answer ended within its compressed data")


def _inflater(encoding: str) -> Inflater:
    if encoding in {"gzip", "x-gzip", "deflate"}:
        return Inflater()
    raise TransportError(f"the answer is encoded as {encoding[:40]!r}, although identity was asked for")


class Body:
    """The body of one answer.

    Args:
        read: Returns the next bytes from the network, a bounded number; b"" at the end.
        headers: Of the answer, looked up without regard to case.
    """

    __slots__ = ("_encoding", "_inflater", "_pieces", "_read")

    def __init__(self, read: Callable[[], Awaitable[bytes]], headers: Mapping[str, str]) -> None:
        self._read = read
        encoding = headers.get("Content-Encoding", "").strip().lower()
        self._encoding = "" if encoding == "identity" else encoding
        self._inflater: Inflater | None = None
        self._pieces: Iterator[bytes] = iter(())

    async def piece(self) -> bytes:
        """Return the next piece, decompressed; b"" at the end.

        Raises:
            TransportError: The body cannot be decompressed, or is encoded in a way that was not asked for and is not
                known here.
        """
        if not self._encoding:
            return await self._read()
        if self._inflater is None:
            self._inflater = _inflater(self._encoding)
        while not (piece := next(self._pieces, b"")):
            data = await self._read()
            if not data:
                self._inflater.finish()
                return b""
            self._pieces = self._inflater.feed(data)
        return piece

    async def whole(self, *, status: int) -> tuple[bytes, bool]:
        """Return the body, and whether it was read to its end: of a refusal only the beginning is needed.

        Args:
            status: The HTTP status code.

        Raises:
            AnswerTooLongError: The body of a success is longer than ``MAX_BODY_BYTES``.
            TransportError: The body cannot be decompressed.
        """
        limit = MAX_BODY_BYTES if 200 <= status < 300 else MAX_ERROR_BODY_BYTES
        pieces: list[bytes] = []
        size = 0
        while piece := await self.piece():
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                return _cut_off(pieces, limit), False
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), True


def _cut_off(pieces: list[bytes], limit: int) -> bytes:
    if limit != MAX_ERROR_BODY_BYTES:
        pieces.clear()
        raise AnswerTooLongError(f"the answer is longer than {limit} bytes, which is the limit")
    return b"".join(pieces)[:limit]
