"""The watch over a faulty connection, end to end: one outcome per pod, the true one, and few requests."""

from __future__ import annotations

import uuid
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from podrunner import AsyncPodRunner, Category, EventKind, RunnerConfig, Workload
from podrunner.builder.labels import OWNER
from podrunner.errors import StaleError
from podrunner.kube import connect
from podrunner.testing.faults import FaultProxy, Faults, TcpProxy, compact
from tests.contract.faults.conftest import through
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from podrunner import AsyncPod, RunnerEvent

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


def job(script: str, **fields) -> Workload:
    fields = {"termination_grace_period_s": 1, **fields}
    return Workload(key={"job": uuid.uuid4().hex}, command=["sh", "-c", script], **fields)


@asynccontextmanager
async def running(config: RunnerConfig) -> AsyncIterator[AsyncPodRunner]:
    async with AsyncPodRunner(config, on_exit="cancel") as runner:
        await runner.wait_synced()
        yield runner


WAIT_FOR_GO = "until [ -e go ]; do sleep 0.1; done"
GO = ["touch", "go"]


def ends(runner: AsyncPodRunner) -> Counter[str]:
    """How many outcomes each pod had."""
    events: list[RunnerEvent] = runner.poll_events()
    return Counter(event.uid for event in events if event.kind is EventKind.FINISHED)


async def let_go(config: RunnerConfig, pod: AsyncPod) -> None:
    """Let a pod end, by a connection of its own, to which nothing happens."""
    async with connect(config) as client:
        assert (await client.run_exec(pod.namespace, pod.name, GO)).exit_code == 0


async def runs(pod: AsyncPod) -> None:
    await until(lambda: pod.timeline.started)


@pytest.mark.parametrize("how", ["gone", "gone_in_stream"])
async def test_an_expired_version_is_no_failure(quick: RunnerConfig, proxy: FaultProxy, how: str):
    """W1."""
    async with running(quick) as runner:
        pods = [await runner.launch(job(f"sleep 0.3; exit {n}")) for n in range(3)]
        getattr(proxy.faults.on("GET", "pods", watch=True), how)(times=2)
        proxy.cut()
        outcomes = [await pod.wait(50) for pod in pods]
        assert [outcome.exit_code for outcome in outcomes] == [0, 1, 2]
        await until(lambda: runner.health().relists >= 1)
        assert max(ends(runner).values()) == 1


async def test_a_compacted_history_is_no_failure(cluster, quick: RunnerConfig, proxy: FaultProxy):
    """W1, by a real compaction while no watch is connected."""
    if cluster.local is None:
        pytest.skip("only a LocalCluster is compacted on demand")
    async with running(quick) as runner:
        pod = await runner.launch(job("sleep 0.2; exit 3"))
        with proxy.outage():
            await anyio.sleep(0.4)
            compact(cluster.local)
        assert (await pod.wait(50)).exit_code == 3
        assert set(ends(runner).values()) == {1}


@pytest.mark.parametrize("way", ["tcp", "http"])
async def test_a_half_open_connection_is_left(
    config: RunnerConfig, tcp: TcpProxy, proxy: FaultProxy, way: str
):
    """W2, with TLS and without."""
    line = tcp if way == "tcp" else proxy
    async with running(through(config, line.kubeconfig)) as runner:
        pod = await runner.launch(job(f"{WAIT_FOR_GO}; exit 4"))
        await runs(pod)
        assert line.freeze() >= 1
        await let_go(config, pod)
        assert (await pod.wait(50)).exit_code == 4
        assert runner.health().reconnects >= 1
        line.cut()  # the end of TLS waits for the other side


async def test_repeated_events_are_reported_once(quick: RunnerConfig, faults: Faults, proxy: FaultProxy):
    """W3: every event thrice, and a list from before the end; held by the store, its tombstones and the supervisor."""
    faults.on("GET", "pods", watch=True).repeat_events(3, times=None)
    async with running(quick) as runner:
        pods = [await runner.launch(job(f"exit {n}")) for n in range(4)]
        assert [(await pod.wait(50)).exit_code for pod in pods] == [0, 1, 2, 3]
        faults.on("GET", "pods", watch=True).gone(times=1)
        faults.on("GET", "pods", watch=False, name="").outdated(times=2)
        proxy.cut()
        await anyio.sleep(0.6)
        assert set(ends(runner).values()) == {1}


async def test_a_foreign_pod_with_our_label_is_skipped(cluster, quick: RunnerConfig, namespace: str):
    """W4."""
    async with running(quick) as runner:
        with cluster.http() as http:
            manifest = {
                "metadata": {"name": "foreign", "labels": {OWNER: runner.owner}},
                "spec": {"containers": [{"name": "c", "image": cluster.image, "command": ["true"]}]},
            }
            http.post(f"/api/v1/namespaces/{namespace}/pods", json=manifest).raise_for_status()
        await until(lambda: runner.health().skipped)
        assert (await (await runner.launch(job("exit 0"))).wait(50)).succeeded
        assert runner.health().pods <= 1


async def test_a_pod_deleted_between_two_lists_is_reported(
    cluster, quick: RunnerConfig, proxy: FaultProxy, namespace: str
):
    """W5, W7."""
    async with running(quick) as runner:
        pod = await runner.launch(job("sleep 60"))
        await runs(pod)
        with proxy.outage(), cluster.http() as http:
            http.request(
                "DELETE", f"/api/v1/namespaces/{namespace}/pods/{pod.name}", json={"gracePeriodSeconds": 0}
            )
            if cluster.local is not None:
                compact(cluster.local)
        outcome = await pod.wait(50)
        assert (outcome.category, outcome.started) == (Category.DELETED_BY_OTHERS, True)
        assert set(ends(runner).values()) == {1}


async def test_a_success_in_the_last_event_counts(
    cluster, config: RunnerConfig, quick: RunnerConfig, proxy: FaultProxy, namespace: str
):
    """W6: it ends and is deleted while the connection is down.

    That the DELETED event's own status counts is tested in tests/unit/watch/test_reflector.py, where nothing else is.
    """
    async with running(quick) as runner:
        pod = await runner.launch(job(f"{WAIT_FOR_GO}; exit 0"))
        await runs(pod)
        with proxy.outage(), cluster.http() as http:
            await let_go(config, pod)
            path = f"/api/v1/namespaces/{namespace}/pods/{pod.name}"
            await until(lambda: http.get(path).json()["status"]["phase"] == "Succeeded")
            http.delete(path)
        assert (await pod.wait(50)).succeeded


async def test_stale_knowledge_is_raised_and_recovers(quick: RunnerConfig, proxy: FaultProxy):
    """W8: nothing is inferred from lists that fail."""
    async with running(quick) as runner:
        pod = await runner.launch(job(f"{WAIT_FOR_GO}; exit 5"))
        await runs(pod)
        proxy.faults.on("GET", "pods*").answer(500, times=None)
        proxy.cut()
        await until(lambda: runner.health().stale)
        with pytest.raises(StaleError, match="interrupted"):
            _ = pod.status
        assert pod.outcome is None
        proxy.faults.clear()
        await pod.exec(GO)
        assert (await pod.wait(50)).exit_code == 5
        await until(lambda: not runner.health().stale)


async def test_same_name_made_anew_is_another_pod(
    cluster, quick: RunnerConfig, proxy: FaultProxy, namespace: str
):
    """W9."""
    async with running(quick) as runner:
        pod = await runner.launch(job("sleep 60"))
        await runs(pod)
        path = f"/api/v1/namespaces/{namespace}/pods"
        with proxy.outage(), cluster.http() as http:
            old = http.get(f"{path}/{pod.name}").json()
            http.request("DELETE", f"{path}/{pod.name}", json={"gracePeriodSeconds": 0})
            meta = {name: old["metadata"][name] for name in ("name", "labels", "annotations")}
            container = {"name": "base", "image": cluster.image, "command": ["true"]}
            twin = {"metadata": meta, "spec": {"containers": [container], "restartPolicy": "Never"}}
            await until(lambda: http.post(path, json=twin).status_code == 201)
            if cluster.local is not None:
                compact(cluster.local)
        assert (await pod.wait(50)).category is Category.DELETED_BY_OTHERS


@pytest.mark.parametrize(
    ("status", "body", "retry_after_s"),
    [
        (500, "no leader", None),
        (429, "<html>slow down", 1),
        (200, "", None),
        (200, "\x00<html>", None),
        (503, "", None),
    ],
)
async def test_a_broken_server_is_asked_now_and_then(
    quick: RunnerConfig, proxy: FaultProxy, faults: Faults, status: int, body: str, retry_after_s: int | None
):
    """W10."""
    async with running(quick) as runner:
        pod = await runner.launch(job("sleep 0.2; exit 6"))
        faults.on("GET", "pods").answer(status, body, retry_after_s=retry_after_s, times=None)
        proxy.cut()
        before = faults.requests["WATCH", "pods"] + faults.requests["GET", "pods"]
        await anyio.sleep(1.5)
        asked = faults.requests["WATCH", "pods"] + faults.requests["GET", "pods"] - before
        # Waits of 0.025, 0.05, 0.1 and then 0.2 s at least; a 429 is asked again after its second.
        assert 1 <= asked <= (3 if status == 429 else 14)
        faults.clear()
        assert (await pod.wait(50)).exit_code == 6


@pytest.mark.parametrize(
    "spoil",
    [
        lambda on: on.cut(after_events=1, times=4),
        lambda on: on.cut(after_bytes=900, times=4),
        lambda on: on.truncate(after_events=1, times=4),
        lambda on: on.truncate(after_bytes=1500, times=4),
        lambda on: on.garbage(times=4),
        lambda on: on.garbage(b'{"type":"MODIFIED","object":[]}\n{"type"\n', times=4),
        lambda on: on.stall(after_events=1, times=2),
        lambda on: on.slow(20_000, times=2),
        lambda on: on.hang(times=1),
        lambda on: on.delay(0.3, times=2),
        lambda on: on.drop(times=4),
    ],
    ids=[
        "cut-event",
        "cut",
        "truncate-event",
        "truncate",
        "garbage",
        "no-pods",
        "stall",
        "slow",
        "hang",
        "delay",
        "drop",
    ],
)
async def test_nothing_on_the_wire_ends_the_watch(quick: RunnerConfig, proxy: FaultProxy, spoil):
    """W11, half an object and worse. The loop expects all of these; nothing single that is switched off fails here.

    That an unexpected error does not end it either is tested in tests/unit/watch/test_reflector.py.
    """
    async with running(quick) as runner:
        spoil(proxy.faults.on("GET", "pods", watch=True))
        proxy.cut()
        pods = [await runner.launch(job(f"sleep 0.1; exit {n}")) for n in range(3)]
        assert [(await pod.wait(50)).exit_code for pod in pods] == [0, 1, 2]
        assert set(ends(runner).values()) == {1}
