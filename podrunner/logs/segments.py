"""One log in several files: ``1.log`` is written to; ``1.log.1``, ``1.log.2.gz``, … beside it hold what came before.

The numbers only grow and the first is the oldest, so that a part, once cut off, is never renamed again. Cutting parts
off, undoing it after a crash, and reading all as if they were one belongs here; when that is done does not. Everything
here blocks and is called in worker threads.
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
"""How much is read at once: a large log never stands in memory as a whole."""

_LENGTH_AT_END: Final = 4  # of a gzip file: the length of what is in it (RFC 1952, ISIZE)


def rotate(path: Path) -> int:
    """Makes a part of what was written so far. Returns its number."""
    number = last_segment(path) + 1
    path.replace(_plain(path, number))
    return number


def compress_segment(path: Path, number: int) -> None:
    """Compresses a part. A crash leaves the part as it was, or both forms, each of them whole."""
    plain, packed = _plain(path, number), _packed(path, number)
    unfinished = path.with_name(f".{packed.name}.tmp")
    with plain.open("rb") as source, gzip.open(unfinished, "wb") as target:
        shutil.copyfileobj(source, target, READ_BYTES)
    unfinished.replace(packed)
    plain.unlink()


def undo_rotation(path: Path, number: int) -> None:
    """Goes back to when that part was the last one: what was cut off next is what is written to again.

    Later parts are removed, and the end of the log with them. Whatever the moment of a crash, doing it again ends it.
    """
    last = last_segment(path)
    if last <= number:
        return
    path.unlink(missing_ok=True)
    for later in range(last, number + 1, -1):
        _plain(path, later).unlink(missing_ok=True)
        _packed(path, later).unlink(missing_ok=True)
    plain, packed = _plain(path, number + 1), _packed(path, number + 1)
    if plain.exists():
        packed.unlink(missing_ok=True)
        plain.replace(path)
        return
    unfinished = path.with_name(f".{path.name}.tmp")
    with gzip.open(packed, "rb") as source, unfinished.open("wb") as target:
        shutil.copyfileobj(source, target, READ_BYTES)
    unfinished.replace(path)
    packed.unlink()


def last_segment(path: Path) -> int:
    """The number of the last part that was cut off; 0 if there is none."""
    return max(_numbers(path), default=0)


def _numbers(path: Path) -> set[int]:
    if not path.parent.is_dir():
        return set()
    name = re.compile(re.escape(path.name) + r"\.([1-9]\d{0,9})(?:\.gz)?")
    return {int(found[1]) for it in path.parent.iterdir() if (found := name.fullmatch(it.name))}


def _plain(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _packed(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}.gz")


class LogFiles:
    """Reads all files of a log, one after the other, also while it is written to and cut.

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
        """The next bytes; ``b""`` at what is the end for now."""
        while (file := self._opened()) is not None:
            if data := file.read(READ_BYTES):
                return data
            if not self._is_part(self._number):
                return b""
            # It is whole by now: what was written between the two looks comes first.
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
        while offset and self._is_part(self._number) and (size := self._size(self._number)) <= offset:
            offset -= size
            self._next()
        if offset and (file := self._opened()) is not None:
            file.seek(offset)

    def _next(self) -> None:
        self.close()
        later = [number for number in _numbers(self._path) if number > self._number]
        self._number = min(later, default=self._number + 1)

    def _is_part(self, number: int) -> bool:
        return _plain(self._path, number).exists() or _packed(self._path, number).exists()

    def _size(self, number: int) -> int:
        plain = _plain(self._path, number)
        if plain.exists():
            return plain.stat().st_size
        with _packed(self._path, number).open("rb") as file:
            file.seek(-_LENGTH_AT_END, 2)
            length: int = struct.unpack("<I", file.read(_LENGTH_AT_END))[0]
            return length

    def _opened(self) -> IO[bytes] | None:
        if self._file is None:
            self._file = self._open()
        return self._file

    def _open(self) -> IO[bytes] | None:
        """Opens the part, or the file that will be that part one day; None if that is not there yet."""
        while True:
            number = self._number
            with suppress(FileNotFoundError):
                return _plain(self._path, number).open("rb")
            with suppress(FileNotFoundError):
                return cast("IO[bytes]", gzip.open(_packed(self._path, number)))
            try:
                file = self._path.open("rb")
            except FileNotFoundError:
                if self._is_part(number):
                    continue
                return None
            if not self._is_part(number):
                return file
            file.close()  # cut off between two looks: this may be the one after
