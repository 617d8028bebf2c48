"""Several namespaces under one runner, and several runners in one process."""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlsplit

import anyio
import pytest
from podrunner import Category
from podrunner.errors import SpecError, StaleError
from podrunner.runner import AsyncPod, EventKind
from podrunner.workload import Workload
from pydantic import SecretStr
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio


def end(cluster: Cluster, pod: AsyncPod, exit_code: int = 0) -> None:
    """The pod's main container ends."""
    ended = {"exitCode": exit_code, "reason": "Completed", "startedAt": None, "finishedAt": None}
    statuses = [{"name": "base", "restartCount": 0, "ready": False, "state": {"terminated": ended}}]
    phase = "Failed" if exit_code else "Succeeded"
    status = {"phase": phase, "containerStatuses": statuses}
    cluster.change(pod.name, namespace=pod.namespace, status=status)


def watched(cluster: Cluster) -> Counter[str]:
    """The paths that are watched, and how often each was asked for."""
    return Counter(urlsplit(target).path for _, _, target in cluster.requests if "watch=" in target)


PATHS = {
    "one": ({}, {"/api/v1/namespaces/default/pods"}),
    "named": (
        {"namespaces": ("default", "other")},
        {"/api/v1/namespaces/default/pods", "/api/v1/namespaces/other/pods"},
    ),
    "all": ({"all_namespaces": True}, {"/api/v1/pods"}),
}


@pytest.mark.parametrize(("settings", "paths"), PATHS.values(), ids=PATHS)
async def test_each_namespace_has_one_watch_or_all_have_one(cluster: Cluster, settings, paths: set[str]):
    """W12."""
    namespaces = ["default"] if not settings else ["default", "other"]
    async with running(cluster, **settings) as runner:
        pods = [
            await runner.launch(workload(number, namespace=namespace))
            for namespace in namespaces
            for number in range(3)
        ]
        for number, pod in enumerate(pods):
            end(cluster, pod, number)
        with anyio.fail_after(5):
            outcomes = [await pod.wait() for pod in pods]
        assert [outcome.exit_code for outcome in outcomes] == list(range(len(pods)))
        assert {*watched(cluster)} == paths
        assert len(runner.health().watches) == len(paths)


async def test_a_namespace_that_is_out_of_reach_is_stale_alone(cluster: Cluster):
    """W8: what is known of the others stays good, to handles and events."""
    async with running(
        cluster, namespaces=("default", "other"), watch={"stale_after_s": 0.1, "backoff_initial_s": 0.05}
    ) as runner:
        near = await runner.launch(workload(1))
        far = await runner.launch(workload(2, namespace="other"))
        cluster.fail("GET", "/namespaces/other/pods", status=500, times=10_000)
        cluster.break_watches()
        await until(lambda: runner.health().stale)
        with pytest.raises(StaleError):
            assert far.status
        assert near.status == "Pending"
        stale: list[str] = []
        with anyio.fail_after(20):
            while not stale:
                await anyio.sleep(0.1)
                stale += [event.uid for event in runner.poll_events() if event.kind is EventKind.STALE]
        assert stale == [far.uid]
        end(cluster, near)
        with anyio.fail_after(5):
            assert (await near.wait()).succeeded
        assert far.outcome is None


def moved(number: int, namespace: str) -> Workload:
    """A workload whose overrides name a namespace."""
    return workload(number, overrides={"metadata": {"namespace": namespace}})


async def test_overrides_move_a_pod_to_another_namespace(cluster: Cluster):
    """The pod, its Secret, its outcome and a second launch of its attempt are there."""
    async with running(cluster, namespaces=("default", "other")) as runner:
        order = moved(1, "other").model_copy(update={"credentials": {"TOKEN": SecretStr("t0ken")}})
        pod = await runner.launch(order)
        assert pod.namespace == "other"
        assert [*cluster.pods] == [("other", pod.name)]
        created = [urlsplit(target).path for _, method, target in cluster.requests if method == "POST"]
        assert [path for path in created if "leases" not in path] == [
            "/api/v1/namespaces/other/pods",
            "/api/v1/namespaces/other/secrets",
        ]
        assert (await runner.launch(order)).uid == pod.uid
        end(cluster, pod, 3)
        with anyio.fail_after(5):
            assert (await pod.wait()).exit_code == 3


async def test_a_namespace_that_is_not_watched_is_refused_before_any_request(cluster: Cluster):
    async with running(cluster) as runner:
        with pytest.raises(SpecError, match="`namespaces`"):
            await runner.launch(moved(1, "other"))
        with pytest.raises(SpecError, match="`namespaces`"):
            runner.submit(workload(2, namespace="other"))
        batch = await runner.launch_many([moved(3, "other"), workload(4)])
        assert [failure.index for failure in batch.errors] == [0]
        assert len(cluster.pods) == 1


async def test_runners_in_one_process_report_their_own(cluster: Cluster):
    """Two owners on one cluster, one of them for two namespaces."""
    async with (
        running(cluster, owner="first") as first,
        running(cluster, owner="second", namespaces=("default", "other")) as second,
    ):
        mine = [await first.launch(workload(number)) for number in range(5)]
        theirs = [await second.launch(workload(100 + number)) for number in range(5)]
        away = await second.launch(workload(1, namespace="other"))
        for pod in (*mine, *theirs, away):
            end(cluster, pod)
        with anyio.fail_after(5):
            assert {(await pod.wait()).category for pod in (*mine, *theirs, away)} == {Category.SUCCEEDED}
        for runner, pods in ((first, mine), (second, [*theirs, away])):
            reported = [event.uid for event in runner.poll_events() if event.kind is EventKind.FINISHED]
            assert sorted(reported) == sorted(pod.uid for pod in pods)
