"""Judges logs of numbered lines, and watches where the node's rotation begins new files.

In the moment of a rotation the node itself may pass over lines without a trace: the kubelet goes over to the new file
as soon as it is there (``ReadLogs`` in k8s.io/cri-client), while containerd may still write to the old one. No client
can see that, so the judge takes the node's own files for the truth: a hole without a gap is forgiven only if it ends
where a new file begins, and is no longer than what is written in such a moment.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PASSED_OVER_AT_MOST = 300
"""Lines; a file of 1 MiB has thousands, so that a rotation that was missed is not forgiven."""

_LOOK_S = 0.1


def holes(lines: Sequence[str], *, count: int, firsts: set[int] = frozenset()) -> tuple[list[str], int]:
    """What is wrong with lines that begin with their numbers, and how many lines the node passed over.

    Args:
        lines: The lines; ``*** Log gap …`` among them.
        count: How many numbered lines there should be.
        firsts: Numbers with which the node's log files began.
    """
    wrong, passed, expected, gap = [], 0, 0, False
    for line in [*lines, f"{count} the end"]:
        if line.startswith("*** Log gap"):
            gap = True
            continue
        word = line.partition(" ")[0]
        if not word.isdecimal():
            wrong.append(f"torn: {line[:50]!r}")
            continue
        number = int(word)
        if number < expected:
            wrong.append(f"{number} came after {expected - 1}")
        elif not gap and number in firsts and 0 < number - expected <= PASSED_OVER_AT_MOST:
            passed += number - expected
        elif number > expected and not gap:
            wrong.append(f"{expected} to {number - 1} are missing without a word")
        expected, gap = number + 1, False
    return wrong, passed


class Rotations:
    """The numbers with which log files of a namespace's pods began, by the slugs with which the pods' names begin."""

    def __init__(self) -> None:
        self._firsts: dict[str, set[int]] = {}

    def of(self, slug: str) -> set[int]:
        return self._firsts.get(slug, set())

    def look(self, folder: Path, namespace: str) -> None:
        for path in folder.glob(f"{namespace}_*/base/0.log"):
            # A file may be empty yet, or be renamed meanwhile, or begin with another line.
            with suppress(OSError, ValueError, IndexError), path.open("rb") as file:
                first = file.readline(200).split(b" ", 3)[3]
                slug = path.parts[-3].split("_")[1].rpartition("-")[0]
                self._firsts.setdefault(slug, set()).add(int(first.split()[0]))


@contextmanager
def watched_rotations(podlogs: Path, namespace: str) -> Iterator[Rotations]:
    """Look at the node's own files until the block ends."""
    found, over = Rotations(), threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_S):
            found.look(podlogs, namespace)

    thread = threading.Thread(target=look, name="rotations")
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
