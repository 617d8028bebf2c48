"""The kubelet is killed, and is not started again for some time."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from podrunner import AsyncPodRunner, Category, Fault

sys.path.insert(0, str(Path(__file__).parent))
from simulated import simulated_node

pytestmark = [pytest.mark.anyio, pytest.mark.disturbing, pytest.mark.timeout(600)]

SOON = [
    {
        "key": f"node.kubernetes.io/{state}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 1,
    }
    for state in ("unreachable", "not-ready")
]
"""Kubernetes' default is 300 s."""


@pytest.fixture
def another_node(node, kwok, admin):
    """Create a second, healthy node: if all are unreachable, Kubernetes suspects the network and evicts no pod."""
    with simulated_node(node, admin):
        deadline = time.monotonic() + 120
        while any(_is_tainted(one) for one in admin.get("/api/v1/nodes").raise_for_status().json()["items"]):
            assert time.monotonic() < deadline, "the node controller does not see the nodes"
            time.sleep(0.1)
        yield


def _is_tainted(node):
    """Return whether a node is tainted: a new one is ``not-ready`` until the node controller has seen it."""
    return any(taint["key"].startswith("node.kubernetes.io/") for taint in node["spec"].get("taints", ()))


async def test_an_unreachable_node(config, workload, node, another_node, pods):
    """P9: a pod on a dead node is Terminating for ever; after a grace period it counts as lost, and goes if forced."""
    soon = config.with_changes(node_lost_grace_s=3)
    async with (
        AsyncPodRunner(soon, on_exit="detach") as waiting,
        AsyncPodRunner(soon.with_changes(force_delete_lost=True), on_exit="detach") as forceful,
    ):
        stays, goes = [
            await runner.launch(workload("sleep 600", tolerations=SOON, termination_grace_period_s=2))
            for runner in (waiting, forceful)
        ]
        with anyio.fail_after(120):
            while (stays.status, goes.status) != ("Running", "Running"):
                await anyio.sleep(0.1)
        await to_thread.run_sync(node.kill, "kubelet")
        for pod in (stays, goes):
            outcome = await pod.wait(200)
            assert (outcome.category, outcome.fault) == (Category.NODE_LOST, Fault.INFRASTRUCTURE)
            assert (outcome.started, outcome.retryable) == (True, True)
        remaining = await to_thread.run_sync(pods)
    assert [pod["metadata"]["name"] for pod in remaining] == [stays.name]
