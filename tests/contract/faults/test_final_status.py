"""Ends that the watch shows late or never: shown by the answer to a deletion, or by the kubelet's second write."""

from __future__ import annotations

import json
import uuid
from typing import Any

import anyio
import pytest
from podrunner import AsyncPodRunner, Category, Fault, RunnerConfig, Workload
from podrunner.builder.labels import REPORTED
from podrunner.testing.faults import FaultProxy, compact
from tests.support.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.processes]

RUNS_ON = {"local.podrunner.io/script": json.dumps({"running_s": None})}


def job(script: str = "true", **fields: Any) -> Workload:
    fields = {"termination_grace_period_s": 1, **fields}
    return Workload(key={"job": uuid.uuid4().hex}, command=["sh", "-c", script], **fields)


@pytest.mark.parametrize(("exit_code", "category"), [(0, Category.SUCCEEDED), (7, Category.FAILED)])
async def test_what_had_ended_before_it_was_cancelled_keeps_its_end(
    cluster, quick: RunnerConfig, proxy: FaultProxy, namespace: str, exit_code: int, category: Category
):
    """P3: no watch or list ever shows the end."""
    end = f"/tmp/podrunner-{uuid.uuid4().hex}"
    script = f"until rm {end} 2>/dev/null; do sleep 0.1; done; exit {exit_code}"
    async with AsyncPodRunner(quick, on_exit="cancel") as runner:
        await runner.wait_synced()
        pod = await runner.launch(job(script))
        await until(lambda: pod.timeline.started)
        proxy.faults.on("GET", "pods").answer(500, times=None)
        proxy.cut()
        assert (await pod.exec(["touch", end])).exit_code == 0
        path = f"/api/v1/namespaces/{namespace}/pods/{pod.name}"
        with cluster.http() as http:
            await until(lambda: http.get(path).json()["status"]["phase"] in {"Succeeded", "Failed"})
        assert pod.outcome is None
        await pod.cancel()
        outcome = await pod.wait(50)
        assert (outcome.category, outcome.exit_code) == (category, exit_code)
        with cluster.http() as http:
            # It ended by itself, so that the configuration decides: a success is deleted, a failure is kept.
            if category is Category.SUCCEEDED:
                await until(lambda: http.get(path).status_code == 404)
            else:
                await until(lambda: REPORTED in http.get(path).json()["metadata"]["annotations"])
        if cluster.local is not None:
            compact(cluster.local)
        proxy.faults.clear()


async def test_an_eviction_in_two_writes_is_an_eviction(cluster, quick: RunnerConfig, namespace: str):
    """P4: the test writes as a kubelet does, in its order."""
    if cluster.local is None:
        pytest.skip("a real kubelet writes its pods' status itself")
    async with AsyncPodRunner(quick, on_exit="cancel") as runner:
        await runner.wait_synced()
        pod = await runner.launch(job(annotations=RUNS_ON))
        await until(lambda: pod.timeline.started)
        path = f"/api/v1/namespaces/{namespace}/pods/{pod.name}/status"
        with cluster.http() as http:
            status = http.get(path.removesuffix("/status")).json()["status"]
            began = status["containerStatuses"][0]["state"]["running"]["startedAt"]
            end = {"exitCode": 137, "reason": "Error", "startedAt": began, "finishedAt": began}
            statuses = [{**status["containerStatuses"][0], "state": {"terminated": end}}]
            patch(http, path, {"containerStatuses": statuses})
            await anyio.sleep(0.5)
            assert pod.outcome is None
            patch(
                http,
                path,
                {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource."},
            )
        outcome = await pod.wait(50)
        assert (outcome.category, outcome.fault) == (Category.EVICTED, Fault.INFRASTRUCTURE)
        assert (outcome.exit_code, outcome.started) == (137, True)


def patch(http: Any, path: str, status: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    http.patch(path, content=json.dumps({"status": status}), headers=headers).raise_for_status()
