"""Measures log collection above the transport: MB per CPU second of one log, of 500 at once, and memory per follow.

The source gives batches from memory, so that only the collector counts; what the HTTP transport takes is measured where
the transport is. CPU is this process's; the fastest of several rounds counts, since noise only adds.
"""

from __future__ import annotations

import gc
import tempfile
import time
import tracemalloc
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from podrunner.logs import CallableSink, ContainerView, FileLogSink, LogBatch, LogCollector, PodAddress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from podrunner.logs import SinkFactory

ROUNDS = 5
PODS = 500
BATCH_BYTES = 64 * 1024
BATCHES = 500


def _batch() -> bytes:
    """Return lines of 99 bytes, time stamps included; the batch ends within a line."""
    line = b"2024-05-01T10:20:30.%09dZ " + b"x" * 67 + b"\n"
    return b"".join(line % number for number in range(BATCH_BYTES // 99 + 1))[:BATCH_BYTES]


class Memory:
    """A source that yields the same batch ``batches`` times, and then waits for ``hold`` if it is given."""

    def __init__(self, batches: int, hold: anyio.Event | None = None) -> None:
        self._batches = batches
        self._hold = hold
        self._batch = _batch()
        self.open = 0

    @asynccontextmanager
    async def stream_log(
        self, namespace: str, name: str, **options: object
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        del namespace, name, options
        self.open += 1
        yield self._each()

    async def _each(self) -> AsyncIterator[bytes]:
        for _ in range(self._batches):
            yield self._batch
            await anyio.lowlevel.checkpoint()
        yield b"\n"  # a log that ends within a line is requested twice
        if self._hold is not None:
            await self._hold.wait()


class StubPodState:
    """A pod that has ended, or that runs."""

    def __init__(self, *, over: bool) -> None:
        self._view = ContainerView(started=True, ended=over, final=over)

    def container(self, name: str) -> ContainerView:
        del name
        return self._view

    async def changed(self) -> None:
        await anyio.sleep_forever()


def collector(source: Memory, state: StubPodState, sink: SinkFactory) -> LogCollector:
    address = PodAddress("default", "pod", "uid")
    return LogCollector(source, address, state, containers=["base"], sinks=[sink])


def each_line(item: object) -> None:
    if isinstance(item, LogBatch):
        for _ in item.texts():
            pass


async def each_line_in_loop(item: object) -> None:
    each_line(item)


def in_loop(_: str) -> CallableSink:
    return CallableSink(each_line_in_loop)


def in_thread(_: str) -> CallableSink:
    return CallableSink(each_line)


async def collect(pods: int, batches: int, sink: SinkFactory = in_loop) -> None:
    source, state = Memory(batches), StubPodState(over=True)
    async with anyio.create_task_group() as group:
        for _ in range(pods):
            group.start_soon(collector(source, state, sink).run)


async def collect_into_files(pods: int, batches: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        numbers = count()
        await collect(pods, batches, lambda _: FileLogSink(Path(folder, f"{next(numbers)}.log")))


async def held_bytes(pods: int) -> float:
    """Return the bytes per followed pod without an incomplete line."""
    source, state = Memory(0, anyio.Event()), StubPodState(over=False)
    gc.collect()
    tracemalloc.start()
    async with anyio.create_task_group() as group:
        for _ in range(pods):
            group.start_soon(collector(source, state, in_loop).run)
        await anyio.wait_all_tasks_blocked()
        assert source.open == pods, "each is followed"
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        group.cancel_scope.cancel()
    return held / pods


def megabytes_per_cpu_s(work: Callable[[], Awaitable[None]], total_bytes: int) -> float:
    def one_round() -> float:
        begin = time.process_time()
        anyio.run(work)
        return time.process_time() - begin

    return total_bytes / 1e6 / min(one_round() for _ in range(ROUNDS))


def main() -> None:
    total = BATCHES * BATCH_BYTES
    works = {
        "one log, line by line": lambda: collect(1, BATCHES),
        "one log, line by line in a thread": lambda: collect(1, BATCHES, in_thread),
        "one log into a file": lambda: collect_into_files(1, BATCHES),
        f"{PODS} logs at once, 64 KiB each": lambda: collect(PODS, BATCHES // PODS),
        f"{PODS} logs at once into files": lambda: collect_into_files(PODS, BATCHES // PODS),
    }
    for name, work in works.items():
        print(f"{name + ':':36}{megabytes_per_cpu_s(work, total):6.0f} MB per CPU second")
    print(f"held per followed pod, no socket: {anyio.run(held_bytes, PODS) / 1024:7.1f} KiB")


if __name__ == "__main__":
    main()
