"""Reads /proc: parents, descendants and start times of processes. Results are empty where there is no /proc."""

from __future__ import annotations

from pathlib import Path

__all__ = ["descendants", "parents", "process_start"]

PROC = Path("/proc")


def parents() -> dict[int, list[int]]:
    """Children by parent, of all processes."""
    children: dict[int, list[int]] = {}
    if not (PROC / "self").exists():
        return children
    for folder in PROC.iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    return children


def descendants(children: dict[int, list[int]], top: int) -> list[int]:
    """Return all processes below one."""
    found, queue = list[int](), [top]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def process_start(pid: int) -> int:
    """When a process started, in clock ticks since the machine did: with the pid, an identity. 0 if it is gone."""
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] != "Z" else 0


def _stat(pid: int) -> list[str]:
    """Return fields of ``/proc/PID/stat`` from the third (state) on."""
    try:
        return (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
