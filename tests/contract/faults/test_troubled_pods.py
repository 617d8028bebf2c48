"""Pods that fail, seen over a connection that breaks within every watch: the cause is reported all the same, once.

Each row is decided in ``podrunner.outcome``, whose tables have tests of their own; here the way there is tested.
"""

from __future__ import annotations

import json
import uuid

import pytest
from podrunner import AsyncPodRunner, Category, RunnerConfig, Workload
from podrunner.testing.faults import FaultProxy

pytestmark = [pytest.mark.anyio, pytest.mark.processes]

SHORT_GRACES = {
    "image_grace_s": 0.5,
    "config_grace_s": 0.5,
    "unschedulable_grace_s": 0.5,
    "startup_timeout_s": 8,
}

OUT_OF_MEMORY = {"running_s": 0.2, "exit_code": 137, "reason": "OOMKilled"}
EVICTED = {"running_s": 0.2, "pod_reason": "Evicted", "pod_message": "The node was low on resource: memory."}
NO_IMAGE = {"waiting_reason": "ImagePullBackOff", "waiting_message": 'Back-off pulling image "x"'}
NO_SECRET = {"waiting_reason": "CreateContainerConfigError", "waiting_message": 'secret "s" not found'}
SLOW = {"creating_s": 60.0}
PREEMPTED = {"pod_reason": "Preempting", "pod_message": "Preempted in order to admit critical pod"}


@pytest.mark.parametrize(
    ("life", "category", "started"),
    [
        pytest.param(NO_IMAGE, Category.IMAGE, False, id="P1"),
        pytest.param(NO_SECRET, Category.CONTAINER_CONFIG, False, id="P1-config"),
        pytest.param(SLOW, Category.STARTUP_TIMEOUT, False, id="P3"),
        pytest.param(PREEMPTED, Category.PREEMPTED, False, id="P5"),
        pytest.param(OUT_OF_MEMORY, Category.OOM_KILLED, True, id="P6"),
        pytest.param(EVICTED, Category.EVICTED, None, id="P4"),
    ],
)
async def test_the_cause_is_reported_over_a_breaking_line(
    cluster,
    quick: RunnerConfig,
    proxy: FaultProxy,
    life: dict[str, object],
    category: Category,
    started: bool | None,  # noqa: FBT001  # a parameter of the test
):
    """P1, P3, P4, P5, P6: scripted lives on a LocalCluster."""
    if cluster.local is None:
        pytest.skip("scripted lives are a LocalCluster's")
    config = quick.model_copy(update={"pending": quick.pending.model_copy(update=SHORT_GRACES)})
    script = {"local.podrunner.io/script": json.dumps(life)}
    async with AsyncPodRunner(config, on_exit="cancel") as runner:
        await break_each_watch(runner, proxy)
        workload = Workload(key={"job": uuid.uuid4().hex}, command=["true"], annotations=script)
        outcome = await (await runner.launch(workload)).wait(50)
        assert outcome.category is category
        assert started is None or outcome.started is started
        assert proxy.faults.counts["cut"] > 0


async def break_each_watch(runner: AsyncPodRunner, proxy: FaultProxy) -> None:
    """Break each watch after an event, but no list: between two lists the runner would miss the end of a pod."""
    await runner.wait_synced()
    proxy.faults.on("GET", "pods", watch=True).cut(after_events=1, times=3)
    proxy.cut()


async def test_no_node_has_room_and_the_cause_is_reported(cluster, quick: RunnerConfig, proxy: FaultProxy):
    """P2: which resource is short, and on how many nodes."""
    config = quick.model_copy(update={"pending": quick.pending.model_copy(update=SHORT_GRACES)})
    async with AsyncPodRunner(config, on_exit="cancel") as runner:
        await break_each_watch(runner, proxy)
        workload = Workload(
            key={"job": uuid.uuid4().hex}, command=["true"], resources={"cpu_request": "9000"}
        )
        outcome = await (await runner.launch(workload)).wait(50)
        assert (outcome.category, outcome.started) == (Category.UNSCHEDULABLE, False)
        assert "of 1 nodes: Insufficient cpu" in outcome.message or cluster.local is None
        assert "Insufficient cpu" in outcome.message
