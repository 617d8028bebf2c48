"""Removes at the next start what a killed cluster left in its folder.

Processes are normally gone with their cluster (parent-death signal, closed control sockets). The sweep is for what
slipped through: shims are noted by pid and start time, so that no other process can be mistaken for one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from typing import TYPE_CHECKING

from podrunner.local.kubelet.proctree import descendants, parents, process_start

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["note_process", "sweep"]

_OWNER = "kubelet.pid"


def note_process(folder: Path) -> None:
    """Note that this process owns the folder."""
    pid = os.getpid()
    (folder / _OWNER).write_text(f"{pid} {process_start(pid)}\n")


def sweep(folder: Path) -> None:
    """Kill what containers of a dead owner still run, and remove their folders.

    Nothing is done to a folder whose owner lives (unless that is this process).
    """
    if _owned_by_another(folder):
        return
    for pid in _leftovers(folder):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder / "pods", ignore_errors=True)
    (folder / _OWNER).unlink(missing_ok=True)


def _owned_by_another(folder: Path) -> bool:
    try:
        pid, start = map(int, (folder / _OWNER).read_text().split())
    except (OSError, ValueError):
        return False
    return pid != os.getpid() and start != 0 and process_start(pid) == start


def _leftovers(folder: Path) -> list[int]:
    """Shims of noted containers that still run, with all below them."""
    tree, found = parents(), list[int]()
    for note in folder.glob("pods/*/containers/*/shim.pid"):
        with contextlib.suppress(OSError, ValueError):
            pid, start = map(int, note.read_text().split())
            if start and process_start(pid) == start:
                found += [*descendants(tree, pid), pid]
    return found
