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
