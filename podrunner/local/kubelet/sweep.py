"""Removes at the next start what a killed cluster left in its folder.

Processes are normally gone with their cluster (parent-death signal, closed control sockets). The sweep is for what
slipped through: shims are noted by pid and start time, so that no other process can be mistaken for one.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

from podrunner.local.kubelet.proctree import descendants, parents, process_start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from podrunner.local.contained import ContainedFolder

__all__ = ["note_process", "sweep"]

_OWNER = "kubelet.pid"
_NOTE = 64
"""Bytes of a note: a pid and a start time."""


def note_process(files: ContainedFolder) -> None:
    """Note that this process owns the folder."""
    pid = os.getpid()
    files.write(files.path / _OWNER, b"%d %d\n" % (pid, process_start(pid)))


def sweep(files: ContainedFolder) -> None:
    """Kill what containers of a dead owner still run, and remove their folders.

    Nothing is done to a folder whose owner lives (unless that is this process).
    """
    if _owned_by_another(files):
        return
    for pid in _leftovers(files):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    files.remove_tree(files.path / "pods")
    files.remove(files.path / _OWNER)


def _owned_by_another(files: ContainedFolder) -> bool:
    try:
        pid, start = map(int, files.read(files.path / _OWNER, _NOTE).split())
    except (OSError, ValueError):
        return False
    return pid != os.getpid() and start != 0 and process_start(pid) == start


def _leftovers(files: ContainedFolder) -> list[int]:
    """Shims of noted containers that still run, with all below them."""
    tree, found = parents(), list[int]()
    for note in _notes(files):
        with contextlib.suppress(OSError, ValueError):
            pid, start = map(int, files.read(note, _NOTE).split())
            if start and process_start(pid) == start:
                found += [*descendants(tree, pid), pid]
    return found


def _notes(files: ContainedFolder) -> Iterator[Path]:
    pods = files.path / "pods"
    for pod in _names(files, pods):
        containers = pods / pod / "containers"
        yield from (containers / name / "shim.pid" for name in _names(files, containers))


def _names(files: ContainedFolder, folder: Path) -> list[str]:
    try:
        return files.names(folder)
    except OSError:  # a link or a file in the place of a folder holds no notes
        return []
