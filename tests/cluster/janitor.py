"""Removes what outlives a node's namespaces: cgroups, and the folder.

The janitor is a separate process that waits for the end of a pipe, which comes when its parent ends, even by
``kill -9``. If the janitor itself was killed, the next run removes what remains.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
CGROUP_PREFIX = "podrunner-test-node-"
CGROUP = "PODRUNNER_TEST_CGROUP"
"""Environment variable that names this run's cgroup: the outer process's id."""

_EMPTY_WITHIN_S = 30


@contextmanager
def watching(*, remove: Path | None) -> Iterator[None]:
    """Clean up when the context or this process ends, whichever is first.

    Args:
        remove: A folder to remove too; None: none.
    """
    os.environ[CGROUP] = str(os.getpid())
    reader, writer = os.pipe()
    janitor = os.fork()
    if janitor == 0:
        os.close(writer)
        _wait_and_clean(reader, remove)
    os.close(reader)
    try:
        yield
    finally:
        os.close(writer)
        os.waitpid(janitor, 0)


def _wait_and_clean(reader: int, remove: Path | None) -> None:
    """Run the janitor, in its own session, so that a Ctrl-C at the terminal does not end it."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        while os.read(reader, 1):
            pass
        for folder in _cgroups(os.environ[CGROUP]):
            _remove_cgroup(folder)
        if remove:
            shutil.rmtree(remove, ignore_errors=True)
    finally:
        os._exit(0)


def make_cgroups() -> None:
    """Make a cgroup in each hierarchy; all cgroups of the node are below it."""
    for folder in _cgroups(os.environ[CGROUP]):
        folder.mkdir()
        _inherit_cpuset(folder)


def remove_leftovers() -> None:
    """Remove the cgroups of runs whose outer process is gone."""
    for hierarchy in _hierarchies():
        for folder in hierarchy.glob(f"{CGROUP_PREFIX}*"):
            if not Path("/proc", folder.name.removeprefix(CGROUP_PREFIX)).exists():
                _remove_cgroup(folder)


def _cgroups(run: str) -> list[Path]:
    return [hierarchy / f"{CGROUP_PREFIX}{run}" for hierarchy in _hierarchies()]


def _hierarchies() -> list[Path]:
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [folder for folder in CGROUPS.iterdir() if (folder / "cgroup.procs").exists()]


def _inherit_cpuset(folder: Path) -> None:
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (folder / name).exists() and not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())


def _remove_cgroup(root: Path) -> None:
    """Remove a tree of cgroups as soon as it has no process."""
    deadline = time.monotonic() + _EMPTY_WITHIN_S
    while root.exists() and time.monotonic() < deadline:
        for folder, _, _ in os.walk(root, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
        time.sleep(0.05)
