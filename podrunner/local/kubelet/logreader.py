"""Reads container logs, as a kubelet serves them: tail, since, limit, timestamps, follow.

Only the current file is read, as a kubelet does; a follower that was reading when the log rotated goes on in the next.
"""

from __future__ import annotations

import contextlib
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

from podrunner.local.api.runtime import LogOptions
from podrunner.local.kubelet.logs import HEAD, TAG, LogFile, nano_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["normal_time", "read_log", "read_tail", "tail_offset"]

CHUNK = 256 << 10


async def read_log(log: LogFile, options: LogOptions) -> AsyncIterator[bytes]:
    """Yield the log's bytes in batches."""
    reader = _Reader(log, options)
    try:
        while not reader.full:
            if data := reader.batch():
                yield data
            elif not options.follow or not await reader.more():
                return
    finally:
        reader.close()


def read_tail(log: LogFile, *, lines: int, size: int) -> str:
    """Return the last lines of a log, at most ``size`` bytes of them, as a termination message takes them."""
    reader = _Reader(log, LogOptions(tail_lines=lines))
    try:
        data = b"".join(iter(reader.batch, b""))
    finally:
        reader.close()
    return data[-size:].decode(errors="replace")


class _Reader:
    """A place in a log."""

    def __init__(self, log: LogFile, options: LogOptions) -> None:
        self._log = log
        self._timestamps = options.timestamps
        self._since = _since(options)
        self._left = options.limit_bytes
        self._generation = log.generation
        self._file: BinaryIO | None = log.open(log.generation)
        self._rest = b""
        self._at_start = True
        if options.tail_lines is not None:
            self._file.seek(tail_offset(self._file, options.tail_lines))

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return self._left is not None and self._left <= 0

    def batch(self) -> bytes:
        """Return what can be read now; empty if there is nothing new."""
        while (data := self._read_lines()) is not None:
            if out := self._limit(b"".join(self._shown(data))):
                return out
        return b""

    async def more(self) -> bool:
        """Wait until there is more to read; False at the end."""
        if self._log.generation != self._generation:
            return self._next_file()
        if self._log.closed:
            return self._behind()
        await self._log.changed()
        return True

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _behind(self) -> bool:
        return self._file is not None and self._file.tell() < os.fstat(self._file.fileno()).st_size

    def _next_file(self) -> bool:
        if self._behind():
            return True
        self.close()
        self._rest = b""
        while self._generation < self._log.generation:
            self._generation += 1
            with contextlib.suppress(OSError):  # dropped by rotation: as on a node, those lines are gone
                self._file = self._log.open(self._generation)
                return True
        return False

    def _read_lines(self) -> list[bytes] | None:
        if self._file is None:
            return None
        data = self._file.read(CHUNK)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines

    def _shown(self, lines: list[bytes]) -> Iterator[bytes]:
        since, timestamps = self._since, self._timestamps
        for line in lines:
            if since is not None and line[:30] < since:
                continue
            if timestamps and self._at_start:
                yield line[:31]
            yield line[HEAD:]
            self._at_start = line[TAG : TAG + 1] == b"F"
            if self._at_start:
                yield b"\n"

    def _limit(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        data = data[: self._left]
        self._left -= len(data)
        return data


def _since(options: LogOptions) -> bytes | None:
    if options.since_time is not None:
        return normal_time(options.since_time).encode()
    if options.since_seconds is not None:
        return nano_time(max(time.time_ns() - options.since_seconds * 1_000_000_000, 0)).encode()
    return None


def normal_time(text: str) -> str:
    """Return an RFC 3339 time in UTC with nine digits, so that it compares with those of lines.

    Raises:
        ValueError: It is no such time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    digits = text.partition(".")[2]
    fraction = "".join(char for char in digits[: _fraction_length(digits)])
    whole = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{fraction[:9]:0<9}Z"


def _fraction_length(digits: str) -> int:
    return next((at for at, char in enumerate(digits) if not char.isdigit()), len(digits))


def tail_offset(file: BinaryIO, lines: int) -> int:
    """Return where the last ``lines`` lines of a file begin."""
    end = file.seek(0, os.SEEK_END)
    if lines <= 0:
        return end
    wanted, position = lines + 1, end  # the newline before the first of them
    while position > 0:
        size = min(CHUNK, position)
        position -= size
        file.seek(position)
        data = file.read(size)
        found = data.count(b"\n")
        if found >= wanted:
            return position + _nth_last(data, wanted) + 1
        wanted -= found
    return 0


def _nth_last(data: bytes, count: int) -> int:
    at = len(data)
    for _ in range(count):
        at = data.rindex(b"\n", 0, at)
    return at
