"""Spot nodes first, on-demand nodes after two preemptions, and nodes with GPUs. It needs no cluster.

The pods' lives are scripted: those on spot nodes are preempted. Labels and taints are those of your provider's pools.
"""

from __future__ import annotations

import asyncio
from typing import Any

import podrunner
from podrunner.kube import connect

SPOT: dict[str, Any] = {
    "labels": {"pool": "spot"},
    "node_selector": {"pool/spot": "true"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
}
ON_DEMAND: dict[str, Any] = {"labels": {"pool": "on-demand"}, "node_selector": {"pool/on-demand": "true"}}
GPU: dict[str, Any] = {
    "labels": {"pool": "gpu"},
    "node_selector": {"pool/gpu": "true"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    "resources": podrunner.Resources(cpu_request="100m", gpu=1),
}
TAKEN_AWAY = {podrunner.Category.PREEMPTED, podrunner.Category.EVICTED, podrunner.Category.NODE_LOST}
TWICE = podrunner.RetryPolicy(attempts=2, wait=0.1)  # by default only what the infrastructure ended


async def cheaply(runner: podrunner.AsyncPodRunner, task: str) -> podrunner.Outcome:
    """Run a task on spot nodes; if these are taken away twice, its next attempt runs on an on-demand node."""
    run = runner.run(podrunner.Workload(key={"task": task}, command=["work"], **SPOT), retry=TWICE)
    outcome = await run
    print("spot:", [str(pod.result().category) for pod in run.pods])  # spot: ['preempted', 'preempted']
    if outcome.category in TAKEN_AWAY:
        next_key = run.pods[-1].key.next_attempt()
        outcome = await runner.run(podrunner.Workload(key=next_key, command=["work"], **ON_DEMAND))
    return outcome


async def main() -> None:
    """Run one task on each kind of pool."""
    async with podrunner.LocalCluster(capacity={"nvidia.com/gpu": "1"}) as cluster:
        config = podrunner.RunnerConfig(kubeconfig=cluster.kubeconfig, image="work:1")
        await one_node_for_all_pools(config)
        preempted = podrunner.Lifecycle(running_s=0.1, pod_reason="Preempting", pod_message="Preempted")
        cluster.script({"pool": "spot"}, preempted)
        cluster.script({"pool": "on-demand"}, podrunner.Lifecycle(running_s=0.1))
        cluster.script({"pool": "gpu"}, podrunner.Lifecycle(running_s=0.1))
        async with podrunner.AsyncPodRunner(config) as runner:
            print("report:", (await cheaply(runner, "report")).category)  # report: succeeded
            train = await runner.launch(podrunner.Workload(key={"task": "train"}, command=["work"], **GPU))
            print("train:", (await train).category)  # train: succeeded


async def one_node_for_all_pools(config: podrunner.RunnerConfig) -> None:
    """Make the one node of a LocalCluster a member of each pool; on a real cluster the provider has done so."""
    labels = {"pool/spot": "true", "pool/on-demand": "true", "pool/gpu": "true"}
    async with connect(config) as client:
        (node,) = (await client.call("GET", "/api/v1/nodes"))["items"]
        path = f"/api/v1/nodes/{node['metadata']['name']}"
        merge = "application/merge-patch+json"
        await client.call("PATCH", path, body={"metadata": {"labels": labels}}, content_type=merge)


asyncio.run(main())
