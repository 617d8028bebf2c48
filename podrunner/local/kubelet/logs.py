"""Writes container logs: CRI format, rotation, notification of followers.

A line is ``<time> <stream> <F|P> <text>``; the time has nine digits, so that a line's parts have fixed places. Longer
lines than 16 KiB are cut into parts, all but the last tagged ``P``, as containerd does. Reading is in ``logreader.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

from podrunner.local.contained import ContainedFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from podrunner.local.kubelet.stdio import StreamName

__all__ = ["HEAD", "MAX_LINE", "LogFile", "nano_time"]

logger: logging.Logger = logging.getLogger(__name__)

MAX_LINE = 16_384
"""containerd's ``max_container_log_line_size``."""
HEAD = 40
"""Bytes before a line's text: a time of 30, a stream of 6, a tag of 1, three spaces."""
TAG = 38


def nano_time(nanoseconds: int) -> str:
    """Return ``2026-01-31T12:00:00.000000000Z``."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


class LogFile:
    """The log of one run of one container.

    Args:
        path: The file; rotated ones stand beside it, with the time of their rotation as suffix.
        max_size: Bytes after which it is rotated (``containerLogMaxSize``).
        max_files: Files kept, the current one included (``containerLogMaxFiles``).
        now_ns: Clock, nanoseconds since the epoch.
        files: What the file is written with; None: the folder that it lies in may not be a link.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_size: int = 10 << 20,
        max_files: int = 5,
        now_ns: Callable[[], int] = time.time_ns,
        files: ContainedFolder | None = None,
    ) -> None:
        self.path = path
        if files is None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._files = files or ContainedFolder(path.parent)
        self.closed: bool = False
        self.generation: int = 0
        self._rotated: dict[int, Path] = {}
        self._max_size = max_size
        self._max_files = max_files
        self._now_ns = now_ns
        self._last = 0
        self._second = (-1, b"")
        self._pending: dict[StreamName, bytes] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._file = self._files.create(path)
        self._size = 0

    def write(self, stream: StreamName, data: bytes) -> None:
        """Output as it came from a pipe: any number of lines, the last one perhaps unfinished."""
        if self.closed:
            return
        *lines, rest = (self._pending.get(stream, b"") + data).split(b"\n")
        records: list[bytes] = []
        for line in lines:
            self._cut(records, stream, line, tag=b"F")
        while len(rest) > MAX_LINE:
            records.append(self._record(stream, rest[:MAX_LINE], tag=b"P"))
            rest = rest[MAX_LINE:]
        self._pending[stream] = rest
        self._append(records)

    def close(self) -> None:
        """Write unfinished lines as parts and notify followers; called when the container ended."""
        if self.closed:
            return
        unfinished = [(name, text) for name, text in self._pending.items() if text]
        self._append([self._record(name, text, tag=b"P") for name, text in unfinished])
        self.closed = True
        self._file.close()
        self._tell()

    def open(self, generation: int) -> BinaryIO:
        """Open the file of a generation; OSError if it was dropped by rotation, or is no ordinary file any more."""
        return self._files.open(self._rotated.get(generation, self.path))

    def remove(self) -> None:
        """Remove all files of this log."""
        for path in (*self._rotated.values(), self.path):
            with contextlib.suppress(OSError):
                self._files.remove(path)

    async def changed(self) -> None:
        """Wait for more output, a rotation or the end. Returns at once if it is closed."""
        if not self.closed:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _cut(self, records: list[bytes], stream: StreamName, line: bytes, *, tag: bytes) -> None:
        while len(line) > MAX_LINE:
            records.append(self._record(stream, line[:MAX_LINE], tag=b"P"))
            line = line[MAX_LINE:]
        records.append(self._record(stream, line, tag=tag))

    def _record(self, stream: StreamName, text: bytes, *, tag: bytes) -> bytes:
        return b"%b %b %b %b\n" % (self._time(), stream.encode(), tag, text)

    def _time(self) -> bytes:
        # Later than the line before by at least a nanosecond: a reader may resume by time.
        self._last = max(self._now_ns(), self._last + 1)
        second, rest = divmod(self._last, 1_000_000_000)
        if second != self._second[0]:
            self._second = (second, nano_time(second * 1_000_000_000)[:20].encode())
        return b"%b%09dZ" % (self._second[1], rest)

    def _append(self, records: list[bytes]) -> None:
        if not records:
            return
        data = b"".join(records)
        with contextlib.suppress(
            OSError
        ):  # a full disk loses lines, as it does on a node; the container goes on
            self._file.write(data)
        self._size += len(data)
        if self._size >= self._max_size:
            self._rotate()
        self._tell()

    def _rotate(self) -> None:
        stamp = nano_time(self._last).replace("-", "").replace(":", "").replace("T", "-").rstrip("Z")
        rotated = self.path.with_name(f"{self.path.name}.{stamp}")
        try:
            self._files.rename(self.path, rotated.name)
            fresh = self._files.create(self.path)
        except OSError as error:  # its container meddled with the folder: the open file goes on
            logger.warning("the log %s could not be rotated: %s", self.path, error)
            self._size = 0
            return
        self._rotated[self.generation] = rotated
        self.generation += 1
        self._file.close()
        self._file = fresh
        self._size = 0
        self._drop_old()

    def _drop_old(self) -> None:
        while len(self._rotated) >= self._max_files:
            oldest = min(self._rotated)
            with contextlib.suppress(OSError):
                self._files.remove(self._rotated.pop(oldest))

    def _tell(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
