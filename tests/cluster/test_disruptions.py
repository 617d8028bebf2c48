"""Pods that are evicted or preempted before or while they work."""

from __future__ import annotations

import uuid

import anyio
import pytest
from podrunner import AsyncPodRunner, Category, Fault

pytestmark = pytest.mark.anyio


async def evict(admin, pod) -> None:
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": {"gracePeriodSeconds": 1},
    }
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
    admin.post(path, json=body).raise_for_status()


async def until(pod, *statuses: str) -> None:
    with anyio.fail_after(120):
        while pod.status not in statuses:
            await anyio.sleep(0.05)


async def test_evicted_while_it_works(config, workload, admin):
    """P4: by the eviction API, as a drain uses it."""
    async with AsyncPodRunner(config) as runner:
        pod = await runner.launch(workload("sleep 600", termination_grace_period_s=1))
        await until(pod, "Running")
        await evict(admin, pod)
        outcome = await pod.wait(150)
    assert (outcome.category, outcome.fault, outcome.started) == (
        Category.EVICTED,
        Fault.INFRASTRUCTURE,
        True,
    )
    assert outcome.retryable


async def test_evicted_before_it_works(config, workload, admin):
    """P4: the user's code did not run, so no try is charged."""
    async with AsyncPodRunner(config) as runner:
        pod = await runner.launch(
            workload("true", image="localhost/nowhere:1", image_pull_policy="IfNotPresent")
        )
        await until(pod, "ErrImagePull", "ImagePullBackOff")
        await evict(admin, pod)
        outcome = await pod.wait(150)
    assert (outcome.category, outcome.fault, outcome.started) == (
        Category.EVICTED,
        Fault.INFRASTRUCTURE,
        False,
    )


@pytest.fixture
def urgent(admin):
    """Create a PriorityClass above the default and return its name."""
    name = f"urgent-{uuid.uuid4().hex[:8]}"
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    admin.post(path, json={"metadata": {"name": name}, "value": 1_000_000}).raise_for_status()
    yield name
    admin.delete(f"{path}/{name}").raise_for_status()


@pytest.fixture
def most_cpu(admin) -> str:
    """Return more than half of the node's CPU: two such pods do not fit."""
    nodes = admin.get("/api/v1/nodes").json()["items"]
    if len(nodes) > 1:
        pytest.skip("counts on a single node")
    return f"{int(float(nodes[0]['status']['allocatable']['cpu']) * 600)}m"


async def test_preempted_by_priority(config, workload, urgent, most_cpu):
    """P5: the scheduler preempts the pod for one of higher priority."""
    big = {"cpu_request": most_cpu}
    async with AsyncPodRunner(config) as runner:
        victim = await runner.launch(workload("sleep 600", resources=big, termination_grace_period_s=1))
        await until(victim, "Running")
        winner = await runner.launch(workload("true", resources=big, priority_class_name=urgent))
        lost = await victim.wait(150)
        assert (await winner.wait(150)).succeeded
    assert (lost.category, lost.fault, lost.started) == (Category.PREEMPTED, Fault.INFRASTRUCTURE, True)
