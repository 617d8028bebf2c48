"""Log files in Airflow's layout: ``<folder>/<dag_id>/<task_id>/<execution_date>/<try>.log``.

For each file, while its pod exists, the hidden folder ``.cursors`` beside it has a small one with the cursor and the
length that the log had when the cursor was taken. A successor cuts the log to that length and resumes at that cursor,
so that the lines before a crash are neither lost nor doubled. A log may be rotated into segments of a size
(:mod:`podrunner.logs.segments`); the cursor file holds their number. All of a sink's disk work is done in worker
threads.

A log file has one writer (:mod:`podrunner.logs.cursor_file`): one that finds a later owner's token there stops.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, TYPE_CHECKING, Final, NamedTuple

import anyio
import anyio.to_thread

from podrunner.errors import LogError, SpecError
from podrunner.event_loop import current_time
from podrunner.logs.cursor import LogCursor
from podrunner.logs.cursor_file import CursorFile, Mark
from podrunner.logs.record import GapReason, LogGap
from podrunner.logs.segments import compress_segment, last_segment, rotate, undo_rotation
from podrunner.workload.log_path import checked_log_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.logs.record import LogBatch

__all__ = ["FileLogSink", "absolute_log_path", "below_folder", "container_log_path", "safe_log_path"]

_logger = logging.getLogger(__name__)

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


def absolute_log_path(folder: Path | None, relative: str | None) -> str | None:
    """Returns the file of a log under its folder, absolute; without a folder, the path below one.

    None: there is no log, or its path leads out of the folder, so that nothing is written.
    """
    if folder is None or relative is None:
        return relative
    try:
        return str(safe_log_path(folder, relative).absolute())
    except LogError:
        return None


def below_folder(folder: Path, path: str) -> str:
    """Returns the path of a log below its folder, also of one that is given absolute, as ``pod.log_path`` is."""
    given = PurePath(path)
    if given.is_absolute() and given.is_relative_to(folder.absolute()):
        return given.relative_to(folder.absolute()).as_posix()
    return path


def container_log_path(relative: str, container: str, *, main: str) -> str:
    """The log path of one container: the path itself for the main one; the others add their name."""
    if container == main:
        return relative
    path = PurePosixPath(relative)
    return str(path.with_name(f"{path.stem}.{container}{path.suffix}"))


class _Length(NamedTuple):
    """How long the file was before the last thing that is in it.

    Attributes:
        cursor: Where the reader stood then.
        size: The length of the file.
        segments: The number of the last segment.
    """

    cursor: LogCursor
    size: int
    segments: int


class FileLogSink:
    """Appends one container's log to one file.

    Args:
        path: The file; its folder is made if need be.
        timestamps: Whether lines keep the time stamps of the node.
        max_bytes: A file that would grow longer becomes a segment (``1.log.1``, ``1.log.2``, …), and a new one is
            begun: between two batches of lines, so that a file may be longer by less than one. None: one file.
        compress: Whether segments are compressed: ``1.log.1.gz``.
        owner: The runner that writes: if it is gone, another one knows by it whose cursor file this is.
        lease: The UID of the runner's Lease.
        namespace: The pod's.
        may_write: Whether the pod is still this runner's: else log and cursor are a successor's, and stay as they are.
            Asked in worker threads, right before each write.
        adoptions: How often the pod had gone over to another runner before it came to this one.

    Attributes:
        path: The file.
        is_unread: Whether the cursor file, as it was saved last, says that a part of the log is still to be read.
    """

    def __init__(  # noqa: PLR0913  # whose cursor file it is, too
        self,
        path: Path,
        *,
        timestamps: bool = False,
        max_bytes: int | None = None,
        compress: bool = False,
        owner: str = "",
        lease: str = "",
        namespace: str = "",
        may_write: Callable[[], bool] = lambda: True,
        adoptions: int = 0,
    ) -> None:
        self.path: Path = path
        self.is_unread: bool = False
        self._timestamps = timestamps
        self._max_bytes = max_bytes
        self._compress = compress
        self._may_write = may_write
        self._mark = CursorFile(
            path, owner=owner, lease=lease, namespace=namespace, adoptions=adoptions, may_write=may_write
        )
        self._file = str(path)
        self._size = 0
        self._segments = 0
        self._marked_at = 0.0
        self._is_torn = False  # a write failed, and its beginning may be in the file
        self._at = LogCursor("", "")  # where the reader stands behind what is in the file
        self._before = _Length(self._at, 0, 0)
        self._has_rest = False  # the last thing in the file is a gap in place of all that was not read

    @property
    def cursor_path(self) -> Path:
        """The file that holds the cursor."""
        return self._mark.path

    async def open(self, *, uid: str, container: str) -> LogCursor | None:
        """Makes folder and file; cuts what was written after the saved cursor; returns that cursor."""
        return await anyio.to_thread.run_sync(self._open, LogCursor(uid, container))

    async def write(self, batch: LogBatch, cursor: LogCursor) -> None:
        """Appends the lines."""
        await self._append(batch.content(timestamps=self._timestamps), cursor)

    async def gap(self, gap: LogGap, cursor: LogCursor) -> None:
        """Appends a line that says what is missing.

        One in place of all that was not read may turn out to be untrue: the pod was about to be deleted or marked as
        reported when its runner ended, and neither was done. It stays behind the saved length, so that a runner that
        reads on after all cuts it off.
        """
        is_rest = gap.reason is GapReason.UNAVAILABLE and gap.before is None
        await self._append(f"{gap}\n".encode(), cursor, is_rest=is_rest)

    async def close(self, cursor: LogCursor) -> None:
        """Saves the cursor for good."""
        if self._may_write():
            await anyio.to_thread.run_sync(self._close, cursor)

    async def forget(self) -> None:
        """Removes the cursor: the pod is gone, and no reader will resume here. Another writer's stays."""
        await anyio.to_thread.run_sync(self._mark.forget)
        self.is_unread = False

    async def _append(self, content: bytes, cursor: LogCursor, *, is_rest: bool = False) -> None:
        mark = current_time() - self._marked_at >= _CURSOR_INTERVAL_S
        append = partial(self._append_now, content, cursor, mark=mark, is_rest=is_rest)
        if await anyio.to_thread.run_sync(append):
            self._marked_at = current_time()

    def _open(self, fresh: LogCursor) -> LogCursor | None:
        self._mark.check_owner()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        mark = self._mark.claim(fresh)
        if mark is not None:
            undo_rotation(self.path, mark.segments)
        self._segments = last_segment(self.path)
        with self.path.open("a+b") as file:
            if mark is not None:
                _restore(file, mark)
            self._size = file.seek(0, os.SEEK_END)
        self._at = fresh if mark is None else mark.cursor
        if mark is None:
            self._note_unread()
            self._save(fresh)
            return None
        self.is_unread = not mark.cursor.complete
        return mark.cursor

    def _note_unread(self) -> None:
        """Says in the file that the log of an earlier pod, such as of another launch, was not read to its end."""
        if (cursor := self._mark.unread) is not None:
            message = "the log of an earlier pod in this file was not read to its end"
            after = cursor.stamp or None
            gap = LogGap(
                cursor.container, GapReason.UNAVAILABLE, after, message=message, restart=cursor.restart
            )
            self._size = _append(self._file, f"{gap}\n".encode())

    def _close(self, cursor: LogCursor) -> None:
        self._mark.check()
        self._cut_off()
        self._save(cursor, is_last=True)

    def _append_now(self, content: bytes, cursor: LogCursor, *, mark: bool, is_rest: bool = False) -> bool:
        """Appends, and saves the cursor if it is due; returns whether it was saved."""
        mark = self._mark.check() or mark
        self._cut_off()
        before = _Length(self._at, self._size, self._segments)
        if self._max_bytes is not None and self._size > 0 and self._size + len(content) > self._max_bytes:
            self._begin_file()
        try:
            self._size = _append(self._file, content)
        except OSError:
            self._is_torn = True
            with suppress(OSError):  # else before the next write
                self._cut_off()
            raise
        self._at, self._before, self._has_rest = cursor, before, is_rest
        return mark and self._has_saved(cursor)

    def _cut_off(self) -> None:
        """Cuts off what is no whole write of this writer.

        The beginning of one that failed, or what an earlier writer wrote that was stopped between its last check and
        its write.
        """
        if not (self._is_torn or self._mark.has_predecessor):
            return
        with suppress(FileNotFoundError):
            if self.path.stat().st_size > self._size:
                os.truncate(self._file, self._size)
        self._is_torn = False

    def _has_saved(self, cursor: LogCursor) -> bool:
        """Tries to save the cursor. If that fails, the lines are written nevertheless: the next batch tries again."""
        try:
            self._save(cursor)
        except OSError as error:
            _logger.info("the cursor of %s was not saved: %s", self.path, error)
            return False
        return True

    def _begin_file(self) -> None:
        # A crash before the next cursor is saved undoes the rotation.
        self._segments = rotate(self.path)
        self._size = 0
        if self._compress:
            with suppress(OSError):  # then it stays plain, and reads the same
                compress_segment(self.path, self._segments)

    def _save(self, cursor: LogCursor, *, is_last: bool = False) -> None:
        before, has_rest = self._before, self._has_rest and cursor == self._at
        is_rest_noted = has_rest and is_last  # else the log may go on behind the gap, with the next run
        # The reader stands before the last item if another sink did not take that: a successor gives it again.
        if has_rest or (cursor == before.cursor and cursor != self._at):
            size, segments = before.size, before.segments
        else:
            size, segments = self._size, self._segments
        self._mark.save(cursor, size=size, segments=segments, is_rest_noted=is_rest_noted)
        self.is_unread = not (cursor.complete or is_rest_noted)


def _append(path: str, content: bytes) -> int:
    """Appends to a file; returns its length."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        while content:
            content = content[os.write(descriptor, content) :]
        return os.lseek(descriptor, 0, os.SEEK_CUR)
    finally:
        os.close(descriptor)


def _restore(file: IO[bytes], mark: Mark) -> None:
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
