"""The close of a runner goes to its end, whatever its caller is cancelled by, and how often; then that is raised."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import pytest
from podrunner.errors import CloseTimeoutError
from podrunner.outcome import Category
from podrunner.runner import AsyncPodRunner
from tests.support.fake_server import ENDED
from tests.support.virtual_asyncio import VirtualTimeLoop
from tests.unit.runner.harness import Cluster, configured, running, until, workload

PODS = 8


def in_virtual_time(main: Callable[[], Awaitable[None]]) -> None:
    """Run a program of asyncio: its ``Task.cancel()`` reaches what no scope shields."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


async def run_pods(runner: AsyncPodRunner, cluster: Cluster) -> None:
    for number in range(PODS):
        cluster.run((await runner.launch(workload(number))).name)


def running_pods(cluster: Cluster) -> list[str]:
    """The pods that are not over. What is over stays for a successor until its outcome was delivered."""
    return [name for (_, name), pod in cluster.pods.items() if pod["status"]["phase"] not in ENDED]


def left_over(cluster: Cluster) -> list[object]:
    """What a closed runner has left behind."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return [*running_pods(cluster), *cluster.leases, *cluster.watches, *tasks]


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("on_exit", ["cancel", "drain"])
def test_a_close_that_is_cancelled_goes_on_to_its_end(times: int, on_exit: str):
    """H3: ``task.cancel()`` 10 ms into the close, and again and again; then CancelledError."""

    async def main() -> None:
        cluster, closing = Cluster(), asyncio.Event()
        cluster.fail("PATCH", times=100, delay_s=1)
        cluster.fail("DELETE", part="", times=100, delay_s=1)

        async def use() -> None:
            async with running(cluster, on_exit=on_exit) as runner:
                await run_pods(runner, cluster)
                closing.set()

        task = asyncio.create_task(use())
        await closing.wait()
        for _ in range(times):
            await asyncio.sleep(0.01)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left_over(cluster) == []

    in_virtual_time(main)
