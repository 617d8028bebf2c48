"""What a followed log holds while nothing comes: bytes that Python allocated, not times."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from podrunner.logs import LogCollector, PodAddress
from podrunner.logs.record import LogBatch, LogGap

from .conftest import FakeState

pytestmark = pytest.mark.anyio

_FOLLOWS = 20
_BATCH_LINES = 660  # 64 KB
_MOST_BYTES = 50 * 1024


class _Quiet:
    """A server that sends each reader a batch of its own, and then nothing."""

    @asynccontextmanager
    async def stream_log(
        self, namespace: str, name: str, **options: object
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        del namespace, name, options
        yield self._once()

    async def _once(self) -> AsyncIterator[bytes]:
        yield b"".join(
            b"2024-05-01T10:20:30.%09dZ %s\n" % (number, b"x" * 67) for number in range(_BATCH_LINES)
        )
        await anyio.sleep_forever()


class _CountingSink:
    """Keeps nothing of what it is given."""

    async def open(self, *, uid: str, container: str) -> None:
        del uid, container

    async def write(self, batch: LogBatch, cursor: object) -> None:
        assert batch.data.count(b"\n") == _BATCH_LINES
        del cursor

    async def gap(self, gap: LogGap, cursor: object) -> None:
        raise AssertionError(f"nothing is missing: {gap}")

    async def close(self, cursor: object) -> None:
        del cursor


async def test_an_idle_follow_holds_none_of_the_lines_that_were_delivered():
    """Of 64 KB that came, no more than the last 4 KB is kept, by which lines are recognised after a break."""
    address, state = PodAddress("default", "pod", "uid"), FakeState()

    def collector() -> LogCollector:
        return LogCollector(_Quiet(), address, state, containers=["base"], sinks=[lambda _: _CountingSink()])

    async with anyio.create_task_group() as group:
        group.start_soon(collector().run)
        await anyio.wait_all_tasks_blocked()
        gc.collect()
        tracemalloc.start()
        try:
            followers = [collector() for _ in range(_FOLLOWS)]
            for follower in followers:
                group.start_soon(follower.run)
            await anyio.wait_all_tasks_blocked()
            gc.collect()
            held = tracemalloc.get_traced_memory()[0] / _FOLLOWS
        finally:
            tracemalloc.stop()
        assert all(follower.status.bytes_read > 60_000 for follower in followers), "each has read its batch"
        group.cancel_scope.cancel()
    assert held < _MOST_BYTES
