"""What a runner still had to do to a pod ends when the pod, or the Lease, is lost."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from podrunner.logs import CallableSink
from tests.unit.runner.harness import Cluster, read_events, running, until, workload

pytestmark = pytest.mark.anyio

LINES = [f"2024-05-01T10:20:30.00000000{number}Z line {number}" for number in range(1, 4)]


def give_to_another(cluster: Cluster, name: str) -> None:
    """Another runner becomes the pod's owner."""
    meta = cluster.pods["default", name]["metadata"]
    labels = {**meta["labels"], "podrunner.io/owner": "other"}
    annotations = {**meta["annotations"], "podrunner.io/owner": "other", "podrunner.io/adoptions": "1"}
    cluster.change(name, metadata={**meta, "labels": labels, "annotations": annotations})


def take_lease(cluster: Cluster, owner: str) -> None:
    """Another process takes the Lease: the owner learns of it at its next renewal."""
    lease = cluster.leases[f"podrunner-{owner}"]
    taken = {**lease, "spec": {**lease["spec"], "holderIdentity": "other"}}
    cluster._keep_lease(f"podrunner-{owner}", taken, 200)


@pytest.mark.parametrize("loss", ["pod", "lease"])
@pytest.mark.parametrize(("kept", "method"), [(False, "DELETE"), (True, "PATCH")], ids=["deletion", "mark"])
async def test_a_deletion_or_a_mark_that_is_tried_again_ends_with_the_loss(
    cluster: Cluster, loss, kept, method
):
    """H4: the server was out of order; when it is back, the pod is its new owner's."""
    fault = cluster.fail(method, status=500, times=10_000)
    settings: dict[str, Any] = {"delete_pods": not kept}
    async with running(cluster, owner="me", lease_duration_s=60.0, **settings) as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded
        await until(lambda: read_events(runner) and cluster.count(method, "/pods"), within_s=60)
        if loss == "pod":
            give_to_another(cluster, pod.name)
        else:
            take_lease(cluster, "me")
            await until(lambda: runner.health().lease != "held", within_s=120)
        await anyio.sleep(1)
        before = cluster.count(method, "/pods")
        cluster.faults.remove(fault)
        await anyio.sleep(600)
        assert cluster.count(method, "/pods") == before
        assert "podrunner.io/told" not in cluster.pods["default", pod.name]["metadata"]["annotations"]


@pytest.mark.parametrize("loss", ["pod", "lease"])
async def test_the_sinks_get_nothing_after_the_loss(cluster: Cluster, loss):
    """H4: nor does a reader of the log wait for an end that it would never see: it gets a gap."""
    got: list[Any] = []

    async def take(item):
        got.append(item)

    sinks = [lambda _: CallableSink(take)]
    async with running(
        cluster, owner="me", lease_duration_s=60.0, log_sinks=lambda _: sinks, logs={}
    ) as runner:
        pod = await runner.launch(workload())
        cluster.logs[pod.name] = LINES[:1]
        cluster.run(pod.name)
        await until(lambda: got)
        stream = pod.logs()
        assert await stream.next_lines() == ["line 1"]
        if loss == "pod":
            give_to_another(cluster, pod.name)
        else:
            take_lease(cluster, "me")
            await until(lambda: runner.health().lease != "held", within_s=120)
        cluster.logs[pod.name] = LINES
        with anyio.fail_after(900):
            rest = [line async for line in stream]
        assert [item.texts() for item in got] == [["line 1"]]
        assert "does not own the pod any more" in rest[-1]


async def test_each_adoption_is_counted_on_the_pod(cluster: Cluster):
    """H4, A1: so that each owner's number is higher than that of the owners before it."""
    async with running(cluster, owner="first") as runner:
        name = (await runner.launch(workload())).name
    counts = []
    for owner in ("second", "third"):
        async with running(cluster, owner=owner) as runner:
            assert len(await runner.adopt()) == 1
            counts.append(cluster.pods["default", name]["metadata"]["annotations"]["podrunner.io/adoptions"])
    assert counts == ["1", "2"]
