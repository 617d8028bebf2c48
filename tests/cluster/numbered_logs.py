"""Checks logs of numbered lines, and records where the node's rotation begins new files.

During a rotation the node itself may skip lines without a trace: the kubelet reads the new file as soon as it exists
(``ReadLogs`` in k8s.io/cri-client), while containerd may still write to the old one. No client can see that, so the
check compares with the node's own files: it accepts a hole without a gap only if the hole ends where a new file begins,
and is no longer than what is written during a rotation.
"""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

SKIPPED_AT_MOST = 300
"""Lines; a file of 1 MiB has thousands, so that the check does not accept a whole file that was missed."""

_POLL_S = 0.1
_NOT_NOW = (OSError, EOFError, zlib.error, ValueError, IndexError)


def holes(lines: Sequence[str], *, count: int, firsts: set[int] = frozenset()) -> tuple[list[str], int]:
    """Return the errors in lines that begin with their numbers, and how many lines the node skipped.

    Args:
        lines: The lines; ``*** Log gap …`` among them.
        count: How many numbered lines there should be.
        firsts: Numbers with which the node's log files began.
    """
    wrong, skipped, expected, gap = [], 0, 0, False
    for line in [*lines, f"{count} the end"]:
        if line.startswith("*** Log gap"):
            gap = True
            continue
        start = line.partition(" ")[0]
        if not start.isdecimal():
            wrong.append(f"torn: {line[:50]!r}")
            continue
        number = int(start)
        if number < expected:
            wrong.append(f"{number} came after {expected - 1}")
        elif not gap and number in firsts and 0 < number - expected <= SKIPPED_AT_MOST:
            skipped += number - expected
        elif number > expected and not gap:
            wrong.append(f"{expected} to {number - 1} are missing without a gap")
        expected, gap = number + 1, False
    return wrong, skipped


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


class Rotations:
    """The first line number of each log file of a namespace's pods, by the slug with which the pod's name begins."""

    def __init__(self) -> None:
        self._firsts: dict[str, set[int]] = {}
        self._rotated: set[Path] = set()
        """The files that were read after their rotation: they have names of their own."""

    def of(self, slug: str) -> set[int]:
        return self._firsts.get(slug, set())

    def poll(self, folder: Path, namespace: str) -> None:
        """Look at each file that is there; a rotated one stays for some rotations, the older ones compressed."""
        for path in set(folder.glob(f"{namespace}_*/base/0.log*")) - self._rotated:
            # A file may be empty yet, or be renamed or compressed meanwhile, or begin with another line.
            with suppress(*_NOT_NOW), _opened(path) as file:
                first = file.readline(200).split(b" ", 3)[3]
                slug = path.parts[-3].split("_")[1].rpartition("-")[0]
                self._firsts.setdefault(slug, set()).add(int(first.split()[0]))
                if path.name != "0.log":
                    self._rotated.add(path)


@contextmanager
def watched_rotations(podlogs: Path, namespace: str) -> Iterator[Rotations]:
    """Poll the node's own log files until the block ends."""
    found, over = Rotations(), threading.Event()

    def poll() -> None:
        while not over.wait(_POLL_S):
            found.poll(podlogs, namespace)

    thread = threading.Thread(target=poll, name="rotations")
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
