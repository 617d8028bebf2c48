"""P7, P8, P9: sidecars that run on, logs that race the status, nodes that stop reporting. End to end on a cluster."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from podrunner import AsyncPodRunner, Category, EventKind, Fault, RunnerConfig, Workload
from podrunner.testing.faults import FaultProxy, Faults
from tests.support.waiting import until

if TYPE_CHECKING:
    import httpx

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


def job(script: str = "true", **fields: Any) -> Workload:
    fields = {"termination_grace_period_s": 1, **fields}
    return Workload(key={"job": uuid.uuid4().hex}, command=["sh", "-c", script], **fields)


def scripted(**life: object) -> dict[str, str]:
    return {"local.podrunner.io/script": json.dumps(life)}


def ends(runner: AsyncPodRunner) -> list[str]:
    return [event.uid for event in runner.poll_events() if event.kind is EventKind.FINISHED]


SIDECAR = {"name": "proxy", "command": ["sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.1; done"]}


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(("exit_code", "category"), [(0, Category.SUCCEEDED), (3, Category.FAILED)])
async def test_a_sidecar_does_not_keep_the_work(
    cluster, quick: RunnerConfig, namespace: str, exit_code: int, category: Category, *, native: bool
):
    """P7: the main container decides.

    A plain container beside it would run for ever; it is ended with the pod, also where failed pods are kept. A native
    sidecar is ended by the kubelet.
    """
    sidecar = {**SIDECAR, "image": cluster.image}
    part = "initContainers" if native else "containers"
    pod_spec = {part: [{**sidecar, "restartPolicy": "Always"} if native else sidecar]}
    async with AsyncPodRunner(quick, on_exit="cancel") as runner:
        work = job(f"sleep 0.2; exit {exit_code}", overrides={"spec": pod_spec})
        pod = await runner.launch(work)
        outcome = await pod.wait(50)
        assert (outcome.category, outcome.exit_code, outcome.container) == (category, exit_code, "base")
        path = f"/api/v1/namespaces/{namespace}/pods/{pod.name}"
        with cluster.http() as http:
            await until(lambda: _is_over(http, path))
        assert ends(runner) == [pod.uid]


def _is_over(http: httpx.Client, path: str) -> bool:
    answer = http.get(path)
    return answer.status_code == 404 or answer.json()["status"]["phase"] in {"Succeeded", "Failed"}


@pytest.mark.parametrize("spoil", ["whole", "truncated", "gone"])
async def test_the_log_never_decides(quick: RunnerConfig, proxy: FaultProxy, faults: Faults, spoil: str):
    """P8; no code leads from a log to an outcome; one that settles a success in `end_reading` was seen not to end well.

    The log is read to its end, or ends too early, or cannot be had, while the watch says nothing; and it lies.
    """
    async with AsyncPodRunner(quick, on_exit="cancel") as runner:
        await runner.wait_synced()
        if spoil == "truncated":
            faults.on("GET", "pods/log").truncate(after_bytes=20, times=None)
        if spoil == "gone":
            faults.on("GET", "pods/log").answer(404, times=None)
        pod = await runner.launch(
            job(
                "echo SUCCESS; echo Command exited with return code 0; until [ -e go ]; do sleep 0.05; done; exit 3"
            )
        )
        await until(lambda: pod.timeline.started)
        faults.on("GET", "pods").answer(500, times=None)
        proxy.cut()
        await pod.exec(["touch", "go"])
        with anyio.move_on_after(2):
            async for _ in pod.logs():
                pass
        assert pod.outcome is None
        assert ends(runner) == []
        faults.clear()
        outcome = await pod.wait(50)
        assert (outcome.category, outcome.exit_code) == (Category.FAILED, 3)
        assert ends(runner) == [pod.uid]


NODE = {
    "phase Unknown": {"phase": "Unknown"},
    "NodeLost": {"reason": "NodeLost", "message": "Node x which was running pod y is unresponsive"},
}


@pytest.mark.parametrize("status", NODE.values(), ids=NODE)
async def test_a_silent_node_is_waited_for_and_then_lost(
    cluster, quick: RunnerConfig, namespace: str, status: dict[str, str]
):
    """P9: the pod is deleted by force: nothing else can end it."""
    async with lost_soon(cluster, quick) as runner:
        pod = await runner.launch(job(annotations=scripted(running_s=None, terminating_s=3600)))
        await until(lambda: pod.timeline.started)
        path = f"/api/v1/namespaces/{namespace}/pods/{pod.name}"
        with cluster.http() as http:
            write_status(http, path, status)
            outcome = await pod.wait(50)
            assert (outcome.category, outcome.fault) == (Category.NODE_LOST, Fault.INFRASTRUCTURE)
            assert (outcome.started, outcome.retryable) == (True, True)
            assert http.get(path).status_code == 404
        assert ends(runner) == [pod.uid]


async def test_a_node_that_comes_back_in_time_costs_nothing(cluster, quick: RunnerConfig, namespace: str):
    """P9: within the grace."""
    async with lost_soon(cluster, quick, node_lost_grace_s=30) as runner:
        pod = await runner.launch(job(annotations=scripted(running_s=4.0, exit_code=4)))
        await until(lambda: pod.timeline.started)
        with cluster.http() as http:
            write_status(http, f"/api/v1/namespaces/{namespace}/pods/{pod.name}", NODE["NodeLost"])
        assert (await pod.wait(50)).exit_code == 4


@pytest.mark.parametrize("finalizers", [[], ["example.com/hold"]], ids=["dead node", "finalizer"])
async def test_terminating_for_ever_is_lost_in_the_end(
    cluster, quick: RunnerConfig, namespace: str, finalizers: list[str]
):
    """P9: deleted by another client, on a node that never answers.

    A finalizer holds it even against force: the outcome is reported after a moment (`_patience_with_deletion_s`).
    """
    async with lost_soon(cluster, quick) as runner:
        pod = await runner.launch(job(annotations=scripted(running_s=None, terminating_s=3600)))
        await until(lambda: pod.timeline.started)
        path = f"/api/v1/namespaces/{namespace}/pods/{pod.name}"
        with cluster.http() as http:
            merge(http, path, {"metadata": {"finalizers": finalizers}})
            http.request("DELETE", path, json={"gracePeriodSeconds": 1}).raise_for_status()
            outcome = await pod.wait(50)
            assert outcome.category is Category.NODE_LOST
            assert (outcome.reason, outcome.started) == ("Terminating", True)
            merge(http, path, {"metadata": {"finalizers": []}})
        assert ends(runner) == [pod.uid]


def lost_soon(cluster: Any, quick: RunnerConfig, **settings: object) -> AsyncPodRunner:
    """A runner that takes a pod for lost after half a second."""
    if cluster.local is None:
        pytest.skip("scripted lives are a LocalCluster's; tests/cluster stops real nodes")
    config = quick.with_changes(**{"node_lost_grace_s": 0.5, "force_delete_lost": True, **settings})
    return AsyncPodRunner(config, on_exit="cancel")


def write_status(http: httpx.Client, path: str, status: dict[str, str]) -> None:
    """As the node controller does it."""
    merge(http, f"{path}/status", {"status": status})


def merge(http: httpx.Client, path: str, patch: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    http.patch(path, content=json.dumps(patch), headers=headers)
