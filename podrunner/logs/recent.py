"""The last lines that were read of a log, so that they are recognised when they come again. Pure; bounded.

Time stamps give no order: the runtime stamps stdout and stderr each by itself, and a node's clock may be set back. So a
line is recognised by its content, stamp included. While a log is read its last bytes are kept as they are, which costs
next to nothing; where a cursor is saved they are hashed, so that no text of the log is beside it.
"""

from __future__ import annotations

import datetime as dt
from hashlib import blake2b
from typing import Final

import msgspec

from podrunner.logs.kubelet_text import stamp_at

__all__ = ["RecentLines", "later_stamp", "line_key", "stamp_ns"]

_VERSION: Final = 1
_TAIL_BYTES: Final = 4096
_KEY_BYTES: Final = 8
_MAX_KEYS: Final = 64
_SECONDS: Final = 19  # characters of 2024-01-31T10:20:30
_SAMPLE_BYTES: Final = 8192
_FIXED: Final = 30  # characters of 2024-01-31T10:20:30.123456789Z


class RecentLines(msgspec.Struct, frozen=True, eq=False):
    """The last lines of a log that were read: 64 at most, or 4 KiB, and the last one always.

    All compare equal: two cursors that name one line are equal, whatever each remembers of the lines before it.

    Attributes:
        keys: Hashes of the lines before ``tail``, 8 bytes each.
        tail: The last lines as they came.
        newest: The latest time stamp of the lines that were read, which need not be the last one's. Of a batch of over
            4 KiB not each line is looked at, which would cost a fifth of the throughput, but one in each 8 KiB.
        version: Of the form of ``keys``: what is saved by a later podrunner in another form is passed over.
    """

    keys: bytes = b""
    tail: bytes = b""
    newest: str = ""
    version: int = _VERSION

    def __bool__(self) -> bool:
        return self.version == _VERSION and bool(self.keys or self.tail)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RecentLines)

    def __hash__(self) -> int:
        return hash(RecentLines)

    def and_then(self, lines: bytes, last: str) -> RecentLines:
        """Returns the last lines after these were read, of which ``last`` is the last stamp."""
        if self.version != _VERSION:
            return RecentLines().and_then(lines, last)
        newest = later_stamp(self.newest, later_stamp(last, _newest_of(lines)))
        begin = lines.rfind(b"\n", 0, -1) + 1
        if len(lines) - begin > _TAIL_BYTES:
            return RecentLines(line_key(lines[begin:]), newest=newest)
        tail = lines if len(lines) > _TAIL_BYTES else self.tail + lines
        if len(tail) <= _TAIL_BYTES:
            return RecentLines(self.keys, tail, newest)
        cut = len(tail) - _TAIL_BYTES
        return RecentLines(tail=tail[tail.index(b"\n", cut - 1) + 1 :], newest=newest)

    def compact(self) -> RecentLines:
        """Returns the same without text, as it is saved."""
        if self.version != _VERSION:
            return RecentLines()
        if not self.tail:
            return self
        lines = _lines(self.tail)
        newest = self.newest
        for line in lines:
            newest = later_stamp(newest, stamp_at(line, 0))
        keys = self.keys + b"".join(map(line_key, lines[-_MAX_KEYS:]))
        return RecentLines(keys[-_MAX_KEYS * _KEY_BYTES :], newest=newest)

    def split(self) -> list[bytes]:
        """The keys, one for each line."""
        keys = self.compact().keys
        return [keys[at : at + _KEY_BYTES] for at in range(0, len(keys), _KEY_BYTES)]


def line_key(line: bytes) -> bytes:
    r"""Returns what a line is recognised by; its ``\n`` is part of it."""
    return blake2b(line, digest_size=_KEY_BYTES).digest()


def later_stamp(one: str, other: str) -> str:
    """Returns the later of two time stamps; either may be "", which is the earliest."""
    if not (one and other):
        return one or other
    if len(one) == len(other) == _FIXED and one[-1] == other[-1] == "Z":
        return max(one, other)
    return max(one, other, key=stamp_ns)


def stamp_ns(stamp: str) -> int:
    """A time stamp in nanoseconds since 1970, so that stamps of different spelling can be compared."""
    seconds, rest = stamp[:_SECONDS], stamp[_SECONDS:]
    zone = rest.lstrip(".0123456789")
    fraction = rest[: len(rest) - len(zone)].lstrip(".")
    whole = dt.datetime.fromisoformat(seconds + zone)
    return int(whole.timestamp()) * 1_000_000_000 + int(fraction.ljust(9, "0"))


def _newest_of(lines: bytes) -> str:
    """The latest stamp among the lines; "" if they are not written as a node in UTC writes them."""
    if len(lines) <= _TAIL_BYTES:
        heads = [line[:_FIXED] for line in lines.split(b"\n")]
    else:
        begins = [lines.find(b"\n", at) + 1 for at in range(0, len(lines), _SAMPLE_BYTES)]
        heads = [lines[begin : begin + _FIXED] for begin in begins]
    newest = max(heads)
    return stamp_at(newest, 0) if newest.endswith(b"Z") else ""


def _lines(data: bytes) -> list[bytes]:
    return [line + b"\n" for line in data.split(b"\n")[:-1]]
