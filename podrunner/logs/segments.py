"""One log in several files: ``1.log`` is written to; the segments ``1.log.1``, ``1.log.2.gz``, … hold the older lines.

The numbers only grow and the first is the oldest, so that a segment is renamed once and never again. Rotating, undoing
a rotation after a crash, and reading all files as one belong here; when to rotate does not. Everything here blocks and
is called in worker threads.
"""

from __future__ import annotations

import gzip
import re
import shutil
import struct
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["READ_BYTES", "LogFiles", "compress_segment", "last_segment", "rotate", "undo_rotation"]

READ_BYTES: Final = 256 * 1024
"""Bytes that are read at once: a large log is never in memory as a whole."""

_LENGTH_AT_END: Final = 4  # of a gzip file: the length of its content (RFC 1952, ISIZE)


def rotate(path: Path) -> int:
    """Makes the file a segment; returns its number."""
    number = last_segment(path) + 1
    path.replace(_plain(path, number))
    return number


def compress_segment(path: Path, number: int) -> None:
    """Compresses a segment. A crash leaves the segment as it was, or both forms, each of them whole."""
    plain, compressed = _plain(path, number), _compressed(path, number)
    unfinished = path.with_name(f".{compressed.name}.tmp")
    with plain.open("rb") as source, gzip.open(unfinished, "wb") as target:
        shutil.copyfileobj(source, target, READ_BYTES)
    unfinished.replace(compressed)
    plain.unlink()


def undo_rotation(path: Path, number: int) -> None:
    """Goes back to when that segment was the last one: the next one becomes the file that is written to.

    Later segments are removed, and the end of the log with them. After a crash, a second call completes it.
    """
    last = last_segment(path)
    if last <= number:
        return
    path.unlink(missing_ok=True)
    for later in range(last, number + 1, -1):
        _plain(path, later).unlink(missing_ok=True)
        _compressed(path, later).unlink(missing_ok=True)
    plain, compressed = _plain(path, number + 1), _compressed(path, number + 1)
    if plain.exists():
        compressed.unlink(missing_ok=True)
        plain.replace(path)
        return
    unfinished = path.with_name(f".{path.name}.tmp")
    with gzip.open(compressed, "rb") as source, unfinished.open("wb") as target:
        shutil.copyfileobj(source, target, READ_BYTES)
    unfinished.replace(path)
    compressed.unlink()


def last_segment(path: Path) -> int:
    """Returns the number of the last segment; 0 if there is none."""
    return max(_numbers(path), default=0)


def _numbers(path: Path) -> set[int]:
    if not path.parent.is_dir():
        return set()
    name = re.compile(re.escape(path.name) + r"\.([1-9]\d{0,9})(?:\.gz)?")
    return {int(found[1]) for it in path.parent.iterdir() if (found := name.fullmatch(it.name))}


def _plain(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _compressed(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}.gz")


class LogFiles:
    """Reads all files of a log, one after the other, also while it is written to and rotated.

    Args:
        path: The file that is written to.
        offset: How many bytes of the log, counted over all its files, are left out.

    Raises:
        FileNotFoundError: There is no such log.
    """

    def __init__(self, path: Path, *, offset: int = 0) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._number = min(_numbers(path), default=1)
        if not path.exists() and not _numbers(path):
            raise FileNotFoundError(str(path))
        self._skip(offset)
        self._opened()

    def read(self) -> bytes:
        """Returns the next bytes; ``b""`` at the present end."""
        while (file := self._opened()) is not None:
            if data := file.read(READ_BYTES):
                return data
            if not self._is_segment(self._number):
                return b""
            # It is whole by now: what was written since the last read comes first.
            if data := file.read(READ_BYTES):
                return data
            self._next()
        return b""

    def close(self) -> None:
        """Closes the file that is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _skip(self, offset: int) -> None:
        while offset and self._is_segment(self._number) and (size := self._size(self._number)) <= offset:
            offset -= size
            self._next()
        if offset and (file := self._opened()) is not None:
            file.seek(offset)

    def _next(self) -> None:
        self.close()
        later = [number for number in _numbers(self._path) if number > self._number]
        self._number = min(later, default=self._number + 1)

    def _is_segment(self, number: int) -> bool:
        return _plain(self._path, number).exists() or _compressed(self._path, number).exists()

    def _size(self, number: int) -> int:
        plain = _plain(self._path, number)
        if plain.exists():
            return plain.stat().st_size
        with _compressed(self._path, number).open("rb") as file:
            file.seek(-_LENGTH_AT_END, 2)
            length: int = struct.unpack("<I", file.read(_LENGTH_AT_END))[0]
            return length

    def _opened(self) -> IO[bytes] | None:
        if self._file is None:
            self._file = self._open()
        return self._file

    def _open(self) -> IO[bytes] | None:
        """Opens the segment, or the file that will become that segment; None if that does not exist yet."""
        while True:
            number = self._number
            with suppress(FileNotFoundError):
                return _plain(self._path, number).open("rb")
            with suppress(FileNotFoundError):
                return cast("IO[bytes]", gzip.open(_compressed(self._path, number)))
            try:
                file = self._path.open("rb")
            except FileNotFoundError:
                if self._is_segment(number):
                    continue
                return None
            if not self._is_segment(number):
                return file
            file.close()  # rotated between the two checks: this may be the next one
