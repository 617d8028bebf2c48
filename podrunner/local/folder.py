"""The folder of a LocalCluster: made or found, locked, and removed again if it was made.

A cluster that was killed could not remove its folder: the next cluster does. Tokens and Secrets are in the folder, so
only its owner may look into it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from podrunner.errors import UsageError
from podrunner.local.contained import ContainedFolder

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ClusterFolder", "FolderInUseError"]

logger: logging.Logger = logging.getLogger(__name__)

_LOCK = ".lock"
_OWN: Final = (_LOCK, "kubeconfig", "kubelet.pid", "pods", "pv")
"""What a cluster makes in its folder."""
_PREFIX = "podrunner-local-"
_FRESH_S: Final = 60.0  # a folder so young may belong to a cluster that has not locked it yet


class FolderInUseError(UsageError):
    """Another cluster, of this process or of another one, uses the folder.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"another LocalCluster uses the folder {folder}; give each its own, or none")


class ClusterFolder:
    """A context manager: inside, the folder exists and is locked for this cluster.

    Args:
        wanted: The folder; None for a temporary one that is removed at the end. One that is there becomes private
            (mode 0700) if it is empty or a cluster's.

    Raises:
        UsageError: At the entry. Another cluster uses the folder, it is not this user's, or other users may look
            into it and it is no cluster's.
    """

    def __init__(self, wanted: Path | None) -> None:
        self._wanted = wanted
        self._descriptor: int | None = None
        self.path: Path = wanted or Path()

    def __enter__(self) -> Self:
        if self._wanted is None:
            _sweep(Path(tempfile.gettempdir()))
        self.path = (self._wanted or Path(tempfile.mkdtemp(prefix=_PREFIX))).resolve()
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make_private(self.path)
            self._lock()
            (self.path / "kubeconfig").unlink(missing_ok=True)  # of a cluster that was killed
        except BaseException:
            self._remove()
            raise
        return self

    def _remove(self) -> None:
        if self._wanted is None:
            ContainedFolder(self.path.parent).remove_tree(self.path)

    def _lock(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.path / _LOCK, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if not isinstance(error, BlockingIOError):
                raise
            raise FolderInUseError(self.path) from None
        self._descriptor = descriptor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()
        if self._descriptor is not None:
            os.close(self._descriptor)  # which gives up the lock
            self._descriptor = None


def _make_private(folder: Path) -> None:
    """Let only the owner into a folder; UsageError if another user owns it, or what a cluster makes in it.

    The mode of a folder that holds something else is not changed: its users would be locked out.
    """
    _check_owner(folder)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        if not (folder / _LOCK).is_file() and any(folder.iterdir()):
            raise UsageError(
                f"other users may look into the folder {folder} (mode {mode:04o}), where Secrets and tokens would be;"
                " name an empty folder, or make it private with chmod 700"
            )
        folder.chmod(0o700)
        logger.warning("the folder %s had mode %04o; it is private now (0700)", folder, mode)
    for name in _OWN:
        if os.path.lexists(folder / name):
            _check_owner(folder / name)


def _check_owner(path: Path) -> None:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise UsageError(f"{path} is a link, which another user may have made; remove it")
    if found.st_uid != os.geteuid():
        raise UsageError(f"{path} belongs to another user (uid {found.st_uid}); name another folder")


def _sweep(parent: Path) -> None:
    """Remove the temporary folders of clusters that were killed."""
    for lock in parent.resolve().glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            _remove_if_abandoned(lock)
        except OSError:
            continue  # it is in use, another's, or already gone


def _remove_if_abandoned(lock: Path) -> None:
    """Remove a folder whose cluster is gone; BlockingIOError while it lives."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        ours = lock.parent.lstat().st_uid == os.geteuid()
        if ours and time.time() - os.fstat(descriptor).st_mtime > _FRESH_S:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ContainedFolder(lock.parents[1]).remove_tree(lock.parent)
    finally:
        os.close(descriptor)
