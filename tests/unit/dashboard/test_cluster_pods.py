"""The board over a watch of its own: what the cluster is asked, however many look; and gaps in a log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import anyio
import pytest
from podrunner.dashboard.access import Access
from podrunner.dashboard.app import make_app
from podrunner.dashboard.board import Board
from podrunner.dashboard.source import ClusterPods
from tests.unit.dashboard.asgi import Stream, get, streaming
from tests.unit.runner.harness import Cluster, configured, running, until, workload

OPEN = Access(None)


@asynccontextmanager
async def board_over(cluster: Cluster) -> AsyncIterator[tuple[Board, ClusterPods]]:
    """A board with its watch, as ``podrunner board`` has it."""
    pods = ClusterPods(cluster.client(), configured(), namespace="default", selector="", random=Random(1))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pods.reflector.run)
        await pods.reflector.wait_synced()
        yield Board(pods), pods
        tasks.cancel_scope.cancel()


async def pods_until(stream: Stream, wanted: str) -> dict:
    """The first pod that a viewer is sent with a category."""
    while True:
        _, data = await stream.next("pods")
        for pod in data["pods"]:
            if pod["category"] == wanted:
                return pod


@pytest.mark.anyio
async def test_ten_viewers_cost_one_list_and_one_watch(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload(0))
        before = len(cluster.requests)
        async with board_over(cluster) as (board, _):
            app = make_app(board, OPEN)
            opened = len(cluster.requests) - before
            async with anyio.create_task_group() as tasks:
                seen: list[dict] = []

                async def view() -> None:
                    async with streaming(app, "/api/changes") as stream:
                        await stream.next("ready")
                        viewers.append(stream)
                        seen.append(await pods_until(stream, "failed"))

                viewers: list[Stream] = []
                for _ in range(10):
                    tasks.start_soon(view)
                await until(lambda: len(viewers) == 10)
                assert len(cluster.requests) - before == opened, "no viewer has asked the cluster"
                cluster.play(pod.name, exit_code=3)
            assert {each["exit"] for each in seen} == {3}
            assert {each["key"] for each in seen} == {seen[0]["key"]}
            assert len(board.hub) == 0


@pytest.mark.anyio
async def test_a_watch_that_is_interrupted_is_said_and_so_is_its_return(cluster: Cluster):
    cluster.put("pod-1")
    async with board_over(cluster) as (board, _), streaming(make_app(board, OPEN), "/api/changes") as stream:
        await stream.next("ready")
        fault = cluster.fail("GET", status=503, times=10_000)
        cluster.break_watches()
        _, data = await stream.next("trouble")
        assert data["text"].startswith("no contact for ")
        cluster.faults.remove(fault)
        _, data = await stream.next("trouble")
        assert data["text"] == ""


@pytest.mark.anyio
async def test_what_is_lost_of_a_log_is_a_line_that_says_so(cluster: Cluster):
    async with running(cluster) as runner, board_over(cluster) as (board, pods):
        pod = await runner.launch(workload(0))
        cluster.logs[pod.name] = ["2026-11-28T10:00:00.000000000Z one"]
        cluster.run(pod.name)
        await until(lambda: (shown := pods.get(pod.uid)) is not None and shown.record.status == "Running")
        app = make_app(board, OPEN)
        async with streaming(app, f"/api/pods/{pod.uid}/log") as stream:
            assert await stream.next("lines") == ("lines", ["one"])
            cluster.remove(pod.name)
            _, (said,) = await stream.next("lines")
            assert said.startswith("*** Log gap in container base (unavailable), after 2026-11-28T10:00:00")
            assert await stream.next() == ("end", {})
        assert (await get(app, f"/api/pods/{pod.uid}/log")).status == 404
