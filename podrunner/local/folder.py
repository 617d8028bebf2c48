"""The folder of a LocalCluster: made or found, locked, and removed again if it was made.

A cluster that was killed could not remove its folder: the next cluster does.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from podrunner.errors import UsageError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ClusterFolder"]

_LOCK = ".lock"
_PREFIX = "podrunner-local-"
_FRESH_S: Final = 60.0  # a folder so young may belong to a cluster that has not locked it yet


class ClusterFolder:
    """A context manager: inside, the folder exists and is locked for this cluster.

    Args:
        wanted: The folder; None for a temporary one that is removed at the end.
    """

    def __init__(self, wanted: Path | None) -> None:
        self._wanted = wanted
        self._descriptor: int | None = None
        self.path: Path = wanted or Path()

    def __enter__(self) -> Self:
        if self._wanted is None:
            _sweep(Path(tempfile.gettempdir()))
        self.path = (self._wanted or Path(tempfile.mkdtemp(prefix=_PREFIX))).absolute()
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock()
        return self

    def _lock(self) -> None:
        descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            message = f"another LocalCluster uses the folder {self.path}; give each its own, or none"
            raise UsageError(message) from None
        self._descriptor = descriptor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wanted is None:
            shutil.rmtree(self.path, ignore_errors=True)
        if self._descriptor is not None:
            os.close(self._descriptor)  # which gives up the lock
            self._descriptor = None


def _sweep(parent: Path) -> None:
    """Remove the temporary folders of clusters that were killed."""
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
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
            shutil.rmtree(lock.parent, ignore_errors=True)
    finally:
        os.close(descriptor)
