"""The small file of a log: how far the log was written, and whose it is. Blocking, for worker threads.

It lies in the folder ``.cursors`` beside the log, as log servers show all files whose names begin with the log's. The
cursor of a log that an earlier version of podrunner began lies beside the log itself (``.1.log.cursor``), and stays
there: a runner of that version may still be its writer, and looks nowhere else.

A log file has one writer. The cursor file carries its token, which is higher for each further owner of the pod
(:class:`WriterToken`); a writer that finds a higher one there stops. What is written to the log does not belong here.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from podrunner.errors import LogError
from podrunner.logs.cursor import LogCursor  # noqa: TC001  # msgspec resolves the annotation
from podrunner.logs.leftovers import CURSOR_FOLDER, CURSOR_SUFFIX, PARTIAL_PREFIX, remove_if_empty

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["CursorFile", "Mark", "WriterToken"]


class WriterToken(msgspec.Struct, frozen=True, order=True):
    """Whose a log file is: the highest token is the writer's. It orders the owners of a pod.

    Attributes:
        adoptions: How often the pod had gone over to another runner. The pod itself counts
            (``podrunner.io/adoptions``): each adoption is a compare-and-swap on it, so that no two owners have one
            number, and a later owner has a higher one. Neither clocks nor Leases are compared, which may be set back or
            deleted.
        opening: How often the log was opened before by owners with that number: processes that followed each other
            under one owner's name take their pods back without a swap.
    """

    adoptions: int = 0
    opening: int = 0


class Mark(msgspec.Struct, frozen=True):
    """The content of a cursor file.

    Attributes:
        cursor: The last line in the log.
        size: The log's length after it.
        segments: The number of the last segment.
        token: The writer's.
        owner: The runner that writes.
        lease: The UID of its Lease; "": it is not known.
        namespace: The pod's; "": it is not known.
        is_rest_noted: Whether a gap stands behind that length in place of all that was not read. A runner that reads
            the log on after all cuts it off; no other gap is written for it.
    """

    cursor: LogCursor
    size: int
    segments: int = msgspec.field(default=0, name="parts")
    token: WriterToken = WriterToken()
    owner: str = ""
    lease: str = ""
    namespace: str = ""
    is_rest_noted: bool = False


_FOLDERS: Final = 5
"""How often the folder of cursors may go right before a file is created in it."""

_FileId = tuple[int, int, int]


def _file_id(found: os.stat_result) -> _FileId:
    return found.st_ino, found.st_mtime_ns, found.st_size


class CursorFile:
    """One writer's view of the cursor file of a log.

    Args:
        log: The log file.
        owner: The runner that writes: if it is gone, another one knows by it whose file this is.
        lease: The UID of its Lease: another cluster's runner of that name may write to the same folder.
        namespace: The pod's: only a runner that sees it knows whether the pod exists.
        adoptions: How often the pod had gone over to another runner before it came to this one.
        may_write: Whether the pod is still this runner's.

    Attributes:
        has_predecessor: Whether the log was begun by an earlier writer, which may have been stopped in the middle of
            a write.
        unread: Where the log of an earlier pod stands that was written to the same file and not read to its end; None:
            there is none, or the file says so already.
    """

    def __init__(
        self,
        log: Path,
        *,
        owner: str,
        lease: str = "",
        namespace: str = "",
        adoptions: int,
        may_write: Callable[[], bool],
    ) -> None:
        self.has_predecessor: bool = False
        self.unread: LogCursor | None = None
        self._log = log
        self._may_write = may_write
        self._owner = owner
        self._lease = lease
        self._namespace = namespace
        self._token = WriterToken(adoptions)
        self._fresh: LogCursor | None = None
        self._place: Path | None = None  # once it is claimed
        self._path = ""
        self._id: _FileId | None = None

    @property
    def path(self) -> Path:
        """The file."""
        if self._place is not None:
            return self._place
        beside = self._log.with_name(f".{self._log.name}{CURSOR_SUFFIX}")
        if beside.exists():
            return beside
        return self._log.with_name(CURSOR_FOLDER) / f"{self._log.name}{CURSOR_SUFFIX}"

    def check_owner(self) -> None:
        """Checks right before a write that the pod is this runner's.

        Raises:
            LogError: It is not.
        """
        if not self._may_write():
            raise LogError(f"the pod of {self._log} is another runner's")

    def check(self) -> bool:
        """Checks right before a write that the log is this writer's; returns whether the mark has to be saved again.

        Raises:
            LogError: It is a later owner's.
        """
        self.check_owner()
        try:
            found = self._look()
        except FileNotFoundError:
            return True
        mark = None if found == self._id else self._read()
        if mark is None:
            return False
        if mark.token > self._token:
            raise self._superseded(mark.token)
        if mark.token == self._token:
            self._id = found  # a network file system may give a written file another time
        return mark.token < self._token  # an earlier writer's last act

    def claim(self, fresh: LogCursor) -> Mark | None:
        """Puts this writer's token into the file: from then on an earlier writer stops.

        Args:
            fresh: The cursor of a log that is not begun.

        Returns:
            Where the earlier writer stood; None: there was none.

        Raises:
            LogError: The log is a later owner's.
        """
        self.check_owner()
        self._fresh = fresh
        self._place = self.path
        self._path = str(self._place)
        mark = self._read()
        if mark is None:
            return None
        found, own = mark.token, self._token.adoptions
        if found.adoptions > own:
            raise self._superseded(found)
        self._token = WriterToken(own, found.opening + 1 if found.adoptions == own else 0)
        self.has_predecessor = True
        self._write(self._mark(mark.cursor, mark.size, mark.segments))
        return mark

    def save(self, cursor: LogCursor, *, size: int, segments: int, is_rest_noted: bool = False) -> None:
        """Saves how far the log was written."""
        self._write(self._mark(cursor.compact(), size, segments, is_rest_noted=is_rest_noted))

    def _mark(self, cursor: LogCursor, size: int, segments: int, *, is_rest_noted: bool = False) -> Mark:
        return Mark(
            cursor,
            size,
            segments,
            self._token,
            self._owner,
            lease=self._lease,
            namespace=self._namespace,
            is_rest_noted=is_rest_noted,
        )

    def forget(self) -> None:
        """Removes the file: no reader will resume there. A later owner's stays, and another pod's."""
        if not self._may_write():
            return
        with suppress(FileNotFoundError):
            if self._is_removable():
                self.path.unlink()
                remove_if_empty(self.path.parent)

    def _is_removable(self) -> bool:
        try:
            mark = self._decode()
        except msgspec.DecodeError:
            return True
        fresh = self._fresh
        return fresh is None or (mark.cursor.uid == fresh.uid and mark.token <= self._token)

    def _superseded(self, token: WriterToken) -> LogError:
        return LogError(f"{self._log} has a later writer: {token}, and this one is {self._token}")

    def _look(self) -> _FileId:
        # Opened, not only looked at: a network file system then asks its server.
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _file_id(os.fstat(descriptor))
        finally:
            os.close(descriptor)

    def _read(self) -> Mark | None:
        """Returns the mark; None: there is none about this container's log."""
        try:
            mark = self._decode()
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        fresh = self._fresh
        is_ours = fresh and (mark.cursor.uid, mark.cursor.container) == (fresh.uid, fresh.container)
        self.unread = None if is_ours or mark.cursor.complete or mark.is_rest_noted else mark.cursor
        return mark if is_ours else None

    def _decode(self) -> Mark:
        return msgspec.json.decode(self.path.read_bytes(), type=Mark)

    def _write(self, mark: Mark) -> None:
        """Replaces the file in one step, so that a crash leaves the old one or the new one."""
        unfinished = self.path.with_name(f"{PARTIAL_PREFIX}{secrets.token_hex(8)}")
        try:
            written = _create_in_folder(unfinished, msgspec.json.encode(mark))
            self.check_owner()
            unfinished.replace(self.path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        self._id = written


def _create_in_folder(path: Path, content: bytes) -> _FileId:
    """Creates a file, and its folder if need be: the end of another log in the same folder may just have removed it."""
    for _ in range(_FOLDERS):
        with suppress(FileNotFoundError):
            return _create(path, content)
        path.parent.mkdir(exist_ok=True)
    return _create(path, content)


def _create(path: Path, content: bytes) -> _FileId:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        while content:
            content = content[os.write(descriptor, content) :]
        return _file_id(os.fstat(descriptor))
    finally:
        os.close(descriptor)
