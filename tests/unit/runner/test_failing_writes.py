"""What an outcome depends on is written to its pod however long the server fails to take it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from podrunner.builder.labels import OUTCOME, OUTCOME_FINALIZER, REPORTED, VERDICT
from podrunner.outcome import Category
from podrunner.runner import AsyncPod
from tests.unit.runner.harness import DEADLINE_EXCEEDED, Cluster, read_events, running, until, workload

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", [pytest.param("trio", id="virtual")], indirect=True),
]

FAILS_S = 25
"""For longer than the time of one write (10 s), and than the wait before the next."""
SIDE = {"name": "side", "image": "i"}
WITH_SIDE = {"spec": {"containers": [{"name": "base", "image": "i"}, SIDE]}}
RUNS: dict[str, Any] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
ENDED: dict[str, Any] = {
    "terminated": {
        "exitCode": 0,
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T00:00:01Z",
        "reason": "Completed",
    }
}


async def writes_fail(cluster: Cluster) -> None:
    """Patches are refused for some time, while all else works."""
    fault = cluster.fail("PATCH", status=503, times=1_000_000)
    await anyio.sleep(FAILS_S)
    fault.times = 0


def annotations(cluster: Cluster, pod: AsyncPod) -> dict[str, str]:
    found: dict[str, str] = cluster.pods["default", pod.name]["metadata"]["annotations"]
    return found


async def test_a_pod_is_not_ended_before_its_verdict_is_on_it(cluster: Cluster):
    """H1: it is not deleted instead: killed then, the runner would lose the outcome."""
    async with running(cluster) as runner, anyio.create_task_group() as tasks:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        tasks.start_soon(writes_fail, cluster)
        tasks.start_soon(pod.cancel)
        await anyio.sleep(FAILS_S - 1)
        assert cluster.count("DELETE", "/pods") == 0
        assert cluster.pods["default", pod.name]["status"]["phase"] == "Running"
        assert runner.health().deletes_failing == 1
        await until(lambda: cluster.pods["default", pod.name]["status"]["phase"] == "Failed")
        assert VERDICT in annotations(cluster, pod)
        assert (await pod.wait(5)).category is Category.CANCELLED
        assert runner.health().deletes_failing == 0


async def test_a_pod_that_waits_for_its_image_is_deleted_with_its_verdict_on_it(cluster: Cluster):
    """H1: a successor that finds it held, or being ended, does not take it for another client's deletion."""
    async with running(cluster, owner="first", outcome_finalizer=True) as runner:
        pod = await runner.launch(workload())
        cluster.wait_for_image(pod.name)
        await until(lambda: pod.status == "ImagePullBackOff")
        await pod.cancel()
        assert VERDICT in annotations(cluster, pod)
    async with running(cluster, owner="second") as runner:
        (adopted,) = await runner.adopt()
        outcome = await adopted.wait(5)
        assert (outcome.category, outcome.started) == (Category.CANCELLED, False)


async def test_a_pod_that_starts_while_its_verdict_is_written_is_not_deleted(cluster: Cluster):
    """H1: it is ended as one that runs."""
    async with running(cluster, outcome_finalizer=True) as runner:
        pod = await runner.launch(workload())
        cluster.muted = True
        cluster.run(pod.name)
        await pod.cancel()
        cluster.muted = False
        assert cluster.count("DELETE", "/pods") == 0
        outcome = await pod.wait(200)
        assert (outcome.category, outcome.started) == (Category.CANCELLED, True)
        assert cluster.pods["default", pod.name]["spec"]["activeDeadlineSeconds"] == 1


async def test_an_outcome_that_the_pod_alone_would_not_say_is_reported_once_it_is_on_the_pod(
    cluster: Cluster,
):
    """H1: killed before that, the runner would leave a successor to report another outcome."""
    async with running(cluster) as runner, anyio.create_task_group() as tasks:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        cluster.obedient = False
        await pod.cancel()
        tasks.start_soon(writes_fail, cluster)
        cluster.finish(pod.name)  # by itself, before its node ends it
        await anyio.sleep(FAILS_S - 1)
        assert pod.outcome is None
        assert (await pod.wait(20)).category is Category.SUCCEEDED
        assert OUTCOME in annotations(cluster, pod)


async def test_a_held_pod_that_another_client_deleted_did_not_end_by_itself(cluster: Cluster):
    """W6: the watch is late, and the pod is cancelled with a grace period of its own."""
    async with running(cluster, outcome_finalizer=True) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        cluster.muted = True
        cluster.mark_deleted(pod.name)
        cluster.finish(pod.name, 143)
        cluster.remove(pod.name)
        await pod.cancel(grace_period_s=5)
        assert (await pod.wait(5)).category is Category.DELETED_BY_OTHERS


@pytest.mark.parametrize("lose_reply", [False, True])
async def test_what_had_ended_by_itself_is_not_ended(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, *, lose_reply: bool
):
    """P3: the watch is late, and the answer to the first request is lost: the second shows what that one did."""
    stopped = {"terminated": {**ENDED["terminated"], "exitCode": 143}}

    def stop(name: str) -> None:
        cluster.tell(name, "Failed", base=ENDED, side=stopped)
        cluster.phase(name, "Failed", **DEADLINE_EXCEEDED)

    monkeypatch.setattr(cluster, "_check_deadline", stop)
    async with running(cluster) as runner:
        pod = await runner.launch(workload(overrides=WITH_SIDE))
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        cluster.muted = True
        cluster.tell(pod.name, "Running", base=ENDED, side=RUNS)
        if lose_reply:
            cluster.fail("PATCH", lose_reply=True)
        await pod.cancel()
        cluster.muted = False
        assert (await pod.wait(5)).category is Category.SUCCEEDED


@pytest.mark.parametrize("status", [None, 503])
async def test_a_pod_that_changes_meanwhile_is_ended_nevertheless(cluster: Cluster, status: int | None):
    """C3: the call returns when it is, whatever came between."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        cluster.muted = True
        cluster.change(pod.name, metadata={"labels": {"of-another": "client"}})
        cluster.muted = False
        cluster.fail("GET", "/pods/", status=503, times=1_000)
        if status is not None:
            cluster.fail("PATCH", status=status, times=3)
        await pod.cancel()
        assert cluster.pods["default", pod.name]["status"]["phase"] == "Failed"
        assert (await pod.wait(5)).category is Category.CANCELLED


async def test_a_pod_that_is_kept_is_marked_in_the_end(cluster: Cluster):
    async with running(cluster) as runner, anyio.create_task_group() as tasks:
        pod = await runner.launch(workload())
        tasks.start_soon(writes_fail, cluster)
        cluster.play(pod.name, exit_code=1)
        await pod.wait(5)
        await anyio.sleep(FAILS_S - 1)
        assert REPORTED not in annotations(cluster, pod)
        await until(lambda: REPORTED in annotations(cluster, pod))


async def test_a_pod_that_is_held_is_released_in_the_end(cluster: Cluster):
    async with running(cluster, outcome_finalizer=True) as runner, anyio.create_task_group() as tasks:
        pod = await runner.launch(workload())
        tasks.start_soon(writes_fail, cluster)
        cluster.play(pod.name)
        await pod.wait(5)
        await anyio.sleep(FAILS_S - 1)
        assert cluster.pods["default", pod.name]["metadata"]["finalizers"] == [OUTCOME_FINALIZER]
        await until(lambda: not cluster.pods)


async def test_a_sidecar_goes_on_where_its_pod_cannot_be_ended_without_its_outcome(cluster: Cluster):
    """H1: without the right to patch, the pod stays as it is until its outcome is delivered."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload(overrides=WITH_SIDE))
        cluster.fail("PATCH", status=403, times=1_000_000)
        cluster.run(pod.name)
        cluster.tell(pod.name, "Running", base=ENDED, side=RUNS)
        await until(lambda: runner.health().undelivered == 1)
        await anyio.sleep(FAILS_S)
        assert cluster.count("DELETE", "/pods") == 0
        await until(lambda: read_events(runner) and not cluster.pods)


async def test_a_runner_that_is_fenced_writes_no_more(cluster: Cluster):
    """A2: the wait for a server that fails is over when the Lease is."""
    async with running(cluster, lease_duration_s=12) as runner:
        pod = await runner.launch(workload())
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        cluster.fail("PATCH", status=503, times=1_000_000)
        cluster.fail("PUT", "/leases", status=503, times=1_000_000)
        with anyio.move_on_after(60) as scope, pytest.raises(Exception, match="lease"):
            await pod.cancel()
        assert not scope.cancelled_caught
        sent = cluster.count("PATCH")
        await anyio.sleep(60)
        assert cluster.count("PATCH") == sent
