"""Files and folders below one folder: whatever a path says, and whatever links lie there, nothing outside is touched.

Containers run as the cluster's own user, or see its folder, and may plant links, pipes and odd folders in it. Every
path is walked folder by folder through descriptors, and no link on the way is followed (``openat`` with
``O_NOFOLLOW``). The part of a path above the folder is trusted.
"""

# Descriptors are listed, not paths.
# ruff: noqa: PTH208

from __future__ import annotations

import errno
import logging
import os
import secrets
import stat
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ContainedFolder"]

logger: logging.Logger = logging.getLogger(__name__)

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe does not block

_PASSES: Final = 100_000
"""Deepest tree that is removed; it bounds the work while a program goes on to make files."""


class ContainedFolder:
    """Reads, writes and removes below one folder.

    Paths are given whole, as ``folder / "a" / "b"``. Every method raises OSError for a path that is not below the
    folder, has ``..`` in it, or leads through a link.

    Args:
        path: The folder; itself no link.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def make_folder(self, path: Path, *, mode: int = 0o755, owner: tuple[int, int] | None = None) -> None:
        """Make a folder, and those above it; one that is there gets the mode and owner, and keeps its content."""
        with self._above(path, create=True) as (above, name):
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=above)
            folder = os.open(name, _FOLDER, dir_fd=above)
        try:
            if owner is not None:
                os.fchown(folder, *owner)
            os.fchmod(folder, mode)
        finally:
            os.close(folder)

    def write(self, path: Path, data: bytes, *, mode: int = 0o600) -> None:
        """Write a file in one step; no reader sees half of it, nor before it has its mode."""
        with self._above(path, create=True) as (above, name):
            fresh = f".{name}.new"
            descriptor = _create(fresh, above)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                os.fchmod(descriptor, mode)
            os.replace(fresh, name, src_dir_fd=above, dst_dir_fd=above)

    def create(self, path: Path, *, mode: int = 0o644) -> BinaryIO:
        """Return a new file to append to, unbuffered; what was there before is removed."""
        with self._above(path, create=True) as (above, name):
            descriptor = _create(name, above, os.O_APPEND)
        os.fchmod(descriptor, mode)
        return os.fdopen(descriptor, "ab", buffering=0)

    def open(self, path: Path) -> BinaryIO:
        """Return a file to read from, unbuffered; OSError if it is no ordinary file."""
        with self._above(path) as (above, name):
            descriptor = os.open(name, _READ, dir_fd=above)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not an ordinary file", str(path))
        return os.fdopen(descriptor, "rb", buffering=0)

    def read(self, path: Path, limit: int) -> bytes:
        """Return the first bytes of a file, at most ``limit``."""
        with self.open(path) as file:
            return file.read(limit)

    def rename(self, path: Path, name: str) -> None:
        """Give a file another name in its folder."""
        with self._above(path) as (above, old):
            os.rename(old, name, src_dir_fd=above, dst_dir_fd=above)

    def names(self, path: Path) -> list[str]:
        """Return the names of what is in a folder; none if it is not there."""
        with suppress(FileNotFoundError), self._above(path / "x") as (folder, _):
            return os.listdir(folder)
        return []

    def remove(self, path: Path) -> None:
        """Remove a file or link; it may be gone already."""
        with suppress(FileNotFoundError), self._above(path) as (above, name):
            os.unlink(name, dir_fd=above)

    def remove_tree(self, path: Path) -> None:
        """Remove whatever is at a path: a folder with all that is in it, or a file, or a link but not its target.

        What cannot be removed is logged, and stays.
        """
        try:
            with self._above(path) as (above, name):
                _remove(name, above)
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("%s could not be removed: %s", path, error)

    @contextmanager
    def _above(self, path: Path, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """Open the folder that a path lies in; its descriptor, and the path's last part."""
        *folders, name = self._parts(path)
        descriptor = os.open(self.path, _FOLDER)
        try:
            for part in folders:
                descriptor = _descend(descriptor, part, create=create)
            yield descriptor, name
        finally:
            os.close(descriptor)

    def _parts(self, path: Path) -> tuple[str, ...]:
        parts = path.relative_to(self.path).parts if path.is_relative_to(self.path) else ()
        if not parts or ".." in parts or any("\0" in part for part in parts):
            raise OSError(errno.EPERM, f"the path does not stay below {self.path}", str(path))
        return parts


def _descend(folder: int, part: str, *, create: bool) -> int:
    """Exchange the descriptor of a folder for that of one in it."""
    if create:
        with suppress(FileExistsError):
            os.mkdir(part, 0o755, dir_fd=folder)
    below = os.open(part, _FOLDER, dir_fd=folder)
    os.close(folder)
    return below


def _create(name: str, folder: int, flags: int = 0) -> int:
    """Make a file that was not there, readable for its owner alone."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    return os.open(name, _NEW | flags, 0o600, dir_fd=folder)


def _remove(name: str, above: int) -> None:
    if _unlinked(name, above):
        return
    folder = _open_writable(name, above)
    try:
        _empty(folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=above)


def _unlinked(name: str, folder: int) -> bool:
    """Remove what is no folder; return whether it was none."""
    if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
        return False
    os.unlink(name, dir_fd=folder)
    return True


def _empty(folder: int) -> None:
    """Remove all that is in a folder.

    Each folder in it is dissolved: its folders are moved up, so that a deep tree needs neither recursion nor
    descriptors, and long paths are never spelt.
    """
    stuck: dict[str, OSError] = {}
    for _ in range(_PASSES):
        names = [name for name in os.listdir(folder) if name not in stuck]
        if not names:
            break
        for name in names:
            try:
                if not _unlinked(name, folder):
                    _dissolve(name, folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                stuck[name] = error
    if stuck:
        raise next(iter(stuck.values()))


def _dissolve(name: str, above: int) -> None:
    folder = _open_writable(name, above)
    try:
        for each in os.listdir(folder):
            if not _unlinked(each, folder):
                os.close(_open_writable(each, folder))  # a folder that is moved must be writable itself
                os.rename(each, f".removed-{secrets.token_hex(8)}", src_dir_fd=folder, dst_dir_fd=above)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=above)


def _open_writable(name: str, above: int) -> int:
    """Open a folder after its owner's rights were restored: a program may have taken them away."""
    try:
        folder = os.open(name, _FOLDER, dir_fd=above)
    except PermissionError:
        _grant(name, above)
        folder = os.open(name, _FOLDER, dir_fd=above)
    if os.fstat(folder).st_mode & 0o700 != 0o700:
        os.fchmod(folder, 0o700)
    return folder


def _grant(name: str, above: int) -> None:
    if sys.platform != "linux":
        os.chmod(name, 0o700, dir_fd=above, follow_symlinks=False)
        return
    # Linux has no chmod of a name that follows no link; the descriptor's path in /proc is no link to anywhere else.
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        Path(f"/proc/self/fd/{handle}").chmod(0o700)
    finally:
        os.close(handle)
