"""Log files in Airflow's layout: ``<folder>/<dag_id>/<task_id>/<execution_date>/<try>.log``.

Beside each file, while its pod lives, stands a small hidden one with the cursor and the length that the log
had when the cursor was taken. A successor cuts the log to that length and goes on from that cursor, so that
whatever was written last before a crash is neither lost nor there twice. All of a sink's disk work is done in
worker threads.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import msgspec

from podrunner.errors import LogError, SpecError
from podrunner.logs.cursor import LogCursor
from podrunner.workload.log_path import checked_log_path

if TYPE_CHECKING:
    from podrunner.logs.record import LogBatch, LogGap

__all__ = ["FileLogSink", "container_log_path", "safe_log_path"]

# The cursor is written at most so often; what a crash loses of it is read again, thanks to the recorded
# length.
_CURSOR_INTERVAL_S: Final = 1.0


def safe_log_path(folder: Path, relative: str) -> Path:
    """The file of a log under its folder; never outside, whatever the path says.

    A workload's own path was encoded when it was made; but an adopted pod's path comes from an annotation
    that anybody may have written.

    Args:
        folder: The base folder.
        relative: The log's path within it, with ``/`` between its parts.

    Raises:
        LogError: The path is absolute, leads upwards, or has an empty part.
    """
    try:
        return folder.joinpath(*checked_log_path(relative).split("/"))
    except SpecError as error:
        raise LogError(f"refused to write a log there: {error}") from error


def container_log_path(relative: str, container: str, *, main: str) -> str:
    """The log path of one container: the main one's is the path itself, others add their name."""
    if container == main:
        return relative
    path = PurePosixPath(relative)
    return str(path.with_name(f"{path.stem}.{container}{path.suffix}"))


class _Mark(msgspec.Struct, frozen=True):
    """What stands beside a log: up to which length it holds what was read up to which line."""

    cursor: LogCursor
    size: int


class FileLogSink:
    """Appends one container's log to one file.

    Args:
        path: The file; its folder is made if need be.
        timestamps: Whether lines keep the time stamps of the node.
    """

    def __init__(self, path: Path, *, timestamps: bool = False) -> None:
        self.path = path
        self._timestamps = timestamps
        self._size = 0
        self._marked_at = 0.0

    @property
    def cursor_path(self) -> Path:
        """The file that holds the cursor."""
        return self.path.with_name(f".{self.path.name}.cursor")

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
        await anyio.to_thread.run_sync(self._save, cursor)

    async def forget(self) -> None:
        """Removes the cursor: the pod is gone, nobody will go on from here."""
        await anyio.to_thread.run_sync(lambda: self.cursor_path.unlink(missing_ok=True))

    async def _append(self, content: bytes, cursor: LogCursor) -> None:
        mark = anyio.current_time() - self._marked_at >= _CURSOR_INTERVAL_S
        await anyio.to_thread.run_sync(self._append_now, content, cursor if mark else None)
        if mark:
            self._marked_at = anyio.current_time()

    def _open(self, fresh: LogCursor) -> LogCursor | None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            mark = self._read_mark(fresh)
            if mark is not None and file.tell() > mark.size:
                file.truncate(mark.size)
            self._size = file.seek(0, os.SEEK_END)
        if mark is None:
            self._save(fresh)
            return None
        return mark.cursor

    def _read_mark(self, fresh: LogCursor) -> _Mark | None:
        try:
            mark = msgspec.json.decode(self.cursor_path.read_bytes(), type=_Mark)
        except (OSError, msgspec.DecodeError):
            return None
        same = (mark.cursor.uid, mark.cursor.container) == (fresh.uid, fresh.container)
        return mark if same else None

    def _append_now(self, content: bytes, cursor: LogCursor | None) -> None:
        with self.path.open("ab") as file:
            try:
                file.write(content)
                file.flush()
            except OSError:
                with suppress(OSError):
                    file.truncate(self._size)
                raise
            self._size = file.tell()
        if cursor is not None:
            self._save(cursor)

    def _save(self, cursor: LogCursor) -> None:
        """Replaces the cursor file in one step, so that a crash leaves the old one or the new one."""
        with tempfile.NamedTemporaryFile(dir=self.path.parent, prefix=".cursor-", delete=False) as file:
            file.write(msgspec.json.encode(_Mark(cursor, self._size)))
        Path(file.name).replace(self.cursor_path)
