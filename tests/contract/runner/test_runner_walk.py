"""The main walk on a cluster: from a workload to a finished pod, its outcome and its log, by both faces."""

from __future__ import annotations

import gc
import socket
import uuid
from contextlib import suppress

import anyio
import httpx
import pytest
from podrunner import (
    AsyncPodRunner,
    Category,
    ClosePolicy,
    EventKind,
    Fault,
    PodRunner,
    Workload,
)
from podrunner.config import RunnerConfig
from podrunner.errors import NotFoundError
from tests.support.event_loops import asyncio_only
from tests.support.waiting import until

pytestmark = [pytest.mark.processes]

SAY = "for i in 1 2 3; do echo line $i; done; "


def shell(name: str, script: str, **fields) -> Workload:
    return Workload(key={"test": name}, command=["sh", "-c", script], **fields)


anyio_backend = asyncio_only


def test_blocking_walk(config: RunnerConfig):
    with PodRunner(config) as runner:
        pod = runner.launch(shell("walk", SAY + "exit 3"))
        assert list(pod.logs()) == ["line 1", "line 2", "line 3"]
        outcome = pod.wait(120)
        assert (outcome.category, outcome.fault, outcome.exit_code) == (Category.FAILED, Fault.WORKLOAD, 3)
        assert outcome.log_tail == ("line 1", "line 2", "line 3")
        assert outcome.timings.run_s is not None
        assert pod.status == "Error"
        pod.delete()


@pytest.mark.anyio
async def test_async_walk(config: RunnerConfig):
    async with AsyncPodRunner(config) as runner, runner.events() as events:
        pod = await runner.launch(shell("walk", SAY))
        assert [line async for line in pod.logs()] == ["line 1", "line 2", "line 3"]
        assert (await pod.wait(120)).succeeded
        kinds = []
        async for event in events:
            kinds.append(event.kind)
            if event.kind is EventKind.DELETED:
                break
        assert [kind for kind in kinds if kind is not EventKind.STATUS_CHANGED] == [
            EventKind.CREATED,
            EventKind.FINISHED,
            EventKind.DELETED,
        ]
        with pytest.raises(NotFoundError):
            await pod.manifest()


@pytest.mark.anyio
async def test_a_log_is_followed_as_it_is_written(config: RunnerConfig):
    """The container writes on only when its first line was read."""
    go = f"/tmp/podrunner-test-{uuid.uuid4().hex}"
    script = f"echo line 1; while [ ! -e {go} ]; do sleep 0.05; done; rm {go}; echo line 2; echo line 3"
    async with AsyncPodRunner(config) as runner:
        pod = await runner.launch(shell("slow", script))
        seen = []
        async for line in pod.logs():
            seen.append(line)
            if line == "line 1":
                assert (await pod.exec(["touch", go])).exit_code == 0
        assert seen == ["line 1", "line 2", "line 3"]


@pytest.mark.anyio
async def test_exec_while_it_runs(config: RunnerConfig):
    async with AsyncPodRunner(config, on_exit=ClosePolicy.CANCEL) as runner:
        pod = await runner.launch(shell("exec", "echo up; exec sleep 600", termination_grace_period_s=1))
        async for line in pod.logs():
            assert line == "up"
            break
        result = await pod.exec(["sh", "-c", "echo inside; exit 4"])
        assert (result.exit_code, result.stdout) == (4, b"inside\n")
        result = await pod.exec(["cat"], stdin=b"to and fro")
        assert result.stdout == b"to and fro"


@pytest.mark.anyio
async def test_cancel_ends_the_process(config: RunnerConfig):
    """C3 on a cluster."""
    async with AsyncPodRunner(config) as runner:
        pod = await runner.launch(shell("cancel", "trap 'echo bye; exit 0' TERM; echo up; sleep 60 & wait"))
        lines = []
        async for line in pod.logs():
            lines.append(line)
            if line == "up":
                await pod.cancel(grace_period_s=25)
        assert lines[:2] == ["up", "bye"]
        outcome = await pod.wait(120)
        assert (outcome.category, outcome.started) == (Category.CANCELLED, True)


@pytest.mark.anyio
async def test_an_error_in_the_body_ends_its_pods(config: RunnerConfig):
    """Promise 4."""
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  # the way out
        async with AsyncPodRunner(config) as runner:
            pods = await runner.launch_many(
                Workload(key={"n": str(n)}, command=["sleep", "600"], termination_grace_period_s=1)
                for n in range(5)
            )
            raise ZeroDivisionError
    assert {pod.outcome.category for pod in pods} == {Category.CANCELLED}


@pytest.mark.anyio
async def test_fifty_processes_with_complete_logs(config: RunnerConfig, tmp_path):
    """Promises 2 and 3 at once: 50 outcomes, 50 whole logs, nothing left."""
    here = config.model_copy(update={"logs": config.logs.model_copy(update={"folder": tmp_path})})
    script = "i=0; while [ $i -lt 200 ]; do echo $N $i; i=$((i+1)); done"
    workloads = [
        Workload(key={"job": str(n)}, command=["sh", "-c", script], env={"N": str(n)}) for n in range(50)
    ]
    async with AsyncPodRunner(here) as runner:
        pods = await runner.launch_many(workloads)
        outcomes = [await pod.wait(300) for pod in pods]
        await runner.wait_all(300)
    assert {outcome.category for outcome in outcomes} == {Category.SUCCEEDED}
    for number, pod in enumerate(pods):
        assert pod.log_path is not None
        text = (tmp_path / pod.log_path).read_text()
        assert text == "".join(f"{number} {i}\n" for i in range(200))


@pytest.mark.anyio
async def test_a_successor_adopts_what_a_runner_left(config: RunnerConfig, tmp_path):
    """A5, and the log goes on where it stopped; the pod does not end before it is adopted."""
    go = f"/tmp/podrunner-test-{uuid.uuid4().hex}"
    here = config.model_copy(update={"logs": config.logs.model_copy(update={"folder": tmp_path})})
    script = (
        "i=0; while [ $i -lt 20 ]; do echo line $i; i=$((i+1)); sleep 0.1; "
        f"while [ $i -eq 15 ] && [ ! -e {go} ]; do sleep 0.05; done; done; rm {go}"
    )
    async with AsyncPodRunner(here, on_exit=ClosePolicy.DETACH) as first:
        left = await first.launch(shell("left", script))
        async for line in left.logs():
            if line == "line 3":
                break
    async with AsyncPodRunner(here) as second:
        (pod,) = await second.adopt()
        assert (pod.key, pod.uid) == (left.key, left.uid)
        assert (await pod.exec(["touch", go])).exit_code == 0
        assert (await pod.wait(120)).succeeded
        await second.wait_all(120)
    assert pod.log_path is not None
    assert (tmp_path / pod.log_path).read_text() == "".join(f"line {i}\n" for i in range(20))


@pytest.mark.anyio
async def test_a_refused_pod_is_reported(config: RunnerConfig):
    """L6 on a cluster: the server's own words."""
    bad = shell("bad", "true", overrides={"spec": {"restartPolicy": "Sometimes"}})
    async with AsyncPodRunner(config) as runner:
        outcome = await runner.submit(bad).wait(120)
        assert (outcome.category, outcome.retryable) == (Category.REJECTED_BY_API, False)
        assert "restartPolicy" in outcome.message


def test_on_trio(config: RunnerConfig):
    """The same walk on the other event loop, over httpx."""
    import trio

    async def walk() -> None:
        async with AsyncPodRunner(config) as runner:
            pod = await runner.launch(shell("trio", SAY))
            assert [line async for line in pod.logs()] == ["line 1", "line 2", "line 3"]
            with anyio.fail_after(120):
                assert (await pod.wait()).succeeded

    trio.run(walk)


def test_an_embedded_cluster_lives_as_long_as_its_runner():
    """Without any cluster: nothing to install, nothing left."""
    with PodRunner(RunnerConfig(cluster="local")) as runner:
        assert runner.launch(shell("embedded", "exit 0")).wait(120).succeeded


def connections_to(url: str) -> set[int]:
    """The local ports of this process' connections to a server."""
    found = set()
    for each in gc.get_objects():
        if isinstance(each, socket.socket) and each.family == socket.AF_INET:
            with suppress(OSError):  # it is closed, or not connected
                if each.getpeername()[1] == httpx.URL(url).port:
                    found.add(each.getsockname()[1])
    return found


@pytest.mark.anyio
async def test_an_embedders_own_client_is_used_and_stays_open(cluster, config: RunnerConfig):
    """kubernetes-asyncio's ApiClient, as schedulers have one already."""
    from kubernetes_asyncio import client
    from kubernetes_asyncio.config import load_kube_config

    before = connections_to(cluster.url)
    await load_kube_config(str(config.kubeconfig))
    async with client.ApiClient() as api_client:
        elsewhere = config.model_copy(update={"kubeconfig": None})
        async with AsyncPodRunner(elsewhere, client=api_client) as runner:
            pod = await runner.launch(shell("embedder", "exit 0"))
            assert (await pod.wait(120)).succeeded
        left = await client.CoreV1Api(api_client).list_namespaced_pod(config.namespace)
        assert left.items == []
    # kubernetes-asyncio's sockets end TLS politely, after its session is closed.
    await until(lambda: connections_to(cluster.url) <= before, within_s=40)
