"""Log files in Airflow's layout: ``<folder>/<dag_id>/<task_id>/<execution_date>/<try>.log``.

Beside each file, while its pod exists, there is a small hidden one with the cursor and the length that the log
had when the cursor was taken. A successor cuts the log to that length and resumes at that cursor, so that the
lines before a crash are neither lost nor doubled. A log may be rotated into segments of a size
(:mod:`podrunner.logs.segments`); the cursor file holds their number. All of a sink's disk work is done in worker
threads.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import msgspec

from podrunner.errors import LogError, SpecError
from podrunner.logs.cursor import LogCursor
from podrunner.logs.leftovers import CURSOR_SUFFIX, PARTIAL_PREFIX
from podrunner.logs.record import GapReason, LogGap
from podrunner.logs.segments import compress_segment, last_segment, rotate, undo_rotation
from podrunner.workload.log_path import checked_log_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.logs.record import LogBatch

__all__ = ["FileLogSink", "container_log_path", "safe_log_path"]

# The cursor is written at most so often. Lines after it are read again after a crash, thanks to the recorded
# length.
_CURSOR_INTERVAL_S: Final = 1.0


def safe_log_path(folder: Path, relative: str) -> Path:
    """The file of a log under its folder; never outside, whatever the path says.

    A workload's own path was encoded when it was made; but an adopted pod's path comes from an annotation
    that any process may have written.

    Args:
        folder: The base folder.
        relative: The log's path within it, with ``/`` between its elements.

    Raises:
        LogError: The path is absolute, leads upwards, or has an empty element.
    """
    try:
        return folder.joinpath(*checked_log_path(relative).split("/"))
    except SpecError as error:
        raise LogError(f"refused to write a log there: {error}") from error


def container_log_path(relative: str, container: str, *, main: str) -> str:
    """The log path of one container: the path itself for the main one; the others add their name."""
    if container == main:
        return relative
    path = PurePosixPath(relative)
    return str(path.with_name(f"{path.stem}.{container}{path.suffix}"))


class _Mark(msgspec.Struct, frozen=True):
    """The content of a cursor file: the last line in the log, the log's length after it, and the number of segments."""

    cursor: LogCursor
    size: int
    segments: int = msgspec.field(default=0, name="parts")
    owner: str = ""


class FileLogSink:
    """Appends one container's log to one file.

    Args:
        path: The file; its folder is made if need be.
        timestamps: Whether lines keep the time stamps of the node.
        max_bytes: A file that would grow longer becomes a segment (``1.log.1``, ``1.log.2``, …), and a new one is
            begun: between two batches of lines, so that a file may be longer by less than one. None: one file.
        compress: Whether segments are compressed: ``1.log.1.gz``.
        owner: The runner that writes: if it is killed, another one knows by it whose cursor file this is.
        may_write: Whether the pod is still this runner's: else the cursor file is a successor's, and stays as it is.
    """

    def __init__(
        self,
        path: Path,
        *,
        timestamps: bool = False,
        max_bytes: int | None = None,
        compress: bool = False,
        owner: str = "",
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self.path = path
        self._timestamps = timestamps
        self._max_bytes = max_bytes
        self._compress = compress
        self._owner = owner
        self._may_write = may_write
        self._size = 0
        self._segments = 0
        self._marked_at = 0.0

    @property
    def cursor_path(self) -> Path:
        """The file that holds the cursor."""
        return self.path.with_name(f".{self.path.name}{CURSOR_SUFFIX}")

    async def open(self, *, uid: str, container: str) -> LogCursor | None:
        """Makes folder and file; cuts what was written after the saved cursor; returns that cursor."""
        return await anyio.to_thread.run_sync(self._open, LogCursor(uid, container))

    async def write(self, batch: LogBatch, cursor: LogCursor) -> None:
        """Appends the lines."""
        await self._append(batch.content(timestamps=self._timestamps), cursor)

    async def gap(self, gap: LogGap, cursor: LogCursor) -> None:
        """Appends a line that says what is missing."""
        await self._append(f"{gap}\n".encode(), cursor)

    async def close(self, cursor: LogCursor) -> None:
        """Saves the cursor for good."""
        if self._may_write():
            await anyio.to_thread.run_sync(self._save, cursor)

    async def forget(self) -> None:
        """Removes the cursor: the pod is gone, and no reader will resume here."""
        await anyio.to_thread.run_sync(lambda: self.cursor_path.unlink(missing_ok=True))

    async def _append(self, content: bytes, cursor: LogCursor) -> None:
        mark = anyio.current_time() - self._marked_at >= _CURSOR_INTERVAL_S
        await anyio.to_thread.run_sync(partial(self._append_now, content, cursor, mark=mark))
        if mark:
            self._marked_at = anyio.current_time()

    def _open(self, fresh: LogCursor) -> LogCursor | None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        mark = self._read_mark(fresh)
        if mark is not None:
            undo_rotation(self.path, mark.segments)
        self._segments = last_segment(self.path)
        with self.path.open("a+b") as file:
            if mark is not None:
                _restore(file, mark)
            self._size = file.seek(0, os.SEEK_END)
        if mark is None or mark.owner != self._owner:
            self._save(fresh if mark is None else mark.cursor)
        return None if mark is None else mark.cursor

    def _read_mark(self, fresh: LogCursor) -> _Mark | None:
        try:
            mark = msgspec.json.decode(self.cursor_path.read_bytes(), type=_Mark)
        except (OSError, msgspec.DecodeError):
            return None
        same = (mark.cursor.uid, mark.cursor.container) == (fresh.uid, fresh.container)
        return mark if same else None

    def _append_now(self, content: bytes, cursor: LogCursor, *, mark: bool) -> None:
        if self._max_bytes is not None and self._size > 0 and self._size + len(content) > self._max_bytes:
            self._begin_file()
        with self.path.open("ab") as file:
            try:
                file.write(content)
                file.flush()
            except OSError:
                with suppress(OSError):
                    file.truncate(self._size)
                raise
            self._size = file.tell()
        if mark:
            self._save(cursor)

    def _begin_file(self) -> None:
        # A crash before the next cursor is saved undoes the rotation.
        self._segments = rotate(self.path)
        self._size = 0
        if self._compress:
            with suppress(OSError):  # then it stays plain, and reads the same
                compress_segment(self.path, self._segments)

    def _save(self, cursor: LogCursor) -> None:
        """Replaces the cursor file in one step, so that a crash leaves the old one or the new one."""
        with tempfile.NamedTemporaryFile(dir=self.path.parent, prefix=PARTIAL_PREFIX, delete=False) as file:
            file.write(msgspec.json.encode(_Mark(cursor, self._size, self._segments, self._owner)))
        Path(file.name).replace(self.cursor_path)


def _restore(file: IO[bytes], mark: _Mark) -> None:
    """Brings a file to the length that it had at the mark. Bytes that are missing are lost: a gap."""
    size = file.seek(0, os.SEEK_END)
    if size >= mark.size:
        file.truncate(mark.size)
        return
    file.seek(max(size - 1, 0))
    if size and file.read(1) != b"\n":
        file.write(b"\n")
    lost = f"{mark.size - size} bytes that had been written are missing in this file"
    gap = LogGap(mark.cursor.container, GapReason.UNAVAILABLE, before=mark.cursor.stamp, message=lost)
    file.write(f"{gap}\n".encode())
