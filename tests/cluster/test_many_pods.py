"""Many pods at once: every outcome, every line, no object remains; and the API calls per pod."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from podrunner import AsyncPodRunner, Workload

sys.path.insert(0, str(Path(__file__).parent))
from counting import counted_client, summary
from simulated import PLACEMENT, simulated_node

pytestmark = pytest.mark.anyio

REAL = 200
SIMULATED = 5_000
AT_ONCE = 40
"""Real pods at a time: each needs a shim and a sandbox on the node."""


async def outcomes_of(config, workloads):
    async with counted_client(config) as (client, calls):
        async with AsyncPodRunner(config, client=client) as runner:
            launched = [runner.submit(workload) for workload in workloads]
            outcomes = [await pod.wait() for pod in launched]
        return outcomes, {pod.uid for pod in launched}, calls


def cpu_s(node) -> dict[str, float]:
    return {
        "this process": time.process_time(),
        **{name: node.cpu_s(name) for name in ("kube-apiserver", "etcd")},
    }


@pytest.mark.timeout(420)
async def test_200_real_pods(config, namespace, pods, admin, tmp_path, capsys):
    """200 outcomes, complete logs, and no object remains."""
    script = "i=0; while [ $i -lt 20 ]; do echo line $i of $NUMBER; i=$((i+1)); done"
    workloads = [
        Workload(key={"n": str(n)}, command=["sh", "-c", script], env={"NUMBER": str(n)}, log_path=f"{n}.log")
        for n in range(REAL)
    ]
    changed = config.with_changes(max_active_pods=AT_ONCE, logs={"folder": tmp_path})
    began = time.monotonic()
    outcomes, uids, calls = await outcomes_of(changed, workloads)
    took_s = time.monotonic() - began
    with capsys.disabled():
        print(f"\n{REAL} real pods in {took_s:.0f} s: {summary(calls, REAL)}")
    assert [outcome.succeeded for outcome in outcomes] == [True] * REAL
    assert len(uids) == REAL
    for n in range(REAL):
        assert (tmp_path / f"{n}.log").read_text().splitlines() == [f"line {i} of {n}" for i in range(20)]
    assert pods() == []
    leases = admin.get(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases").json()["items"]
    assert leases == []
    assert list(admin.get(f"/api/v1/namespaces/{namespace}/secrets").json()["items"]) == []


@pytest.mark.timeout(900)
async def test_simulated_pods(config, node, kwok, admin, pods, capsys):
    """All outcomes, with few calls per pod."""
    workloads = [Workload(key={"n": str(n)}, command=["true"], **PLACEMENT) for n in range(SIMULATED)]
    with simulated_node(node, admin):
        began, used_s = time.monotonic(), cpu_s(node)
        outcomes, uids, calls = await outcomes_of(config.with_changes(logs={"follow": "off"}), workloads)
        took_s = time.monotonic() - began
        cpu_ms = {name: (now_s - used_s[name]) * 1e3 / SIMULATED for name, now_s in cpu_s(node).items()}
    with capsys.disabled():
        print(
            f"\n{SIMULATED} simulated pods in {took_s:.0f} s: {summary(calls, SIMULATED)}; CPU a pod: ",
            end="",
        )
        print(", ".join(f"{name} {ms:.1f} ms" for name, ms in cpu_ms.items()))
    assert [outcome.succeeded for outcome in outcomes] == [True] * SIMULATED
    assert len(uids) == SIMULATED
    assert pods() == []
