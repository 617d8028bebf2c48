"""The memory of this process, and samples of it while a benchmark runs."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MemorySamples", "per_live_pod", "resident_bytes"]

_EVERY_S: Final = 0.2
_TELLING: Final = 200
"""Live pods at least from which memory per pod is reported: fewer are lost in the noise of the allocator."""


def resident_bytes() -> int:
    """Return the memory of this process that is in use; where there is no /proc, the most that ever was."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * resource.getpagesize()


class MemorySamples:
    """Takes samples of this process's memory until its task is cancelled.

    Attributes:
        samples: The time (monotonic seconds) and the bytes of each.
    """

    def __init__(self) -> None:
        self.samples: list[tuple[float, int]] = [(time.monotonic(), resident_bytes())]

    async def run(self) -> None:
        """Take a sample now and then."""
        while True:
            await anyio.sleep(_EVERY_S)
            self.samples.append((time.monotonic(), resident_bytes()))


def per_live_pod(samples: Sequence[tuple[float, int]], lives: Sequence[tuple[float, float]]) -> float | None:
    """Return the bytes that memory had grown by, per live pod, when most pods were live; None: too few ever were.

    Args:
        samples: The time of each, and the memory in use; the first one is from before the first pod.
        lives: When each pod was created and gone.
    """
    most, used = max(
        ((sum(begin <= at_s < end for begin, end in lives), used) for at_s, used in samples),
        default=(0, 0),
    )
    return (used - samples[0][1]) / most if most >= _TELLING else None
