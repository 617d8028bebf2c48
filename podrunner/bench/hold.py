"""All pods of a run live at once: what the runner takes then, before the stub lets the first one end."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Final

import anyio
import msgspec

from podrunner.bench.memory import resident_bytes

if TYPE_CHECKING:
    from podrunner.bench.servers import BenchServer

__all__ = ["AllLive", "Hold"]

_QUIET_S: Final = 3.0
"""Seconds of a quiet time that is measured."""


class AllLive(msgspec.Struct, frozen=True):
    """What a runner takes when all its pods are live.

    Attributes:
        after_s: Seconds until all of them ran.
        cpu_s: CPU time until then.
        idle_cpu_s_per_s: CPU seconds per second from then on, while nothing happens.
        memory: Bytes by which the process had grown since before the first pod.
    """

    after_s: float
    cpu_s: float
    idle_cpu_s_per_s: float
    memory: int


class Hold:
    """Lets pods that are held end, when all of them run and that was measured.

    Args:
        server: The stub that holds them.
        memory_begin: Bytes of this process before the first pod.
    """

    def __init__(self, server: BenchServer, memory_begin: int) -> None:
        self.live: AllLive | None = None
        self._server = server
        self._memory_begin = memory_begin
        self._began = time.monotonic(), time.process_time()

    async def end(self) -> None:
        """All run: measure a quiet time, then let them end."""
        now_s, cpu_s = time.monotonic(), time.process_time()
        await anyio.sleep(_QUIET_S)
        idle = (time.process_time() - cpu_s) / (time.monotonic() - now_s)
        gc.collect()
        grown = resident_bytes() - self._memory_begin
        self.live = AllLive(now_s - self._began[0], cpu_s - self._began[1], idle, grown)
        await self._server.release()
