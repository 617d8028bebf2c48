"""One smoke test of each promise, in both faces, over a line with faults: a part of the fast tier.

What a promise means, and its deep tests, are named in ``docs/explanation/promises.md``.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from itertools import islice

import pytest
from podrunner import AsyncPodRunner, ClosePolicy, EventKind, PodRunner, RunnerConfig, RunnerEvent, Workload
from podrunner.testing.faults import Faults
from tests.contract.conftest import Cluster

pytestmark = pytest.mark.processes

LINES = [f"line {n}" for n in range(40)]
SAY_LINES = "for i in $(seq 0 39); do echo line $i; sleep 0.01; done; "


def job(script: str) -> Workload:
    # The first process of a container gets no SIGTERM that it does not handle: it is killed after its grace period.
    return Workload(key={"job": uuid.uuid4().hex}, command=["sh", "-c", script], termination_grace_period_s=1)


def pods_in(cluster: Cluster, namespace: str) -> list[str]:
    """The names of the pods that there are and that are not being deleted, as the administrator sees them."""
    with cluster.http() as http:
        pods = http.get(f"/api/v1/namespaces/{namespace}/pods").json()["items"]
    return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def going_on_in(cluster: Cluster, namespace: str) -> list[str]:
    """Those of them that are not over."""
    with cluster.http() as http:
        pods = http.get(f"/api/v1/namespaces/{namespace}/pods").json()["items"]
    over = [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] in {"Succeeded", "Failed"}]
    return sorted(set(pods_in(cluster, namespace)) - set(over))


def ends(events: list[RunnerEvent]) -> list[tuple[str, int | None]]:
    return [
        (event.uid, event.outcome.exit_code)
        for event in events
        if event.kind is EventKind.FINISHED and event.outcome is not None
    ]


class TestOneLaunch:
    """L1: the reply to a create is lost; there is one pod, and it is the launch's."""

    def test_blocking(self, cluster: Cluster, quick: RunnerConfig, faults: Faults):
        with PodRunner(quick, on_exit=ClosePolicy.CANCEL) as runner:
            faults.on("POST", "pods").lose_reply()
            pod = runner.launch(job("sleep 600"))
            assert pods_in(cluster, quick.namespace) == [pod.name]

    @pytest.mark.anyio
    async def test_async(self, cluster: Cluster, quick: RunnerConfig, faults: Faults):
        async with AsyncPodRunner(quick, on_exit=ClosePolicy.CANCEL) as runner:
            faults.on("POST", "pods").lose_reply()
            pod = await runner.launch(job("sleep 600"))
            assert pods_in(cluster, quick.namespace) == [pod.name]


class TestOneOutcome:
    """W1, W3: the watch breaks and starts again; each pod has one outcome, and it is the true one."""

    def test_blocking(self, quick: RunnerConfig, faults: Faults):
        with PodRunner(quick) as runner, runner.events() as events:
            faults.on("GET", "pods", watch=True).cut(after_events=1, times=3)
            pods = [runner.launch(job(f"exit {code}")) for code in (0, 3)]
            assert [pod.wait(50).exit_code for pod in pods] == [0, 3]
            runner.wait_all(50)
            assert sorted(ends(events.poll())) == sorted((pod.uid, pod.outcome.exit_code) for pod in pods)

    @pytest.mark.anyio
    async def test_async(self, quick: RunnerConfig, faults: Faults):
        async with AsyncPodRunner(quick) as runner, runner.events() as events:
            faults.on("GET", "pods", watch=True).cut(after_events=1, times=3)
            pods = [await runner.launch(job(f"exit {code}")) for code in (0, 3)]
            assert [(await pod.wait(50)).exit_code for pod in pods] == [0, 3]
            await runner.wait_all(50)
            assert sorted(ends(events.poll())) == sorted((pod.uid, pod.outcome.exit_code) for pod in pods)


class TestEveryLineOnce:
    """G1: the log's connection breaks within a line and is refused once; no line is lost, none is repeated.

    The container runs until all was read: an early end of a finished log, in good order and between two lines, looks
    like its true end.
    """

    def test_blocking(self, quick: RunnerConfig, faults: Faults):
        with PodRunner(quick, on_exit=ClosePolicy.CANCEL) as runner:
            faults.on("GET", "pods/log").cut(after_bytes=133)
            faults.on("GET", "pods/log").answer(500)
            pod = runner.launch(job(SAY_LINES + "sleep 600"))
            with pod.logs() as lines:
                assert list(islice(lines, len(LINES))) == LINES

    @pytest.mark.anyio
    async def test_async(self, quick: RunnerConfig, faults: Faults):
        async with AsyncPodRunner(quick, on_exit=ClosePolicy.CANCEL) as runner:
            faults.on("GET", "pods/log").cut(after_bytes=133)
            faults.on("GET", "pods/log").answer(500)
            pod = await runner.launch(job(SAY_LINES + "sleep 600"))
            seen: list[str] = []
            async with pod.logs() as lines:
                async for line in lines:
                    seen.append(line)
                    if line == LINES[-1]:
                        break
            assert seen == LINES


class TestNoLeak:
    """C1, C2: an error in the caller's code ends its pods, though requests fail at first.

    What had started is over and stays until its outcome is delivered; the rest is deleted.
    """

    def test_blocking(self, cluster: Cluster, quick: RunnerConfig, faults: Faults):
        with suppress(ZeroDivisionError), PodRunner(quick) as runner:
            runner.launch(job("sleep 600"))
            runner.submit(job("sleep 600"))
            faults.on("DELETE", "pods").answer(500, times=2)
            faults.on("PATCH", "pods").answer(500, times=2)
            raise ZeroDivisionError
        assert going_on_in(cluster, quick.namespace) == []

    @pytest.mark.anyio
    async def test_async(self, cluster: Cluster, quick: RunnerConfig, faults: Faults):
        with suppress(ZeroDivisionError):
            async with AsyncPodRunner(quick) as runner:
                await runner.launch(job("sleep 600"))
                runner.submit(job("sleep 600"))
                faults.on("DELETE", "pods").answer(500, times=2)
                faults.on("PATCH", "pods").answer(500, times=2)
                raise ZeroDivisionError
        assert going_on_in(cluster, quick.namespace) == []
