"""Many pods cost one watch, and a restart among many floods no reader. In virtual time."""

from __future__ import annotations

from collections import Counter

import anyio
import pytest
from tests.support.event_loops import virtual_time
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio


anyio_backend = virtual_time


async def test_one_watch_serves_a_runner_however_many_pods_it_has(cluster: Cluster):
    """W12."""
    async with running(cluster, delete_pods=False) as runner:
        await runner.launch_many(workload(number) for number in range(200))
        before = cluster.count("GET", "/pods")
        for _, name in list(cluster.pods):
            cluster.run(name)
        for _ in range(10):
            await anyio.sleep(30)
            cluster.bookmark()
        cluster.play_all()
        await runner.wait_all(10)
        reads = [target for _, method, target in cluster.requests if method == "GET" and "/pods" in target]
        assert not [target for target in reads if "/pods/" in target]
        assert cluster.count("GET", "/pods") - before <= 2  # the server ends a watch after 290 s
        assert len(cluster.watches) == 1


async def test_a_restart_among_many_pods_floods_no_reader(cluster: Cluster):
    """W14."""
    count, limit = 120, 10
    async with running(cluster, on_exit="detach") as first:
        await first.launch_many(workload(number) for number in range(count))
    names = [name for _, name in cluster.pods]
    for name in names[: count // 2]:
        cluster.play(name)
    settings = {"event_queue_size": limit, "watch": {"page_size": 20}, "delete_pods": False}
    async with running(cluster, **settings) as runner:
        seen = len(cluster.requests)
        adopted = await runner.adopt()
        assert len(adopted) == count
        lists = [
            target
            for _, method, target in cluster.requests[seen:]
            if "/pods?" in target and "watch" not in target
        ]
        assert len(lists) >= count // 20
        assert all("limit=20" in target for target in lists)
        for turn in range(20):
            for name in names[count // 2 :]:
                cluster.change(name, status={"phase": "Pending", "reason": f"Turn{turn}"})
            await anyio.sleep(0.1)
        health = runner.health()
        assert health.events_waiting <= limit + 2 * count
        assert health.events_coalesced >= 18 * count // 2
        for name in names[count // 2 :]:
            cluster.play(name)
        await until(lambda: all(pod.outcome for pod in adopted), within_s=30)
        finished = Counter(event.uid for event in runner.poll_events() if event.kind == "finished")
        assert finished == Counter({pod.uid: 1 for pod in adopted})
