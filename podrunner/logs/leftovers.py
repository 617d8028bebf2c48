"""Removing cursor files of runners that are gone.

A cursor file lies in a folder beside a log for as long as its pod exists, so that a successor can go on. Whose pods
exist no more, and which runners are gone, is decided by the caller. Nothing but cursor files is removed here. A log
that such a runner had not read to its end gets a gap there: no other runner can.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from podrunner.logs.record import GapReason, LogGap
from podrunner.logs.segments import last_segment

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

__all__ = [
    "CURSOR_FOLDER",
    "CURSOR_SUFFIX",
    "PARTIAL_PREFIX",
    "LeftCursor",
    "find_cursors",
    "is_read_on",
    "remove_cursors",
    "remove_if_empty",
]

CURSOR_FOLDER: Final = ".cursors"
"""Beside the logs of a folder, for the cursor files of all of them."""
CURSOR_SUFFIX: Final = ".cursor"
PARTIAL_PREFIX: Final = ".cursor-"
"""Names of files that become a cursor file by being renamed."""

_MOST_BYTES: Final = 64 * 1024
"""A cursor file has a few hundred bytes: a longer file is none."""

_PARTIAL_LIVES_S: Final = 60.0
"""A file is renamed as soon as it is written: milliseconds later. One that is so old was left by a killed process."""


class _Cursor(msgspec.Struct, frozen=True):
    uid: str = ""
    container: str = ""
    restart: int = 0
    stamp: str = ""
    complete: bool = False


class _Mark(msgspec.Struct, frozen=True):
    cursor: _Cursor = _Cursor()
    owner: str = ""
    lease: str = ""
    namespace: str = ""
    is_rest_noted: bool = False


class LeftCursor(NamedTuple):
    """A cursor file as it was found.

    Attributes:
        path: The file.
        content: What is in it.
        mark: What that says.
    """

    path: Path
    content: bytes
    mark: _Mark

    @property
    def is_unread(self) -> bool:
        """Whether the log was not read to its end, and does not say so."""
        return not (self.mark.cursor.complete or self.mark.is_rest_noted)


def find_cursors(
    folder: Path,
    *,
    owners: Mapping[str, Collection[str]],
    namespaces: Collection[str | None] = (None,),
    is_stopped: Callable[[], bool] = lambda: False,
    now_s: float | None = None,
) -> list[LeftCursor]:
    """Returns the cursor files that these runners wrote last; removes files that never became one. Blocking.

    Args:
        folder: The folder of logs; all that is below it is looked at. Links are not followed.
        owners: The runners that are gone, each with what its files may say of its Lease.
        namespaces: The namespaces whose pods are known; None among them: all.
        is_stopped: Asked before each file: whether to end here.
        now_s: Seconds since the epoch; None: the time of day.
    """
    before_s = (time.time() if now_s is None else now_s) - _PARTIAL_LIVES_S
    found = []
    for path in _hidden(folder):
        if is_stopped():
            break
        if path.name.startswith(PARTIAL_PREFIX):
            if _is_older(path, before_s):
                with suppress(OSError):  # it is gone already, or another user's
                    path.unlink()
                    remove_if_empty(path.parent)
        elif (left := _read(path)) is not None:
            mark = left.mark
            is_known = None in namespaces or not mark.namespace or mark.namespace in namespaces
            if is_known and mark.lease in owners.get(mark.owner, ()):
                found.append(left)
    return found


def remove_cursors(
    found: Iterable[LeftCursor],
    *,
    is_needed: Callable[[str], bool],
    is_stopped: Callable[[], bool] = lambda: False,
) -> list[LeftCursor]:
    """Removes cursor files, each as it was found. Blocking.

    Args:
        found: The files.
        is_needed: Whether the pod of a UID may exist: its cursor stays.
        is_stopped: Asked before each file: whether to end here.

    Returns:
        Those that stay. One that was written since is another runner's, and not among them.
    """
    needed: list[LeftCursor] = []
    rest = iter(found)
    for left in rest:
        if is_stopped():
            return [*needed, left, *rest]
        if is_needed(left.mark.cursor.uid):
            needed.append(left)
            continue
        with suppress(OSError):  # it is gone already, or another user's
            if left.path.read_bytes() == left.content:
                if left.is_unread:
                    _note_end(left.path, left.mark.cursor)
                left.path.unlink()
                remove_if_empty(left.path.parent)
    return needed


def _note_end(path: Path, cursor: _Cursor) -> None:
    """Writes the gap at the end of a log, given its cursor file."""
    if path.parent.name == CURSOR_FOLDER:
        log = path.parent.parent / path.name.removesuffix(CURSOR_SUFFIX)
    else:
        log = path.with_name(path.name.removeprefix(".").removesuffix(CURSOR_SUFFIX))
    if not log.exists() and not last_segment(log):
        return  # it was removed
    message = "the runner that read it was gone before it had read the log to its end, and so is the pod"
    after = cursor.stamp or None
    gap = LogGap(cursor.container, GapReason.UNAVAILABLE, after, message=message, restart=cursor.restart)
    with log.open("a+b") as file:
        size = file.seek(0, os.SEEK_END)
        line = f"{gap}\n".encode()
        file.seek(max(size - len(line) - 1, 0))
        end = file.read()
        if end.removeprefix(b"\n") != line:  # else who wrote it was stopped before the cursor was removed
            is_torn = end and not end.endswith(b"\n")
            file.write(b"\n" * bool(is_torn) + line)


def is_read_on(path: Path) -> bool:
    """Whether a log's reader goes on, or another one may, given its cursor file. Blocking."""
    left = _read(path)
    return path.exists() if left is None else left.is_unread


def remove_if_empty(folder: Path) -> None:
    """Removes a folder of cursor files that holds none any more; another folder stays."""
    if folder.name == CURSOR_FOLDER:
        with suppress(OSError):  # another log of the same folder has its cursor there
            folder.rmdir()


def _hidden(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        is_folder = Path(parent).name == CURSOR_FOLDER
        for name in names:
            is_cursor = name.endswith(CURSOR_SUFFIX) and (name.startswith(".") or is_folder)
            if name.startswith(PARTIAL_PREFIX) or is_cursor:
                yield Path(parent, name)


def _is_older(path: Path, moment_s: float) -> bool:
    try:
        return path.lstat().st_mtime < moment_s
    except OSError:
        return False


def _read(path: Path) -> LeftCursor | None:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
        return LeftCursor(path, content, msgspec.json.decode(content, type=_Mark))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
