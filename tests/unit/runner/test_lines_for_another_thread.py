"""What a stream of log lines gives a reader in another thread: what comes together, in few calls, each line once."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint
from podrunner.runner.log_stream import AsyncLogStream, Put, next_lines

pytestmark = pytest.mark.anyio

_LINES = [f"line {number}" for number in range(20)]


async def _read_all(stream: AsyncLogStream) -> tuple[list[str], int]:
    """The lines, and how many calls it took."""
    found: list[str] = []
    calls = 0
    while batch := await next_lines(stream):
        found += batch
        calls += 1
    return found, calls


async def test_what_comes_in_the_next_rounds_comes_with_one_call():
    async def produce(put: Put) -> None:
        for line in _LINES:
            await put([line])
            await checkpoint()

    async with anyio.create_task_group() as group:
        found, calls = await _read_all(AsyncLogStream(produce, group.start_soon))
    assert found == _LINES
    assert calls <= 4


async def test_a_quiet_log_is_not_waited_for():
    """A line is given as soon as it is there, though others follow later."""
    written = anyio.Event()

    async def produce(put: Put) -> None:
        await put(_LINES[:1])
        await written.wait()
        await put(_LINES[1:])

    async with anyio.create_task_group() as group:
        stream = AsyncLogStream(produce, group.start_soon)
        assert await next_lines(stream) == _LINES[:1]
        written.set()
        rest, _ = await _read_all(stream)
        assert rest == _LINES[1:]


async def test_a_reader_that_is_cancelled_meanwhile_loses_no_line():
    """Ctrl-C cancels the call, which then returns nothing to its thread: the next call gives what it had taken."""
    scope = anyio.CancelScope()

    async def produce(put: Put) -> None:
        for number, line in enumerate(_LINES):
            await put([line])
            if number == 5:
                scope.cancel()
            await checkpoint()

    async with anyio.create_task_group() as group:
        stream = AsyncLogStream(produce, group.start_soon)
        with scope:
            await next_lines(stream)
        assert scope.cancelled_caught
        found, _ = await _read_all(stream)
        assert found == _LINES


async def test_a_stream_that_is_closed_meanwhile_gives_what_was_taken_and_ends():
    """Another thread may close it while one reads."""

    async def produce(put: Put) -> None:
        await put(_LINES)
        await checkpoint()
        stream.close()

    async with anyio.create_task_group() as group:
        stream = AsyncLogStream(produce, group.start_soon)
        assert await next_lines(stream) == _LINES
        assert await next_lines(stream) == []
