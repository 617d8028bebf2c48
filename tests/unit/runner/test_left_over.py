"""A pod that the watch showed while its launch was under way, and whose launch was then given up."""

from __future__ import annotations

import anyio
import pytest
from podrunner.errors import ApiError
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio


async def test_a_pod_whose_launch_was_given_up_is_swept_though_it_was_seen_before(cluster: Cluster):
    """L1, C1: the answer is lost, the look is refused for good; the watch has said all that it will ever say."""
    async with running(cluster) as runner:
        cluster.fail("POST", lose_reply=True)
        cluster.fail("GET", "/pods/", status=403, delay_s=0.05)
        with pytest.raises(ApiError):
            await runner.launch(workload())
        await until(lambda: not cluster.pods)
        assert cluster.count("POST", "/pods") == 1


async def test_it_is_swept_while_others_are_launched(cluster: Cluster):
    """C1: the watch shows it again, but a slow launch is under way all the time."""
    async with running(cluster) as runner, anyio.create_task_group() as others:
        cluster.fail("POST", lose_reply=True)
        cluster.fail("GET", "/pods/", status=403)
        with pytest.raises(ApiError):
            await runner.launch(workload(1))
        cluster.fail("POST", delay_s=3)
        others.start_soon(runner.launch, workload(2))
        await anyio.sleep(0.01)
        for _, name in list(cluster.pods):
            cluster.run(name)
        await until(lambda: not cluster.pods, within_s=1)


@pytest.mark.parametrize("how", ["submit", "launch"])
async def test_its_work_has_begun_when_its_attempt_is_handed_in_again(cluster: Cluster, how: str):
    """L1, C1: the other launch still waits; it has the pod, and is not cancelled with the one before it."""
    async with (
        running(cluster, max_active_pods=1, on_exit="cancel") as runner,
        anyio.create_task_group() as group,
    ):
        cluster.fail("POST", lose_reply=True)
        cluster.fail("GET", "/pods/", status=403)
        deleting = cluster.fail("DELETE", "/pods/", status=503, delay_s=0.2)
        with pytest.raises(ApiError):
            await runner.launch(workload(1))
        await until(lambda: not deleting.times)
        ((_, name),) = cluster.pods
        other = await runner.launch(workload(2))
        if how == "submit":
            runner.submit(workload(1))
        else:
            group.start_soon(runner.launch, workload(1))
            await until(lambda: runner._engine.pods.newest(workload(1).key))
        again = runner.pod(workload(1).key)
        cluster.run(name)
        await until(lambda: again.phase == "Running")
        await anyio.sleep(0.3)  # the deletion has been tried again
        cluster.play(other.name)
        cluster.play(name)
        assert (await again.wait(5)).succeeded
        assert (await other.wait(5)).succeeded
        assert cluster.count("POST", "/pods") == 2
