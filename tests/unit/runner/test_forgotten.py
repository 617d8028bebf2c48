"""A pod whose status forgets that its work had begun, in virtual time."""

from __future__ import annotations

import anyio
import pytest
from podrunner.builder.labels import STARTED
from podrunner.outcome import Category
from tests.support.event_loops import virtual_time
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio

anyio_backend = virtual_time

CREATING = {"waiting": {"reason": "ContainerCreating"}}
USED_TO_RUN = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}


def forget(cluster: Cluster, name: str, **more: object) -> None:
    status = {"name": "base", "restartCount": 0, "state": CREATING, **more}
    cluster.change(name, status={"phase": "Pending", "containerStatuses": [status]})


async def test_a_deleted_pod_whose_container_was_lost_is_not_relaunched_for_free(cluster: Cluster):
    """P10: Running; deleted; waiting with ``lastState`` unknown and no restart; gone."""
    async with running(cluster) as runner:
        run = runner.run(workload())
        await until(lambda: bool(cluster.pods))
        name = run.pods[0].name
        cluster.run(name)
        cluster.mark_deleted(name)
        forget(cluster, name, lastState=USED_TO_RUN)
        cluster.remove(name)
        outcome = await run.wait(60)
        assert (outcome.category, outcome.started) == (Category.DELETED_BY_OTHERS, True)
        await anyio.sleep(600)
        assert cluster.count("POST", "/pods") == 1


async def test_that_it_had_started_is_noted_on_a_pod_that_forgot_it_and_a_successor_reads_it(
    cluster: Cluster,
):
    """P10: across adoption. Only such a pod costs a request."""
    async with running(cluster) as runner:
        forgetful, ordinary = [await runner.launch(workload(number)) for number in range(2)]
        for pod in (forgetful, ordinary):
            cluster.run(pod.name)
        await until(lambda: forgetful.phase == "Running" and ordinary.phase == "Running")
        forget(cluster, forgetful.name)
        await until(lambda: cluster.count("PATCH", "/pods") == 1)
        forget(cluster, forgetful.name)
        await anyio.sleep(10)
        assert cluster.count("PATCH", "/pods") == 1
        assert cluster.pods["default", forgetful.name]["metadata"]["annotations"][STARTED] == forgetful.uid
    async with running(cluster) as runner:
        adopted = {pod.name: pod for pod in await runner.adopt()}
        cluster.remove(forgetful.name)
        outcome = await adopted[forgetful.name].wait(60)
        assert (outcome.category, outcome.started) == (Category.DELETED_BY_OTHERS, True)


@pytest.mark.parametrize("is_bound", [True, False], ids=["last seen on a node", "last seen without one"])
async def test_a_pod_that_came_and_went_while_the_watch_was_broken_is_not_relaunched_for_free(
    cluster: Cluster, *, is_bound: bool
):
    """P10: no record shows that it ran, and none that it did not."""
    async with running(cluster) as runner:
        run = runner.run(workload())
        await until(lambda: bool(cluster.pods))
        name = run.pods[0].name
        if is_bound:
            spec = {**cluster.pods["default", name]["spec"], "nodeName": "node-1"}
            cluster.change(name, spec=spec)
        await anyio.sleep(1)
        cluster.fail("GET", status=500, times=3)
        cluster.break_watches()
        await anyio.sleep(0.1)
        cluster.run(name)
        cluster.remove(name)
        cluster.compact()
        outcome = await run.wait(600)
        assert (outcome.category, outcome.started) == (Category.DELETED_BY_OTHERS, True)
        assert "may have started" in outcome.message
        await anyio.sleep(600)
        assert cluster.count("POST", "/pods") == 1


async def test_a_pod_that_was_deleted_before_it_had_a_node_is_relaunched_for_free(cluster: Cluster):
    """P4: the event of the deletion shows it."""
    async with running(cluster) as runner:
        run = runner.run(workload())
        await until(lambda: bool(cluster.pods))
        cluster.remove(run.pods[0].name)
        await until(lambda: cluster.count("POST", "/pods") == 2)
        assert run.pods[0].outcome.started is False
