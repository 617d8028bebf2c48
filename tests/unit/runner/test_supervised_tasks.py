"""The runner's background tasks: an ended one stays for the next, and none is forgotten when all are ended."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint
from podrunner.errors import RunnerClosedError
from podrunner.runner.tasks import SupervisedTasks

pytestmark = pytest.mark.anyio


async def some_idle(tasks: SupervisedTasks) -> None:
    """Let a task end while another one runs: it waits for what comes next."""
    tasks.start_soon(anyio.sleep_forever, name="runs on")
    tasks.start_soon(checkpoint, name="ends")
    while not tasks._idle:
        await checkpoint()


async def test_an_ended_task_stays_for_the_next_one():
    async with anyio.create_task_group() as group:
        tasks = SupervisedTasks(group)
        ids: list[int] = []

        async def note() -> None:
            ids.append(anyio.get_current_task().id)

        await some_idle(tasks)
        for _ in range(3):
            await tasks.run(note, name="note")
            await checkpoint()
        assert len(set(ids)) == 1
        tasks.cancel()


async def test_tasks_that_have_nothing_to_do_end_with_the_last_that_runs():
    async with anyio.create_task_group() as group:
        tasks = SupervisedTasks(group)
        goes_on = anyio.Event()
        tasks.start_soon(goes_on.wait, name="runs on")
        tasks.start_soon(checkpoint, name="ends")
        while not tasks._idle:
            await checkpoint()
        goes_on.set()  # the group ends


async def test_a_call_that_an_idle_task_takes_when_all_are_ended_returns():
    """It was handed over, and the task had not woken yet: its caller must not wait for ever."""
    async with anyio.create_task_group() as group:
        tasks = SupervisedTasks(group)
        await some_idle(tasks)
        tasks.cancel()
        with anyio.fail_after(5), pytest.raises(RunnerClosedError):
            await tasks.call(anyio.sleep_forever, name="call")


async def test_a_task_that_starts_when_all_are_ended_begins_and_ends():
    async with anyio.create_task_group() as group:
        tasks = SupervisedTasks(group)
        await some_idle(tasks)
        tasks.cancel()
        with anyio.fail_after(5):
            await tasks.run(anyio.sleep_forever, name="late")
