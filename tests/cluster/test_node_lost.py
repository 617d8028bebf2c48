"""The kubelet is killed -9, and does not come back for a while."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from podrunner import AsyncPodRunner, Category, Fault

sys.path.insert(0, str(Path(__file__).parent))
from simulated import simulated_node

pytestmark = [pytest.mark.anyio, pytest.mark.disturbing, pytest.mark.timeout(200)]

SOON = [
    {
        "key": f"node.kubernetes.io/{state}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 1,
    }
    for state in ("unreachable", "not-ready")
]
"""Kubernetes' own patience is 300 s."""


@pytest.fixture
def another_node(node, kwok, admin):
    """A healthy node beside: where all are silent, Kubernetes suspects the network and evicts nobody."""
    with simulated_node(node, admin):
        yield


async def test_a_silent_node(config, workload, node, another_node, monkeypatch):
    """P9: Terminating for ever on a dead node; after a bounded wait the pod is taken for lost."""
    monkeypatch.setattr("podrunner.runner.patience.NODE_LOST_GRACE_S", 3.0)
    monkeypatch.setattr("podrunner.runner.supervision._DELETION_MARGIN_S", 5.0)
    async with AsyncPodRunner(config, on_exit="detach") as runner:
        pod = await runner.launch(workload("sleep 600", tolerations=SOON, termination_grace_period_s=2))
        with anyio.fail_after(60):
            while pod.status != "Running":
                await anyio.sleep(0.1)
        await to_thread.run_sync(node.kill, "kubelet")
        outcome = await pod.wait(120)
        assert (outcome.category, outcome.fault) == (Category.NODE_LOST, Fault.INFRASTRUCTURE)
        assert (outcome.started, outcome.retryable) == (True, True)
