"""Launching over a faulty connection, end to end: one pod per attempt, and errors that belong to one pod."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter

import anyio
import pytest
from podrunner import AsyncPodRunner, Category, RequestRetried, RunnerConfig, RunnerHooks, Workload
from podrunner.errors import ApiError
from podrunner.testing.faults import FaultProxy, Faults, skew_clock
from tests.support.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


def job(script: str, **fields) -> Workload:
    return Workload(key={"job": uuid.uuid4().hex}, command=["sh", "-c", script], **fields)


NOT_READ_YET = {
    "kind": "Status",
    "status": "Failure",
    "code": 403,
    "reason": "Forbidden",
    "message": 'pods "x" is forbidden: User "system:serviceaccount:n:podrunner" cannot get resource "pods"',
}


def names(cluster, namespace: str) -> list[str]:
    """The pods that there are, as the administrator sees them."""
    with cluster.http() as http:
        pods = http.get(f"/api/v1/namespaces/{namespace}/pods").json()["items"]
    return [pod["metadata"]["name"] for pod in pods]


@pytest.mark.parametrize("times", [1, 3])
async def test_a_lost_answer_makes_no_second_pod(cluster, quick: RunnerConfig, faults: Faults, times: int):
    """L1."""
    kept = quick.model_copy(update={"delete_pods": False})
    async with AsyncPodRunner(kept) as runner:
        faults.on("POST", "pods").lose_reply(times=times)
        pod = await runner.launch(job("exit 7"))
        assert names(cluster, quick.namespace) == [pod.name]
        assert (await pod.wait(50)).exit_code == 7
        assert faults.counts["lose-reply"] == 1  # looked up, not sent again


async def test_the_server_that_lost_the_answer_may_not_know_the_rights_yet(
    cluster, quick: RunnerConfig, faults: Faults
):
    """L1: it was restarted, and refuses at first to show the pod that it made. That pod is the launch's."""
    async with AsyncPodRunner(quick) as runner:
        faults.on("POST", "pods").lose_reply()
        faults.on("GET", "pods", watch=False).answer(403, NOT_READ_YET, times=2)
        pod = await runner.launch(job("exit 0"))
        assert names(cluster, quick.namespace) == [pod.name]
        assert (await pod.wait(50)).succeeded


async def test_a_dropped_create_is_sent_again(cluster, quick: RunnerConfig, faults: Faults):
    """L1: the server never saw it."""
    async with AsyncPodRunner(quick) as runner:
        faults.on("POST", "pods").drop(times=2)
        pod = await runner.launch(job("exit 0"))
        assert (await pod.wait(50)).succeeded


QUOTA = {
    "kind": "Status",
    "status": "Failure",
    "code": 403,
    "reason": "Forbidden",
    "message": 'pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2',
}
QUOTA_CONFLICT = {
    "kind": "Status",
    "status": "Failure",
    "code": 409,
    "reason": "Conflict",
    "message": 'Operation cannot be fulfilled on resourcequotas "q": the object has been modified; '
    "please apply your changes to the latest version and try again",
    "details": {"name": "q", "kind": "resourcequotas"},
}


@pytest.mark.parametrize(("status", "body"), [(403, QUOTA), (409, QUOTA_CONFLICT), (500, "no leader")])
async def test_backpressure_is_waited_out(quick: RunnerConfig, faults: Faults, status: int, body: object):
    """L3, L4."""
    async with AsyncPodRunner(quick) as runner:
        faults.on("POST", "pods").answer(status, json.dumps(body), times=3)
        pods = await runner.launch_many([job("exit 0") for _ in range(4)])
        assert [(await pod.wait(50)).category for pod in pods] == [Category.SUCCEEDED] * 4
        assert faults.counts[f"answer-{status}"] == 3


class Heard(RunnerHooks):
    """Why requests were sent again."""

    def __init__(self) -> None:
        self.causes: list[str] = []

    def on_retry(self, retried: RequestRetried, /) -> None:
        self.causes.append(retried.cause)


async def test_throttling_gates_all_creates_and_any_body_is_survived(quick: RunnerConfig, faults: Faults):
    """L5."""
    heard = Heard()
    async with AsyncPodRunner(quick, hooks=[heard]) as runner:
        await runner.wait_synced()
        faults.on("POST", "pods").answer(429, b"\xff<html>slow down</html>", retry_after_s=3)
        began = time.monotonic()
        first = runner.submit(job("exit 0"))
        await until(lambda: heard.causes == ["throttled"])
        others = [runner.submit(job("exit 0")) for _ in range(5)]
        await anyio.sleep(1)
        assert faults.requests["POST", "pods"] == 1
        assert all([(await pod.wait(50)).succeeded for pod in (first, *others)])
        assert time.monotonic() - began >= 2.9


async def test_errors_belong_to_one_pod(quick: RunnerConfig, faults: Faults):
    """L7: one is refused for good, others run."""
    async with AsyncPodRunner(quick) as runner:
        faults.on("POST", "pods", skip=1).answer(422, times=1)
        batch = await runner.launch_many([job("exit 0") for _ in range(5)], concurrency=1)
        assert len(batch.errors) == 1
        outcomes = Counter([(await pod.wait(50)).category for pod in batch])
        assert outcomes == {Category.SUCCEEDED: 4, Category.REJECTED_BY_API: 1}
        faults.on("POST", "pods").answer(400)
        with pytest.raises(ApiError):
            await runner.launch(job("exit 0"))
        assert (await (await runner.launch(job("exit 0"))).wait(50)).succeeded


async def test_a_deletion_that_fails_is_tried_again(cluster, quick: RunnerConfig, faults: Faults):
    """L7, promise 4: nothing is left behind a stuttering server."""
    async with AsyncPodRunner(quick) as runner:
        faults.on("DELETE", "pods").answer(500, times=2)
        faults.on("DELETE", "pods").lose_reply(times=1)
        pod = await runner.launch(job("exit 0"))
        assert (await pod.wait(50)).succeeded
    assert names(cluster, quick.namespace) == []


async def test_a_log_that_breaks_off_is_whole(quick: RunnerConfig, faults: Faults):
    """G1: cut in lines, ended too early, ended in good order.

    The container runs on until all was read: of a log that is over, an early end in good order cannot be distinguished
    from the true end where it falls between two lines.
    """
    script = "for i in $(seq 0 59); do echo line $i; sleep 0.01; done; until [ -e read ]; do sleep 0.05; done"
    async with AsyncPodRunner(quick) as runner:
        faults.on("GET", "pods/log").cut(after_bytes=333)
        faults.on("GET", "pods/log").truncate(after_bytes=500)
        faults.on("GET", "pods/log").drop()
        faults.on("GET", "pods/log").answer(500)
        pod = await runner.launch(job(script))
        lines = []
        async for line in pod.logs():
            lines.append(line)
            if line == "line 59":
                await pod.exec(["touch", "read"])
        assert lines == [f"line {n}" for n in range(60)]
        assert (await pod.wait(50)).succeeded
        assert {"cut", "truncate", "drop", "answer-500"} <= set(faults.counts)


async def test_a_log_whose_stamps_are_out_of_order_is_whole(cluster, quick: RunnerConfig, faults: Faults):
    """G12: late lines of stderr, equal stamps, and a clock that is set back by 4 s in the middle."""
    if cluster.local is None:
        pytest.skip("scripted lives are LocalCluster's")
    said = [f"line {n}" for n in range(60)]
    offsets = [*([0, -0.3, 0.1] * 10), *([-4, -4.3] * 15)]
    life = {"running_s": 1.2, "log": said, "log_offsets_s": offsets}
    script = {"local.podrunner.io/script": json.dumps(life)}
    async with AsyncPodRunner(quick) as runner:
        faults.on("GET", "pods/log").cut(after_bytes=333)
        faults.on("GET", "pods/log").cut(after_bytes=900)
        faults.on("GET", "pods/log").cut(after_bytes=1500)
        pod = await runner.launch(job("", annotations=script))
        lines = [line async for line in pod.logs()]
        assert lines == said
        assert (await pod.wait(50)).succeeded
        assert faults.counts["cut"] == 3


@pytest.mark.parametrize("by_s", [-86_400.0, 86_400.0])
async def test_a_wrong_clock_of_the_server_changes_no_outcome(
    cluster, quick: RunnerConfig, proxy: FaultProxy, by_s: float
):
    """P1, P3: waits are measured by our clock."""
    if cluster.local is None:
        pytest.skip("only a LocalCluster's clock is set on demand")
    pending = {"image_grace_s": 30, "startup_timeout_s": 30}
    config = quick.model_copy(
        update={"pending": quick.pending.model_copy(update=pending), "run_timeout_s": 30}
    )
    skew_clock(cluster.local, by_s)
    try:
        async with AsyncPodRunner(config) as runner:
            pod = await runner.launch(job("sleep 1.2; exit 8"))
            assert (await pod.wait(50)).exit_code == 8
    finally:
        skew_clock(cluster.local, 0)
