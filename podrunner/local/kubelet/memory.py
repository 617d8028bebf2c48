"""Memory limits of containers: cgroups where they can be written, else a watcher of resident memory.

A container over its limit is killed and reported ``OOMKilled``. The cgroups are named after the process that made
them, so that a later start finds those whose maker is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from podrunner.local.kubelet.proctree import descendants, parents, process_start

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CgroupTree", "MemoryGuard", "MemoryLimit", "find_cgroup"]

PAGE = os.sysconf("SC_PAGE_SIZE")


class CgroupTree:
    """The memory cgroups of one kubelet, below one that this process may write to.

    Args:
        parent: Folder of the cgroup to work below.
        version: 1 or 2.
    """

    def __init__(self, parent: Path, *, version: int) -> None:
        self._folder = parent / f"podrunner-{os.getpid()}-{process_start(os.getpid())}"
        self._version = version

    def create(self, name: str, limit: int) -> Path:
        """Make a cgroup with a limit in bytes; OSError if it cannot be made."""
        folder = self._folder / name
        self._folder.mkdir(exist_ok=True)
        if self._version == 2:
            (self._folder / "cgroup.subtree_control").write_text("+memory")
        folder.mkdir()
        for file, value in self._settings(limit):
            (folder / file).write_text(value)
        return folder

    def killed(self, folder: Path) -> bool:
        """Return whether the kernel killed something in it for want of memory."""
        name = "memory.events" if self._version == 2 else "memory.oom_control"
        with contextlib.suppress(OSError):
            found = re.search(r"^oom_kill (\d+)", (folder / name).read_text(), re.MULTILINE)
            return found is not None and int(found[1]) > 0
        return False

    def remove(self) -> None:
        """Remove what is empty."""
        _remove_tree(self._folder)

    def _settings(self, limit: int) -> list[tuple[str, str]]:
        if self._version == 2:
            return [("memory.max", str(limit)), ("memory.swap.max", "0"), ("memory.oom.group", "1")]
        return [("memory.limit_in_bytes", str(limit))]


def find_cgroup() -> CgroupTree | None:
    """Return a place for cgroups that works, None if there is none; leftovers of dead processes are removed."""
    for parent, version in _places():
        tree = CgroupTree(parent, version=version)
        try:
            probe = tree.create("probe", 1 << 30)
            probe.rmdir()
        except OSError:
            tree.remove()
            continue
        _sweep(parent)
        return tree
    return None


def _places() -> list[tuple[Path, int]]:
    try:
        own = Path("/proc/self/cgroup").read_text().splitlines()
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return []
    places = [place for line in own for place in _places_of(line, mounts)]
    return [(path, version) for path, version in places if os.access(path, os.W_OK)]


def _places_of(line: str, mounts: list[str]) -> list[tuple[Path, int]]:
    """Return where processes in the cgroup of a line of /proc/self/cgroup might put theirs."""
    number, controllers, path = line.split(":", 2)
    if number == "0":
        root = _mounted(mounts, kind="cgroup2", option="")
        # Below a v2 cgroup that has processes there can be no controllers: beside it, then.
        return (
            [(parent, 2) for parent in (root / path.lstrip("/")).parents if parent.is_relative_to(root)]
            if root
            else []
        )
    if "memory" not in controllers.split(","):
        return []
    root = _mounted(mounts, kind="cgroup", option="memory")
    return [(root / path.lstrip("/"), 1)] if root else []


def _mounted(mounts: list[str], *, kind: str, option: str) -> Path | None:
    for line in mounts:
        place, _, system = line.partition(" - ")
        found, _, options = system.partition(" ")
        if found == kind and (not option or option in options.split(" ")[-1].split(",")):
            return Path(place.split(" ")[4])
    return None


def _sweep(parent: Path) -> None:
    # Beside it too: a killed cluster may have been started from another session, hence another cgroup.
    for folder in (*parent.glob("podrunner-*-*"), *parent.parent.glob("*/podrunner-*-*")):
        _, pid, start = folder.name.split("-", 2)
        if pid.isdigit() and str(process_start(int(pid))) != start:
            _remove_tree(folder)


def _remove_tree(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for child in folder.iterdir():
            if child.is_dir():
                with contextlib.suppress(OSError):
                    child.rmdir()
        folder.rmdir()


class MemoryLimit:
    """The limit of one container.

    Attributes:
        joins: Files that a process writes ``0`` to in order to be held to the limit.
    """

    def __init__(self, tree: CgroupTree | None, folder: Path | None, limit: int) -> None:
        self._tree = tree
        self._folder = folder
        self.limit = limit
        self.exceeded = False
        self.joins: list[str] = [str(folder / "cgroup.procs")] if folder else []

    def killed(self) -> bool:
        """Return whether the container was killed for it."""
        return self.exceeded or (
            self._tree is not None and self._folder is not None and self._tree.killed(self._folder)
        )

    def release(self) -> None:
        """Remove the cgroup of a container that ended."""
        if self._folder is not None:
            with contextlib.suppress(
                OSError
            ):  # a process that is just ending: removed when the kubelet stops
                self._folder.rmdir()


class MemoryGuard:
    """Holds containers to their limits.

    Args:
        tree: Where cgroups are made; None to watch resident memory instead.
        poll_s: Seconds between looks.
    """

    def __init__(self, tree: CgroupTree | None, *, poll_s: float = 0.25) -> None:
        self._tree = tree
        self._poll_s = poll_s
        self._watched: dict[int, tuple[MemoryLimit, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def limit(self, name: str, size: int | None) -> MemoryLimit | None:
        """Return a limit for a container about to start; None without one."""
        if size is None:
            return None
        if self._tree is not None:
            with contextlib.suppress(OSError):
                return MemoryLimit(self._tree, self._tree.create(name, size), size)
        return MemoryLimit(None, None, size)

    def watch(self, limit: MemoryLimit, pid: int, kill: Callable[[], None]) -> None:
        """Watch a container without a cgroup.

        Args:
            limit: Its limit.
            pid: Its shim.
            kill: Ends it.
        """
        if not limit.joins and Path("/proc/self").is_dir():
            self._watched[pid] = (limit, kill)
            self._schedule()

    def forget(self, pid: int) -> None:
        """Stop watching a container that ended."""
        self._watched.pop(pid, None)

    def close(self) -> None:
        """Stop watching, and remove the cgroups."""
        self._watched.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._tree is not None:
            self._tree.remove()

    def _schedule(self) -> None:
        if self._timer is None and self._watched:
            self._timer = asyncio.get_running_loop().call_later(self._poll_s, self._look)

    def _look(self) -> None:
        self._timer = None
        tree = parents()
        for pid, (limit, kill) in tuple(self._watched.items()):
            if resident(descendants(tree, pid), skip=_is_shim) > limit.limit:
                limit.exceeded = True
                self.forget(pid)
                kill()
        self._schedule()


def resident(pids: list[int], *, skip: Callable[[int], bool]) -> int:
    """Return the bytes of memory that processes hold for themselves alone."""
    return sum(_private(pid) for pid in pids if not skip(pid))


def _is_shim(pid: int) -> bool:
    try:
        return b"kubelet/shim" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _private(pid: int) -> int:
    try:
        _, pages, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0
    return (int(pages) - int(shared)) * PAGE
