"""The cluster in memory, where it models what holds a pod and what ends it: finalizers, deadlines, preconditions."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from podrunner.errors import ConflictError, InvalidError, NotFoundError
from podrunner.kube import Request
from podrunner.kube.client import encode
from tests.support.event_loops import virtual_time
from tests.support.fake_server import STRATEGIC_PATCH, FakeServer
from tests.unit.runner.harness import Cluster

pytestmark = pytest.mark.anyio

anyio_backend = virtual_time

HELD = "example.com/held"


def held_pod(server: FakeServer, **spec: Any) -> None:
    server.put("p", spec={"containers": [{"name": "base"}], "restartPolicy": "Never", **spec})
    server.hold("p", HELD)


def history(server: FakeServer) -> list[str]:
    return [change.kind for change in server.history]


@pytest.mark.parametrize("grace_s", [None, 0])
async def test_a_finalizer_holds_a_pod_without_a_node(cluster: Cluster, grace_s: int | None):
    """Deleted and still there, until the finalizer is removed; its last event shows it as it was stored."""
    held_pod(cluster)
    client = cluster.client()
    await client.delete_pod("default", "p", grace_period_s=grace_s)
    pod = await client.read_pod("default", "p")
    assert (pod.metadata.deletion_grace_period_seconds, pod.status.phase) == (0, "Pending")
    await client.patch_pod("default", "p", {"metadata": {"finalizers": None}})
    with pytest.raises(NotFoundError):
        await client.read_pod("default", "p")
    assert history(cluster) == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    assert cluster.history[-1].obj["metadata"]["finalizers"] == [HELD]


async def test_a_held_pod_is_ended_by_the_kubelet_and_keeps_its_status(cluster: Cluster):
    """Its containers end, with the scripted exit code; the second deletion changes nothing."""
    held_pod(cluster)
    cluster.run("p")
    cluster.exit_codes["p"] = 3
    client = cluster.client()
    for _ in range(2):
        await client.delete_pod("default", "p")
        pod = await client.read_pod("default", "p")
        assert pod.status.phase == "Failed"
        assert pod.status.container_statuses[0].state.terminated.exit_code == 3
    cluster.release("p", HELD)
    assert not cluster.pods


async def test_a_held_pod_that_has_ended_keeps_its_end(cluster: Cluster):
    """Deletion of a pod that is over changes its metadata only."""
    held_pod(cluster)
    cluster.play("p")
    await cluster.client().delete_pod("default", "p")
    assert cluster.pods["default", "p"]["status"]["phase"] == "Succeeded"


async def test_a_finalizer_is_removed_from_a_pod_that_lives(cluster: Cluster):
    """Then its deletion removes it at once."""
    held_pod(cluster)
    patch = {"metadata": {"uid": "uid-1", "$deleteFromPrimitiveList/finalizers": [HELD]}}
    headers = {"Content-Type": STRATEGIC_PATCH}
    answer = await cluster.request(
        Request("PATCH", "/api/v1/namespaces/default/pods/p", headers, encode(patch))
    )
    assert answer.status == 200
    assert not cluster.pods["default", "p"]["metadata"]["finalizers"]
    await cluster.client().delete_pod("default", "p")
    assert not cluster.pods


async def test_no_finalizer_is_added_to_a_deleted_pod(cluster: Cluster):
    """As apimachinery's validation has it."""
    held_pod(cluster)
    client = cluster.client()
    await client.delete_pod("default", "p")
    with pytest.raises(InvalidError, match="no new finalizers can be added"):
        await client.patch_pod("default", "p", {"metadata": {"finalizers": [HELD, "example.com/more"]}})


async def test_a_patch_may_name_the_version_and_the_pod_that_it_means(cluster: Cluster):
    """Another version is a conflict, another UID is invalid; both change nothing."""
    made = cluster.put("p")
    client = cluster.client()
    note = {"annotations": {"a": "1"}}
    await client.patch_pod("default", "p", {"metadata": {**note, "uid": made["metadata"]["uid"]}})
    version = made["metadata"]["resourceVersion"]
    with pytest.raises(ConflictError):
        await client.patch_pod("default", "p", {"metadata": {"annotations": None}}, resource_version=version)
    with pytest.raises(InvalidError, match="field is immutable"):
        await client.patch_pod("default", "p", {"metadata": {"annotations": None, "uid": "other"}})
    assert cluster.pods["default", "p"]["metadata"]["annotations"] == {"a": "1"}


@pytest.mark.parametrize("precondition", [{"uid": "other"}, {"resourceVersion": "1"}])
async def test_a_deletion_may_name_the_version_and_the_pod_that_it_means(
    cluster: Cluster, precondition: dict[str, str]
):
    """Another version or UID is a conflict, and nothing is deleted."""
    cluster.put("p")
    options = encode({"preconditions": precondition})
    answer = await cluster.request(Request("DELETE", "/api/v1/namespaces/default/pods/p", {}, options))
    assert answer.status == 409
    assert b"in the precondition" in answer.body
    assert ("default", "p") in cluster.pods


async def test_a_lowered_deadline_ends_a_running_pod(cluster: Cluster):
    """The pod fails with the kubelet's words, its container as scripted, and the object stays."""
    cluster.put("p")
    cluster.run("p")
    cluster.exit_codes["p"] = 0
    pod = await cluster.client().patch_pod("default", "p", {"spec": {"activeDeadlineSeconds": 1}})
    assert pod.status.phase == "Running"
    pod = await cluster.client().read_pod("default", "p")
    assert (pod.status.phase, pod.status.reason) == ("Failed", "DeadlineExceeded")
    assert pod.status.message == "Pod was active on the node longer than the specified deadline"
    assert pod.status.container_statuses[0].state.terminated.exit_code == 0


async def test_a_deadline_that_is_not_over_ends_the_pod_later(cluster: Cluster):
    """A pod without a node has no deadline yet."""
    cluster.put("p")
    client = cluster.client()
    await client.patch_pod("default", "p", {"spec": {"activeDeadlineSeconds": 30}})
    await anyio.sleep(40)
    cluster.run("p")
    cluster.expire_overdue()
    assert cluster.pods["default", "p"]["status"]["phase"] == "Running"
    await anyio.sleep(30)
    cluster.expire_overdue()
    assert cluster.pods["default", "p"]["status"]["reason"] == "DeadlineExceeded"


@pytest.mark.parametrize(
    ("deadline_s", "words"),
    [
        (31, "less than or equal to previous value"),
        (None, "must not update from a positive"),
        (0, "between 1"),
    ],
)
async def test_a_deadline_is_only_lowered(cluster: Cluster, deadline_s: int | None, words: str):
    """Raising and unsetting it is refused."""
    cluster.put("p", spec={"containers": [{"name": "base"}], "activeDeadlineSeconds": 30})
    with pytest.raises(InvalidError, match=words):
        await cluster.client().patch_pod("default", "p", {"spec": {"activeDeadlineSeconds": deadline_s}})
