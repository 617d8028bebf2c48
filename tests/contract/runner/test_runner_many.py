"""A thousand short pods: one outcome each, none lost, none twice, all deleted."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from podrunner import AsyncPodRunner, Category, Workload
from podrunner.config import RunnerConfig
from tests.support.event_loops import asyncio_only

anyio_backend = asyncio_only


@pytest.mark.anyio
@pytest.mark.timeout(180)
async def test_a_thousand_scripted_pods(config: RunnerConfig, cluster):
    if not cluster.is_local:
        pytest.skip("scripted lives are LocalCluster's")
    lives = [json.dumps({"running_s": 0.01, "exit_code": code}) for code in (0, 0, 0, 1)]
    workloads = [
        Workload(
            key={"n": str(n)},
            command=["true"],
            annotations={"local.podrunner.io/script": lives[n % len(lives)]},
        )
        for n in range(1000)
    ]
    here = config.model_copy(update={"delete_pods_on_failure": True})
    async with AsyncPodRunner(here) as runner, runner.events() as events:
        pods = await runner.launch_many(workloads)
        assert not pods.errors
        await runner.wait_all(120)
        finished = Counter(event.uid for event in events.poll() if event.kind == "finished")
        assert set(finished.values()) == {1}
        assert finished.keys() == {pod.uid for pod in pods}
        outcomes = Counter(str(pod.outcome.category) for pod in pods if pod.outcome)
        assert outcomes == {str(Category.SUCCEEDED): 750, str(Category.FAILED): 250}
        assert runner.health().active == 0
    with cluster.http() as http:
        left = http.get(f"/api/v1/namespaces/{config.namespace}/pods").json()["items"]
    assert left == []
